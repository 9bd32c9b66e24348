#!lua flags=allow-oom
-- touch: keep what a session holds from running out.
-- ARGV[1] kind  ARGV[2] session, then addresses
-- Returns 'ok', or 'lost' where the session is not alive.
local kind, session = ARGV[1], ARGV[2]
if not alive(kind, session) then
	return 'lost'
end
for i = 3, #ARGV do
	local address = ARGV[i]
	if kind == 'gateway' then
		redis.call('EXPIRE', key.interest .. address, TTL)
	elseif redis.call('GET', key.lock .. address) == session then
		redis.call('EXPIRE', key.lock .. address, TTL)
		redis.call('EXPIRE', key.resource .. address, TTL)
	end
end
return 'ok'
