#!lua flags=allow-oom
-- leave: bury one's own session; `reap` then gives up what it held.
-- ARGV[1] kind  ARGV[2] session
-- Returns 'left', also where the session was gone already. A poller's peers hear of it.
bury(ARGV[1], ARGV[2])
if ARGV[1] == 'poller' then
	redis.call('PUBLISH', key.wake, 'left ' .. ARGV[2])
end
return 'left'
