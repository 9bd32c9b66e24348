#!lua flags=no-writes,allow-oom
-- fleet_scan: a step through one index of addresses, for looking; changes nothing.
-- ARGV[1] 'owned', 'interests' or 'unclaimed'  ARGV[2] session, '' for unclaimed
-- ARGV[3] cursor, '0' to begin  ARGV[4] about how many  ARGV[5] pattern of addresses
-- Returns {cursor, address, …}, the cursor '0' at the end. As SCAN: what is there all the
-- time is named at least once. What is longer than an address may be is left out. A key of
-- a wrong type reads as empty.
local ADDRESS_MAX = 2048
local verb = ARGV[1] == 'owned' and 'HSCAN' or 'SSCAN'
local step = ARGV[1] == 'owned' and 2 or 1

local found = peek(verb, key[ARGV[1]] .. ARGV[2], ARGV[3], 'MATCH', ARGV[5], 'COUNT',
	ARGV[4])
if not found then
	return {'0'}
end
local answer = {found[1]}
for i = 1, #found[2], step do
	if #found[2][i] <= ADDRESS_MAX then
		answer[#answer + 1] = found[2][i]
	end
end
return answer
