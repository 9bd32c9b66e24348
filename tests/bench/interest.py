"""Interest in resources without a gateway: what makes pollers poll, and nothing else."""

import time

SESSION = "bench"  # of the gateway that we play
HOUR_MS = 3600000
AT_ONCE = 1000


def register(redis, addresses):
    """As interest.lua does for one gateway with one subscriber of each."""
    redis.zadd("uricast:gateways", {SESSION: time.time_ns() // 1000000 + HOUR_MS})
    for first in range(0, len(addresses), AT_ONCE):
        part = addresses[first : first + AT_ONCE]
        pipeline = redis.pipeline()
        for address in part:
            pipeline.hset(f"uricast:interest:{address}", SESSION, "1 0")
        pipeline.sadd(f"uricast:interests:{SESSION}", *part)
        pipeline.sadd("uricast:unclaimed", *part)
        pipeline.execute()
