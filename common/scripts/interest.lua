#!lua flags=allow-oom
-- interest: register a gateway's interest and read what is stored, in one step. Doing it
-- again does no harm: it is also how a gateway re-reads.
-- ARGV[1] session of the gateway, then per resource: address, subscribers, fastest interval
-- asked for (ms, 0: the default), version held, revision held (0: none)
-- Returns {'lost'}, or {'ok', entry, …}: {revision, version, state, type, checked_at,
-- interval_ms, error, owner, content}. OWNER is '' where nobody whose lease runs holds the
-- lock. Content is left out (nil) where the revision is held already, and where this answer
-- has grown large: ask again for those.
local gateway = ARGV[1]
if not alive('gateway', gateway) then
	return {'lost'}
end
local ANSWER_BYTES = 1048576
local now = now_ms()
local answer = {'ok'}
local bytes = 0

-- Redis has forgotten what the fleet has seen: the next revision must be above it. Answers
-- the floor that holds.
local function keep_floor(address, stored, floor, held)
	if tonumber(held) <= math.max(tonumber(stored), tonumber(floor)) then
		return floor
	end
	redis.call('HSET', key.resource .. address, 'floor', held)
	return held
end

for i = 2, #ARGV, 5 do
	local address, share = ARGV[i], ARGV[i + 1] .. ' ' .. ARGV[i + 2]
	local before = redis.call('HGET', key.interest .. address, gateway)
	redis.call('HSET', key.interest .. address, gateway, share)
	redis.call('EXPIRE', key.interest .. address, TTL)
	redis.call('SADD', key.interests .. gateway, address)

	local stored = redis.call('HMGET', key.resource .. address, 'revision', 'version',
		'state', 'type', 'checked_at', 'interval_ms', 'error', 'floor')
	local revision = stored[1] or '0'
	local floor = stored[8] or '0'
	local kept = keep_floor(address, stored[2] or '0', floor, ARGV[i + 3])
	kept = keep_floor(address, revision, kept, ARGV[i + 4])
	redis.call('EXPIRE', key.resource .. address, TTL)

	local owner = redis.call('GET', key.lock .. address)
	local checked_at = owner and redis.call('HGET', key.owned .. owner, address)
	if checked_at and tonumber(checked_at) > tonumber(stored[5] or 0) then
		stored[5] = checked_at
	end
	local ends = owner and lease_end('poller', owner) or 0
	if ends > 0 then
		if before ~= share or kept ~= floor then
			tell(owner, 'wanted ' .. address)
		end
	elseif redis.call('SADD', key.unclaimed, address) == 1 then
		redis.call('PUBLISH', key.wake, 'claim ' .. address)
	end

	local content = false
	if revision ~= ARGV[i + 4] and bytes < ANSWER_BYTES then
		content = redis.call('HGET', key.resource .. address, 'content')
		bytes = bytes + (content and #content or 0)
	end
	answer[#answer + 1] = {revision, stored[2] or '0', stored[3] or '', stored[4] or 'json',
		stored[5] or '0', stored[6] or '0', stored[7] or '', ends >= now and owner or '',
		content}
end
redis.call('EXPIRE', key.interests .. gateway, INDEX_TTL)
return answer
