#!/usr/bin/python3
"""What the scripts cost Redis: µs of its one core per call, from INFO commandstats.

    tests/redis/measure_scripts.py [CALLS]

The best of 40 rounds of so many calls, for another process may want the core, too. The
shard has 1000 resources, two pollers and two gateways, in a Redis of its own.
"""

import itertools
import os
import sys
import tempfile

from shard import Server, Shard

ROUNDS = 40
ADDRESSES = [f"/nodes/node{i}.example.com" for i in range(1000)]


def measure(shard, name, calls, call):
    call(0)  # Redis has the script now
    best = None
    for begin in range(0, ROUNDS * calls, calls):
        shard.redis.config_resetstat()
        for i in range(begin, begin + calls):
            call(i)
        stats = shard.redis.info("commandstats")["cmdstat_evalsha"]
        assert stats["calls"] == calls
        best = min(best or stats["usec_per_call"], stats["usec_per_call"])
    print(f"| {name} | {best:.0f} |", flush=True)


def part(count, i):
    """@count addresses, other ones every time."""
    begin = i * count % len(ADDRESSES)
    return list(itertools.islice(itertools.cycle(ADDRESSES), begin, begin + count))


def main():
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with tempfile.TemporaryDirectory() as directory, Server(directory) as server:
        shard = Shard(server.client())
        shard.enter("gateway", "g1", "g2", lease_ms=3600000)
        shard.enter("poller", "p1", "p2", lease_ms=3600000)
        shard.interest("g1", *ADDRESSES)
        shard.interest("g2", *ADDRESSES)
        shard.claim("p1", *ADDRESSES)
        revisions = dict.fromkeys(ADDRESSES, 0)

        def commit(content, patch=""):
            def call(i):
                address = ADDRESSES[i % len(ADDRESSES)]
                fields = {"digest": "0" * 32, "type": "json", "status": 200, "etag": "e"}
                revisions[address], _ = shard.committed(
                    "p1", address, revisions[address], content, patch=patch, fields=fields
                )

            return call

        def take_back(i):
            """Each call takes what the other holds, as after its death."""
            ends = ("p1", "p2")[i % 2], ("p2", "p1")[i % 2]
            shard.redis.zadd("uricast:pollers", {ends[0]: 0, ends[1]: 9e12})
            answer = shard.claim(ends[1], *ADDRESSES[:200])
            assert answer[1][0] == "claimed"

        def renew(i):
            now = shard.now_ms()
            shard.renew("poller", "p1", dict.fromkeys(part(1000, i), now), {"polls": i})

        def interest_held(i):
            args = [w for a in part(64, i) for w in (a, 1, 0, revisions[a], revisions[a])]
            shard.run("interest", "g1", *args)

        print(
            f"Redis {shard.redis.info('server')['redis_version']}, {os.cpu_count()} cores\n"
        )
        print("| call | µs of Redis |\n|---|---|")
        measure(shard, "`commit`, state only", calls, commit(None))
        measure(shard, "`commit`, 10 KB of content, 200 bytes of patch", calls,
                commit("x" * 10000, "x" * 200))  # fmt: skip
        measure(shard, "`commit`, 1 KB of content, 200 bytes of patch", calls,
                commit("x" * 1000, "x" * 200))  # fmt: skip
        few = max(calls // 10, 5)
        measure(
            shard,
            "`renew`, nothing to note",
            calls,
            lambda i: shard.renew("poller", "p1"),
        )
        measure(shard, "`renew` with 1000 checked", few, renew)
        measure(shard, "`check` of 300 by their owner", few,
                lambda i: shard.check("poller", "p1", *part(300, i)))  # fmt: skip
        measure(shard, "`check` of 300 by a gateway", few,
                lambda i: shard.check("gateway", "g1", *part(300, i)))  # fmt: skip
        measure(shard, "`interest` in 64 of 1 KB, contents not held", few,
                lambda i: shard.interest("g1", *part(64, i)))  # fmt: skip
        measure(shard, "`interest` in 64, revisions held", few, interest_held)
        measure(shard, "`touch` of 300", few,
                lambda i: shard.run("touch", "poller", "p1", *part(300, i)))  # fmt: skip
        measure(shard, "`claim` of 200 one owns", few,
                lambda i: shard.claim("p1", *part(200, i)))  # fmt: skip
        measure(shard, "`claim` of 200 of a dead session", few, take_back)
        measure(shard, "`fleet_scan` of 1000", few,
                lambda i: shard.run("fleet_scan", "interests", "g1", 0, 1000, "*"))  # fmt: skip
        measure(shard, "`fleet_look` at 100", few,
                lambda i: shard.run("fleet_look", *part(100, i)))  # fmt: skip


main()
