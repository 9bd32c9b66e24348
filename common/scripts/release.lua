#!lua flags=allow-oom
-- release: give up resources' locks, to nobody.
-- ARGV[1] session, then address, checked_at (ms since 1970) per resource
-- Returns 'lost' where the session is not alive, else per resource 'released', or 'held'
-- where the lock names another. With interest left, the address goes to `unclaimed` and
-- `wake`; without, the resource gets its retention.
local session = ARGV[1]
if not alive('poller', session) then
	return 'lost'
end
local answer = {}
for i = 2, #ARGV, 2 do
	local address = ARGV[i]
	local given_up = give_up(session, address, ARGV[i + 1])
	answer[#answer + 1] = given_up and 'released' or 'held'
end
return answer
