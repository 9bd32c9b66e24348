#!lua flags=allow-oom
-- prune: take out of `unclaimed` what nobody wants any more, of addresses that no poller
-- will claim and find that out.
-- ARGV addresses
-- Returns how many were taken out.
local gone = 0
for _, address in ipairs(ARGV) do
	if not wanted(address) then
		gone = gone + redis.call('SREM', key.unclaimed, address)
	end
end
return gone
