-- check: the sweep; changes nothing.
-- ARGV[1] kind  ARGV[2] session, then addresses
-- Returns four elements per address: revision, floor (both nil where Redis holds none),
-- OWNER and INTEREST; and for a gateway a fifth, checked_at. OWNER: '=' the session itself,
-- '+' another that is alive, '!' one past its lease, buried or unknown, '-' nobody.
-- INTEREST: for a gateway 1 where its share is there, else 0; for a poller '-' where nobody
-- has any, else 'WISHED DEFAULT' as `claim` answers them.
--
-- Sweeps are most of what a fleet at rest costs: one call for all addresses where Redis has
-- one, no iterators, and no strings put together anew for each.
local kind, session = ARGV[1], ARGV[2]
local addresses, count = {unpack(ARGV, 3)}, #ARGV - 2
local now, call = now_ms(), redis.call

local function locks_of()
	local prefix, names = key.lock, {}
	for i = 1, count do
		names[i] = prefix .. addresses[i]
	end
	return call('MGET', unpack(names))
end

local marks = {[session] = '=', [false] = '-'}
local function mark_of(owner)
	local ends = lease_end('poller', owner)
	marks[owner] = ends and ends >= now and '+' or '!'
	return marks[owner]
end

-- What the owners have noted, which is newer than what is stored with the resource.
local function noted_of(locks)
	local owned, noted = {}, {}
	for i = 1, count do
		local owner = locks[i]
		if owner then
			local its = owned[owner] or {places = {}}
			owned[owner] = its
			its[#its + 1], its.places[#its + 1] = addresses[i], i
		end
	end
	for owner, its in pairs(owned) do
		local values = call('HMGET', key.owned .. owner, unpack(its))
		for i = 1, #its do
			noted[its.places[i]] = values[i]
		end
	end
	return noted
end

-- Most shares are alike: each wish is worked out once.
local wishes = {[''] = '-'}
local function wish_of(shares)
	local text = shares[2] and table.concat(shares, ',') or shares[1] or ''
	if not wishes[text] then
		local interval, default = wished_interval(shares)
		wishes[text] = interval .. ' ' .. default
	end
	return wishes[text]
end

local locks = locks_of()
local noted = kind == 'gateway' and noted_of(locks)
local resource, interest = key.resource, key.interest
local answer, last = {}, 0
for i = 1, count do
	local address, owner = addresses[i], locks[i]
	local stored = call('HMGET', resource .. address, 'revision', 'floor')
	answer[last + 1], answer[last + 2] = stored[1], stored[2]
	answer[last + 3] = marks[owner] or mark_of(owner)
	-- The facts are asked, not their indexes, which live longer.
	if noted then
		answer[last + 4] = call('HEXISTS', interest .. address, session)
		answer[last + 5] = noted[i] or call('HGET', resource .. address, 'checked_at')
		last = last + 5
	else
		answer[last + 4] = wish_of(call('HVALS', interest .. address))
		last = last + 4
	end
end
return answer
