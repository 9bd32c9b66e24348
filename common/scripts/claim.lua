#!lua flags=allow-oom
-- claim: take the locks of resources that are free or whose holder is dead.
-- ARGV[1] session of the poller  ARGV[2] '1' where it may bury a holder past its lease
-- ARGV[3] '1' to get the contents too, then addresses
-- Returns {'lost'}, or {'ok', entry, …}: {'held', session}, {'unwanted'}, or {'claimed',
-- revision, version, floor, digest, type, state, etag, last_modified, checked_at, error,
-- interval wished (ms), '1' where another share wants the default, '1' where anybody wants
-- it at all, former holder or '', polls, content or nil}.
local session, may_bury, with_content = ARGV[1], ARGV[2] == '1', ARGV[3] == '1'
if not alive('poller', session) then
	return {'lost'}
end
local now = now_ms()

-- Whether @holder still stands in the way; buries it where that is due and allowed.
local function stands(holder)
	local ends = lease_end('poller', holder)
	if not ends or ends == 0 then
		return false
	end
	if ends >= now or not may_bury then
		return true
	end
	bury('poller', holder)
	return false
end

local function stored(address, former)
	local entry = redis.call('HMGET', key.resource .. address, 'revision', 'version',
		'floor', 'digest', 'type', 'state', 'etag', 'last_modified', 'checked_at', 'error')
	for i = 1, 10 do
		entry[i] = entry[i] or ''
	end
	local interval, default = wished_interval(address)
	local polls = redis.call('HGET', key.resource .. address, 'polls')
	local content = false
	if with_content then
		content = redis.call('HGET', key.resource .. address, 'content')
	end
	return {'claimed', entry[1], entry[2], entry[3], entry[4], entry[5], entry[6], entry[7],
		entry[8], entry[9], entry[10], interval, default, wanted(address) and '1' or '0',
		former, polls or '0', content}
end

local function claim(address)
	local holder = redis.call('GET', key.lock .. address)
	redis.call('SREM', key.unclaimed, address)
	if holder and holder ~= session and stands(holder) then
		return {'held', holder}
	end
	if holder and holder ~= session then
		redis.call('DEL', key.lock .. address)
		disown(holder, address)
	end
	if holder ~= session and not wanted(address) then
		unclaim(address)
		return {'unwanted'}
	end
	redis.call('SET', key.lock .. address, session, 'EX', TTL)
	redis.call('EXPIRE', key.resource .. address, TTL)
	local checked_at = redis.call('HGET', key.resource .. address, 'checked_at') or '0'
	if redis.call('HEXISTS', key.owned .. session, address) == 0 then
		redis.call('HSET', key.owned .. session, address, checked_at)
	end
	return stored(address, holder ~= session and holder or '')
end

local answer = {'ok'}
for i = 4, #ARGV do
	answer[#answer + 1] = claim(ARGV[i])
end
redis.call('EXPIRE', key.owned .. session, INDEX_TTL)
return answer
