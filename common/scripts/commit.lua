-- commit: the only way that a resource's state changes.
-- ARGV[1] session  ARGV[2] address  ARGV[3] base revision (0: nothing stored)
-- ARGV[4] newest revision the owner knows of (0: none)  ARGV[5] '1' where the content is new
-- ARGV[6] content ('' where it is not new)  ARGV[7] patch or ''
-- ARGV[8] state  ARGV[9] error as JSON or ''  ARGV[10] checked_at (ms)
-- ARGV[11] interval_ms  ARGV[12] polls so far
-- ARGV[13] when the upstream's answer ended, by the poller's clock (ms); 0: there is none
-- then field, value, … to store as they are
-- (digest, type, etag, last_modified, status, error_since, url)
-- Returns {'committed', revision, version}, {'lost'}, {'held', session or ''}, or {'behind',
-- revision, version, floor, digest, state, error} with what is stored: another revision, or
-- a floor that the owner does not know of. A floor stays until there is new content.
local session, address, base, known = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local changed, content, patch = ARGV[5] == '1', ARGV[6], ARGV[7]
local state, failure, checked_at, interval_ms = ARGV[8], ARGV[9], ARGV[10], ARGV[11]
local CONTENT_MAX = 65536 -- CHANGE_CONTENT_MAX in common/change.h

if not alive('poller', session) then
	return {'lost'}
end
local owner = redis.call('GET', key.lock .. address)
if owner ~= session then
	return {'held', owner or ''}
end
local name = key.resource .. address
local stored = redis.call('HMGET', name, 'revision', 'version', 'floor', 'digest', 'state',
	'error')
local revision, version, floor = stored[1] or '0', stored[2] or '0', stored[3] or '0'
local unseen_floor = tonumber(floor) > math.max(tonumber(version), tonumber(known))
if revision ~= base or (unseen_floor and not changed) then
	return {'behind', revision, version, floor, stored[4] or '', stored[5] or '',
		stored[6] or ''}
end

local next_revision = whole(math.max(tonumber(revision), tonumber(version),
	tonumber(floor), tonumber(known), now_us() - 1) + 1)
local next_version = changed and next_revision or version

redis.call('HSET', name, 'revision', next_revision, 'version', next_version, 'state', state,
	'error', failure, 'checked_at', checked_at, 'interval_ms', interval_ms,
	'polls', ARGV[12], unpack(ARGV, 14))
if changed then
	redis.call('HSET', name, 'content', content, 'changed_at', whole(now_ms()))
	redis.call('HDEL', name, 'floor')
end
if failure == '' then
	redis.call('HDEL', name, 'error_since')
end
redis.call('EXPIRE', name, TTL)
redis.call('EXPIRE', key.lock .. address, TTL)
redis.call('HSET', key.owned .. session, address, checked_at)
redis.call('EXPIRE', key.owned .. session, INDEX_TTL)

local with_content = changed and #content <= CONTENT_MAX
local kind = redis.call('HGET', name, 'type') or 'json'
redis.call('PUBLISH', key.change .. address, table.concat({next_revision, revision,
	next_version, version, state, kind, checked_at, interval_ms,
	with_content and #content or '-', #patch, #failure, ARGV[13]}, ' ') .. '\n' ..
	(with_content and content or '') .. patch .. failure)
return {'committed', next_revision, next_version}
