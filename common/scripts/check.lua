-- check: the sweep; changes nothing.
-- ARGV[1] kind  ARGV[2] session, then addresses
-- Returns per address 'REVISION FLOOR CHECKED_AT OWNER INTEREST'. OWNER: '=' the session
-- itself, '+' another that is alive, '!' one past its lease, buried or unknown, '-' nobody.
-- INTEREST: for a gateway '1' where its share is there, else '0'; for a poller '-' where
-- nobody has any, else 'WISHED DEFAULT' as `claim` answers them.
local kind, session = ARGV[1], ARGV[2]
local now = now_ms()

local owners = {[session] = '='}
local function owner_mark(owner)
	if not owners[owner] then
		local ends = lease_end('poller', owner)
		owners[owner] = ends and ends >= now and '+' or '!'
	end
	return owners[owner]
end

-- One call for all where Redis has one: this is what most of the sweep costs.
local locks, answer = {}, {}
for i = 3, #ARGV do
	locks[i - 2] = key.lock .. ARGV[i]
end
locks = redis.call('MGET', unpack(locks))

-- The fact is asked, not its index, which lives longer.
local function interest_in(address)
	if kind == 'gateway' then
		return redis.call('HEXISTS', key.interest .. address, session)
	end
	local interval, default, any = wished_interval(address)
	return any == '1' and interval .. ' ' .. default or '-'
end

for i, owner in ipairs(locks) do
	local address = ARGV[i + 2]
	local stored = redis.call('HMGET', key.resource .. address, 'revision', 'floor',
		'checked_at')
	local checked_at = stored[3] or '0'
	if owner and kind == 'gateway' then
		local noted = redis.call('HGET', key.owned .. owner, address)
		if noted and tonumber(noted) > tonumber(checked_at) then
			checked_at = noted
		end
	end
	answer[i] = table.concat({stored[1] or '0', stored[2] or '0', checked_at,
		owner and owner_mark(owner) or '-', interest_in(address)}, ' ')
end
return answer
