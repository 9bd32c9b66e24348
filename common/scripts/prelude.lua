-- What every script begins with. `key` comes before this, made of common/keys.h.
--
-- All but `commit` may run when Redis is out of memory (their first line says so): leases
-- are renewed, locks change hands and gateways read, only new contents have to wait.

-- Seconds that a key lives when nobody extends it; holders do, every third of it. An index
-- lives twice as long as the facts it leads to.
local TTL = 900
local INDEX_TTL = 1800
-- Seconds that a resource nobody owns or wants is kept for a viewer who comes back; as long
-- as its upstream wants to be left alone, but no longer than a day.
local RETENTION = 60
local WAIT_MOST = 86400

local function now_us()
	local time = redis.call('TIME')
	return time[1] * 1000000 + time[2]
end

local function now_ms()
	return math.floor(now_us() / 1000)
end

-- Lua prints large numbers as floats.
local function whole(number)
	return string.format('%.0f', number)
end

-- For who only looks: nil where the key is of another type, which acting would refuse.
local function peek(...)
	local reply = redis.pcall(...)
	if type(reply) ~= 'table' or not reply.err then
		return reply
	end
	if not string.find(reply.err, 'WRONGTYPE', 1, true) then
		error(reply)
	end
	return nil
end

-- The end of a session's lease (ms), 0 where it is buried, nil where it is unknown.
local function lease_end(kind, session)
	local score = redis.call('ZSCORE', key[kind .. 's'], session)
	return score and tonumber(score) or nil
end

-- Past its lease is still alive: only burying ends a session.
local function alive(kind, session)
	local ends = lease_end(kind, session)
	return ends ~= nil and ends > 0
end

local function bury(kind, session)
	redis.call('ZADD', key[kind .. 's'], 'XX', 0, session)
end

-- A buried session leaves the set when nothing of it is left.
local function forget_if_empty(kind, session)
	local left
	if kind == 'poller' then
		left = redis.call('HLEN', key.owned .. session)
	else
		left = redis.call('SCARD', key.interests .. session)
	end
	if left == 0 and not alive(kind, session) then
		redis.call('ZREM', key[kind .. 's'], session)
		redis.call('DEL', key[kind] .. session)
	end
	return left
end

local function wanted(address)
	return redis.call('EXISTS', key.interest .. address) == 1
end

local function tell(session, notice)
	redis.call('PUBLISH', key.to .. session, notice)
end

local function retain(address)
	local name = key.resource .. address
	local not_before = tonumber(redis.call('HGET', name, 'not_before') or '') or 0
	local wait = math.min(math.ceil((not_before - now_ms()) / 1000), WAIT_MOST)
	if wait > RETENTION then
		redis.call('EXPIRE', name, wait)
	else
		redis.call('EXPIRE', name, RETENTION, 'LT')
	end
end

-- The resource has lost its owner: find it another, or let it go after a while.
local function unclaim(address)
	if wanted(address) then
		redis.call('SADD', key.unclaimed, address)
		redis.call('PUBLISH', key.wake, 'claim ' .. address)
	else
		redis.call('SREM', key.unclaimed, address)
		retain(address)
	end
end

-- Drops the entry of a former owner, so that what it last checked is not forgotten.
local function disown(session, address, checked_at)
	checked_at = checked_at or redis.call('HGET', key.owned .. session, address)
	redis.call('HDEL', key.owned .. session, address)
	if checked_at and redis.call('EXISTS', key.resource .. address) == 1 then
		local stored = redis.call('HGET', key.resource .. address, 'checked_at')
		if tonumber(checked_at) > tonumber(stored or 0) then
			redis.call('HSET', key.resource .. address, 'checked_at', checked_at)
		end
	end
	forget_if_empty('poller', session)
end

-- Takes @address from @session, also where its lock has run out by itself. False where the
-- lock names another.
local function give_up(session, address, checked_at)
	local owner = redis.call('GET', key.lock .. address)
	if owner and owner ~= session then
		redis.call('HDEL', key.owned .. session, address)
		return false
	end
	redis.call('DEL', key.lock .. address)
	disown(session, address, checked_at)
	unclaim(address)
	return true
end

-- A gateway's interest has gone: tell the owner, or let the resource go.
local function drop_interest(gateway, address)
	redis.call('HDEL', key.interest .. address, gateway)
	redis.call('SREM', key.interests .. gateway, address)
	local owner = redis.call('GET', key.lock .. address)
	if wanted(address) then
		if owner then
			tell(owner, 'wanted ' .. address)
		end
	elseif owner then
		tell(owner, 'unwanted ' .. address)
	else
		unclaim(address)
	end
end

-- Of the shares that gateways have in an address: the fastest interval asked for, 0 where
-- the default will do; '1' where another share wants the default.
local function wished_interval(shares)
	local fastest, default = nil, false
	for _, share in ipairs(shares) do
		local interval = tonumber(string.match(share, '^%d+ (%d+)$') or 0)
		if interval == 0 then
			default = true
		elseif not fastest or interval < fastest then
			fastest = interval
		end
	end
	return whole(fastest or 0), default and '1' or '0'
end
