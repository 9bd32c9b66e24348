#!lua flags=allow-oom
-- enter: begin a session.
-- ARGV[1] kind ('poller' or 'gateway')  ARGV[2] session  ARGV[3] lease (ms)
-- then field, value, … of the session's hash.
-- Returns {'entered', now (ms)}, or {'lost'} where the session was buried before.
local kind, session, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
if lease_end(kind, session) == 0 then
	return {'lost'}
end
local now = now_ms()
redis.call('ZADD', key[kind .. 's'], whole(now + lease_ms), session)
redis.call('HSET', key[kind] .. session, 'started', whole(now), unpack(ARGV, 4))
redis.call('EXPIRE', key[kind] .. session, TTL)
return {'entered', whole(now)}
