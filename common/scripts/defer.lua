#!lua flags=allow-oom
-- defer: note until when an upstream wants a resource left alone, where nothing else about
-- it is to be committed.
-- ARGV[1] session  ARGV[2] address  ARGV[3] not_before (ms since 1970)
-- Returns 'deferred', 'lost' where the session is not alive, or 'held' where the lock names
-- another.
local session, address = ARGV[1], ARGV[2]
if not alive('poller', session) then
	return 'lost'
end
if redis.call('GET', key.lock .. address) ~= session then
	return 'held'
end
redis.call('HSET', key.resource .. address, 'not_before', ARGV[3])
redis.call('EXPIRE', key.resource .. address, TTL)
return 'deferred'
