#!lua flags=allow-oom
-- claim: take the locks of resources that are free or whose holder is dead.
-- ARGV[1] session of the poller  ARGV[2] '1' where it may bury a holder past its lease
-- ARGV[3] '1' to get the contents too, then addresses
-- Returns {'lost'}, or {'ok', entry, …}: {'held', session}, {'unwanted'}, or {'claimed',
-- revision, version, floor, digest, type, state, etag, last_modified, checked_at, error,
-- interval wished (ms), '1' where another share wants the default, '1' where anybody wants
-- it at all, former holder or '', polls, interval_ms, url, not_before,
-- content or nil}.
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

local function stored(address)
	local entry = redis.call('HMGET', key.resource .. address, 'revision', 'version',
		'floor', 'digest', 'type', 'state', 'etag', 'last_modified', 'checked_at', 'error',
		'polls', 'interval_ms', 'url', 'not_before')
	for i = 1, 14 do
		entry[i] = entry[i] or ''
	end
	return unpack(entry)
end

local function claim(address)
	local holder = redis.call('GET', key.lock .. address)
	redis.call('SREM', key.unclaimed, address)
	if holder and holder ~= session and stands(holder) then
		-- A replica that took over may still have listed it as ours.
		redis.call('HDEL', key.owned .. session, address)
		return {'held', holder}
	end
	if holder and holder ~= session then
		disown(holder, address)
	end
	local shares = redis.call('HVALS', key.interest .. address)
	local interval, default = wished_interval(shares)
	if holder ~= session and #shares == 0 then
		redis.call('DEL', key.lock .. address)
		unclaim(address)
		return {'unwanted'}
	end
	redis.call('SET', key.lock .. address, session, 'EX', TTL)
	redis.call('EXPIRE', key.resource .. address, TTL)
	local revision, version, floor, digest, kind, state, etag, last_modified, checked_at,
		failure, polls, interval_ms, url, not_before = stored(address)
	if redis.call('HEXISTS', key.owned .. session, address) == 0 then
		redis.call('HSET', key.owned .. session, address,
			checked_at ~= '' and checked_at or '0')
	end
	return {'claimed', revision, version, floor, digest, kind, state, etag, last_modified,
		checked_at, failure, interval, default, #shares > 0 and '1' or '0',
		holder ~= session and holder or '', polls ~= '' and polls or '0',
		interval_ms, url, not_before, with_content and redis.call('HGET', key.resource .. address, 'content')}
end

local answer = {'ok'}
for i = 4, #ARGV do
	answer[#answer + 1] = claim(ARGV[i])
end
redis.call('EXPIRE', key.owned .. session, INDEX_TTL)
return answer
