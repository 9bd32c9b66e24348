#!lua flags=no-writes,allow-oom
-- fleet_sessions: who is in the fleet, for looking; changes nothing.
-- ARGV[1] kind  ARGV[2] how many sessions at most
-- Returns {now (ms), sessions there are, entry, …}: {session, lease end, addresses its index
-- holds, host, pid, version, started, resources, polls, commits, clients, subscriptions,
-- down}, '' for what it does not tell. Keys of a wrong type read as empty.
local kind, most = ARGV[1], tonumber(ARGV[2])
local TEXT_MAX = 256

local function index_size(session)
	if kind == 'poller' then
		return peek('HLEN', key.owned .. session)
	end
	return peek('SCARD', key.interests .. session)
end

local function facts(session)
	local told = peek('HMGET', key[kind] .. session, 'host', 'pid', 'version', 'started',
		'resources', 'polls', 'commits', 'clients', 'subscriptions', 'down') or {}
	for i = 1, 10 do
		told[i] = string.sub(told[i] or '', 1, TEXT_MAX)
	end
	return unpack(told)
end

local sessions = peek('ZRANGE', key[kind .. 's'], 0, most - 1, 'WITHSCORES') or {}
local answer = {whole(now_ms()), whole(peek('ZCARD', key[kind .. 's']) or 0)}
for i = 1, #sessions, 2 do
	local session = sessions[i]
	local ends = tonumber(sessions[i + 1])
	answer[#answer + 1] = {session, whole(ends), whole(index_size(session) or 0),
		facts(session)}
end
return answer
