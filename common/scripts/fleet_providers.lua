#!lua flags=no-writes,allow-oom
-- fleet_providers: what providers are and what they are asked, for looking; changes nothing.
-- ARGV names
-- Returns per name {interval_ms, interval_min_ms, interval_max_ms, parted, pollers that have
-- a part of that second, requests they have for it}, '' for what is not there; {} where
-- there is no such provider. Keys of a wrong type read as none.
local FIELDS_MAX = 2000

local function parts(name, parted)
	local pollers, demand = 0, 0
	if parted == '' or peek('HLEN', name) > FIELDS_MAX then
		return '', ''
	end
	local fields = peek('HGETALL', name)
	for i = 1, #fields, 2 do
		local wants, second = string.match(fields[i + 1], '^%d+ (%d+) (%d+) %d+ %d+$')
		if second == parted and string.sub(fields[i], 1, 5) == 'part:' then
			pollers, demand = pollers + 1, demand + tonumber(wants)
		end
	end
	return whole(pollers), whole(demand)
end

local answer = {}
for i, provider in ipairs(ARGV) do
	local name = key.provider .. provider
	local known = peek('HMGET', name, 'interval_ms', 'interval_min_ms', 'interval_max_ms',
		'parted')
	answer[i] = {}
	if known and (known[1] or known[4]) then
		local parted = known[4] or ''
		answer[i] = {known[1] or '', known[2] or '', known[3] or '', parted,
			parts(name, parted)}
	end
end
return answer
