#!lua flags=allow-oom
-- budget: a poller's part of the requests that a provider is sent in one second.
-- ARGV[1] session  ARGV[2] provider  ARGV[3] second (since 1970) that it asks for
-- ARGV[4] requests it has for a second  ARGV[5] requests a second of the whole fleet
-- Returns {'lost'}, or {'part', second, from, to}: what lies between them, of 2^20, is the
-- session's in that second. Parts of a second never overlap. The first who asks for a second
-- parts it among those who asked for the one before, by what they have to ask, and leaves
-- some for newcomers, who get half of what is left.
local session, provider, demand = ARGV[1], ARGV[2], tonumber(ARGV[4])
if not alive('poller', session) then
	return {'lost'}
end
local WHOLE = 1048576
local name, mine = key.provider .. provider, 'part:' .. session
local now = math.floor(now_ms() / 1000)
local second = math.min(math.max(tonumber(ARGV[3]), now), now + 1)
local parted = tonumber(redis.call('HGET', name, 'parted') or 0)
-- A clock that was set back: what was parted for later is worth nothing.
if parted > now + 1 then
	parted = 0
end
second = math.max(second, parted)

-- A part is 'ASKED DEMAND SECOND FROM TO': ASKED is the last second it was asked for.
local function read_part(text)
	local asked, wants, of, from, to =
		string.match(text or '', '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
	return tonumber(asked), tonumber(wants), tonumber(of), tonumber(from), tonumber(to)
end

local function write_part(field, asked, wants, from, to)
	redis.call('HSET', name, field, table.concat({whole(asked), whole(wants),
		whole(second), whole(from), whole(to)}, ' '))
end

-- Who asks for this second or asked for the one before; the others are forgotten.
local function askers()
	local found, total = {{mine, second, demand}}, demand
	local fields = redis.call('HGETALL', name)
	for i = 1, #fields, 2 do
		local asked, wants = read_part(fields[i + 1])
		if string.sub(fields[i], 1, 5) == 'part:' and fields[i] ~= mine then
			if asked and asked >= second - 1 and asked <= second then
				found[#found + 1] = {fields[i], asked, wants}
				total = total + wants
			else
				redis.call('HDEL', name, fields[i])
			end
		end
	end
	return found, total
end

local function part_second()
	local found, total = askers()
	local room = math.min(math.max(total / tonumber(ARGV[5]), 0.5), 0.95) * WHOLE
	local from = 0
	for _, asker in ipairs(found) do
		local to = from + math.floor(room * asker[3] / total)
		write_part(asker[1], asker[2], asker[3], from, to)
		from = to
	end
	redis.call('HSET', name, 'parted', whole(second), 'given', whole(from))
	redis.call('EXPIRE', name, TTL)
end

local _, _, of, from, to = read_part(redis.call('HGET', name, mine))
if second > parted then
	part_second()
	_, _, of, from, to = read_part(redis.call('HGET', name, mine))
elseif of == second then
	write_part(mine, second, demand, from, to)
else
	local given = tonumber(redis.call('HGET', name, 'given'))
	from, to = given, given + math.floor((WHOLE - given) / 2)
	write_part(mine, second, demand, from, to)
	redis.call('HSET', name, 'given', whole(to))
end
return {'part', whole(second), whole(from), whole(to)}
