#!lua flags=allow-oom
-- reap: clean up after a buried session, some of it per call.
-- ARGV[1] kind  ARGV[2] session  ARGV[3] '1' where the caller may bury what is past its
-- lease  ARGV[4] about how many addresses to take in this call
-- Returns how many are left, or 'alive' where the session is neither buried nor to be.
local kind, session, may_bury, limit = ARGV[1], ARGV[2], ARGV[3] == '1', ARGV[4]
local ends = lease_end(kind, session)
if ends and ends > 0 then
	if not may_bury or ends >= now_ms() then
		return 'alive'
	end
	bury(kind, session)
end

if kind == 'gateway' then
	for _, address in ipairs(redis.call('SRANDMEMBER', key.interests .. session, limit)) do
		drop_interest(session, address)
	end
else
	for _, address in ipairs(redis.call('HRANDFIELD', key.owned .. session, limit)) do
		give_up(session, address)
	end
end
return forget_if_empty(kind, session)
