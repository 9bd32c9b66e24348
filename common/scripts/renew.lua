#!lua flags=allow-oom
-- renew: extend a session's lease, and note what it has checked.
-- ARGV[1] kind  ARGV[2] session  ARGV[3] lease (ms)  ARGV[4] count of facts
-- then field, value per fact, then address, checked_at (ms) per resource.
-- Returns {'renewed', now (ms), {poller, lease end, …}, {gateway whose lease ran out, …}},
-- buried sessions with a lease end of 0; or {'lost'}.
local kind, session, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
if not alive(kind, session) then
	return {'lost'}
end
local now = now_ms()
redis.call('ZADD', key[kind .. 's'], whole(now + lease_ms), session)

local facts_end = 4 + 2 * tonumber(ARGV[4])
if facts_end > 4 then
	redis.call('HSET', key[kind] .. session, unpack(ARGV, 5, facts_end))
end
redis.call('EXPIRE', key[kind] .. session, TTL)
if kind == 'gateway' then
	redis.call('EXPIRE', key.interests .. session, INDEX_TTL)
end

if kind == 'poller' then
	local checked = {}
	for i = facts_end + 1, #ARGV, 2 do
		if redis.call('GET', key.lock .. ARGV[i]) == session then
			checked[#checked + 1] = ARGV[i]
			checked[#checked + 1] = ARGV[i + 1]
		end
	end
	for i = 1, #checked, 1000 do
		redis.call('HSET', key.owned .. session,
			unpack(checked, i, math.min(i + 999, #checked)))
	end
	redis.call('EXPIRE', key.owned .. session, INDEX_TTL)
end

return {'renewed', whole(now),
	redis.call('ZRANGE', key.pollers, 0, -1, 'WITHSCORES'),
	redis.call('ZRANGEBYSCORE', key.gateways, 0, whole(now))}
