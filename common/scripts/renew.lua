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

-- Some hundred per call: what unpack takes, and what Redis does in a fraction of a ms. An
-- address new to the index shows that not all of them are the session's: who the locks name
-- is asked then only, for it costs more than the noting.
local function note(from, to)
	if redis.call('HSET', key.owned .. session, unpack(ARGV, from, to)) == 0 then
		return
	end
	for i = from, to, 2 do
		if redis.call('GET', key.lock .. ARGV[i]) ~= session then
			give_up(session, ARGV[i])
		end
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
