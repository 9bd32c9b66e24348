#!lua flags=allow-oom
-- renew: extend a session's lease, and note what it has checked.
-- ARGV[1] kind  ARGV[2] session  ARGV[3] lease (ms)  ARGV[4] count of facts
-- then field, value per fact, then address, checked_at (ms) per resource.
-- Returns {'renewed', now (ms), {poller, lease end, …}, {gateway whose lease ran out, …},
-- addresses that the session's index holds, sessions of both kinds}, buried sessions with a
-- lease end of 0; or {'lost'}.
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

-- Some hundred per call: what unpack takes, and what Redis does in a fraction of a ms.
local function note(from, to)
	local locks, checked = {}, {}
	for i = from, to, 2 do
		locks[#locks + 1] = key.lock .. ARGV[i]
	end
	for i, owner in ipairs(redis.call('MGET', unpack(locks))) do
		if owner == session then
			checked[#checked + 1] = ARGV[from + 2 * i - 2]
			checked[#checked + 1] = ARGV[from + 2 * i - 1]
		end
	end
	if #checked > 0 then
		redis.call('HSET', key.owned .. session, unpack(checked))
	end
end

if kind == 'poller' then
	for from = facts_end + 1, #ARGV, 1000 do
		note(from, math.min(from + 999, #ARGV))
	end
	redis.call('EXPIRE', key.owned .. session, INDEX_TTL)
end

local held
if kind == 'poller' then
	held = redis.call('HLEN', key.owned .. session)
else
	held = redis.call('SCARD', key.interests .. session)
end

return {'renewed', whole(now),
	redis.call('ZRANGE', key.pollers, 0, -1, 'WITHSCORES'),
	redis.call('ZRANGEBYSCORE', key.gateways, 0, whole(now)), held,
	redis.call('ZCARD', key.pollers) + redis.call('ZCARD', key.gateways)}
