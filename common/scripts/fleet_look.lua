#!lua flags=no-writes,allow-oom
-- fleet_look: how resources are, for looking; changes nothing.
-- ARGV addresses
-- Returns per address {owner or '', 'alive' or 'dead' or '', viewers, gateways, checked_at
-- (the later of the resource's and its owner's), state, interval_ms, changed_at,
-- error_since, status, version, error, url}, '' for what is not there. Keys of a wrong type
-- read as empty, texts are cut.
local TEXT_MAX = 4096
local now = now_ms()

local lives = {}
local function life(owner)
	if not lives[owner] then
		local ends = tonumber(peek('ZSCORE', key.pollers, owner) or 0)
		lives[owner] = ends >= now and 'alive' or 'dead'
	end
	return lives[owner]
end

local function viewers(address)
	local shares = peek('HVALS', key.interest .. address) or {}
	local total = 0
	for _, share in ipairs(shares) do
		total = total + tonumber(string.match(share, '^(%d+) %d+$') or 0)
	end
	return whole(total), whole(#shares)
end

local function checked_at(stored, owner, address)
	local noted = owner and peek('HGET', key.owned .. owner, address)
	if noted and (tonumber(noted) or 0) > (tonumber(stored) or 0) then
		return noted
	end
	return stored
end

local function look(address, owner)
	local stored = peek('HMGET', key.resource .. address, 'checked_at', 'state',
		'interval_ms', 'changed_at', 'error_since', 'status', 'version', 'error', 'url') or {}
	stored[1] = checked_at(stored[1], owner, address)
	for i = 1, 9 do
		local text = stored[i] or ''
		stored[i] = #text > TEXT_MAX and string.sub(text, 1, TEXT_MAX) or text
	end
	local watching, gateways = viewers(address)
	return {owner or '', owner and life(owner) or '', watching, gateways, unpack(stored)}
end

-- A lock of a wrong type reads as nil.
local locks = {}
for i, address in ipairs(ARGV) do
	locks[i] = key.lock .. address
end
local answer = {}
for i, owner in ipairs(redis.call('MGET', unpack(locks))) do
	answer[i] = look(ARGV[i], owner)
end
return answer
