#!lua flags=allow-oom
-- uninterest: a gateway has no subscribers left for these resources.
-- ARGV[1] session of the gateway, then addresses
-- Returns 'ok', or 'lost' where the session is not alive.
local gateway = ARGV[1]
if not alive('gateway', gateway) then
	return 'lost'
end
for i = 2, #ARGV do
	drop_interest(gateway, ARGV[i])
end
return 'ok'
