-- check: the sweep; changes nothing.
-- ARGV[1] kind  ARGV[2] session, then addresses
-- Returns per address 'REVISION FLOOR CHECKED_AT OWNER INTEREST'. OWNER: '=' the session
-- itself, '+' another that is alive, '!' one past its lease, buried or unknown, '-' nobody.
-- INTEREST: '1' where the gateway's share is there, or, for a poller, anybody's; else '0'.
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

local answer = {}
for i = 3, #ARGV do
	local address = ARGV[i]
	local stored = redis.call('HMGET', key.resource .. address, 'revision', 'floor',
		'checked_at')
	local owner = redis.call('GET', key.lock .. address)
	local checked_at, interest = stored[3] or '0', 0
	if kind == 'poller' then
		interest = redis.call('EXISTS', key.interest .. address)
	else
		interest = redis.call('HEXISTS', key.interest .. address, session)
		local noted = owner and redis.call('HGET', key.owned .. owner, address)
		if noted and tonumber(noted) > tonumber(checked_at) then
			checked_at = noted
		end
	end
	answer[i - 2] = table.concat({stored[1] or '0', stored[2] or '0', checked_at,
		owner and owner_mark(owner) or '-', interest}, ' ')
end
return answer
