#!lua flags=allow-oom
-- describe: note what a provider is, for gateways that have no file.
-- ARGV[1] provider, then field, value, …
-- Returns 'ok'.
redis.call('HSET', key.provider .. ARGV[1], unpack(ARGV, 2))
redis.call('EXPIRE', key.provider .. ARGV[1], TTL)
return 'ok'
