"""Processes that die, freeze, leave and join: nobody is left behind, nobody polls twice."""

import asyncio
import time

import pytest

from harness import LEASE, SOAK, run, until
from upstream import counting, gaps

TAKEOVER = LEASE + 2  # what the design allows from a death to the next poll
SLACK = 1.5  # for a loaded machine


def test_a_killed_owner_is_replaced(fleet):
    counting(fleet.upstream, "/nodes")

    async def test():
        async with fleet.client(0) as one, fleet.client(1) as two:
            for client in (one, two):
                await client.subscribe("/nodes")
                await client.content("/nodes")
            for _ in range(20 if SOAK else 5):
                owner = await fleet.find_owner("/nodes")
                other = next(p for p in fleet.pollers if p is not owner)
                owner.kill()
                killed = time.monotonic()
                await until(
                    lambda: fleet.upstream.count("/nodes", since=killed + 0.2),
                    "somebody else polls",
                    TAKEOVER + SLACK,
                )
                held = one.held["/nodes"][1]["n"]
                for client in (one, two):
                    await client.content("/nodes", lambda c: c["n"] > held)
                assert fleet.owner("/nodes") is other
                owner.start()
                owner.await_ready()
            states = [f for f in one.frames + two.frames if "state" in f]
            assert not [f for f in states if f["state"] == "error"]
            assert one.open and two.open

    run(test(), 600)


def test_a_takeover_costs_the_upstream_at_most_one_poll_more(fleet):
    uris = [f"/r/{number}" for number in range(50)]
    for uri in uris:
        counting(fleet.upstream, uri)

    async def test():
        async with fleet.client() as client:
            await client.send({"action": "subscribe", "uris": uris})
            for uri in uris:
                await client.content(uri)
            victim = fleet.pollers[0]
            owned = await until(
                lambda: [uri for uri in uris if fleet.owner(uri) is victim],
                "the victim has its share",
            )
            victim.kill()
            killed = time.monotonic()
            await until(
                lambda: all(
                    fleet.upstream.count(u, since=killed + 0.2) >= 3 for u in uris
                ),
                "all are polled again",
            )
            for uri in uris:
                times = fleet.upstream.asked(uri)
                early = [gap for gap in gaps(times) if gap < fleet.interval * 0.8]
                assert len(early) <= (2 if uri in owned else 1), (uri, early)

    run(test())


def test_an_owner_that_was_frozen_past_its_lease_stays_out(fleet):
    counting(fleet.upstream, "/nodes")

    async def test():
        async with fleet.client(0) as one, fleet.client(1) as two:
            for client in (one, two):
                await client.subscribe("/nodes")
                await client.content("/nodes")
            for _ in range(5 if SOAK else 1):
                frozen = await fleet.find_owner("/nodes")
                frozen.pause()
                paused = time.monotonic()
                await until(
                    lambda: fleet.upstream.count("/nodes", since=paused + 0.5),
                    "the other polls",
                    TAKEOVER + SLACK,
                )
                assert fleet.owner("/nodes") is not frozen
                frozen.resume()
                resumed = time.monotonic()
                await until(
                    lambda: fleet.upstream.count("/nodes", since=resumed) >= 8, "polls"
                )
                times = fleet.upstream.asked("/nodes", since=resumed)
                early = [gap for gap in gaps(times) if gap < fleet.interval * 0.8]
                assert not early, f"two polled at once: {gaps(times)}"
                await until(lambda: frozen.ready(), "the frozen one is ready again")

    run(test())


def test_an_owner_that_was_frozen_for_a_moment_goes_on(fleet):
    counting(fleet.upstream, "/nodes")

    async def test():
        async with fleet.client() as client:
            await client.subscribe("/nodes")
            await client.content("/nodes")
            owner = await fleet.find_owner("/nodes")
            owner.pause()
            await asyncio.sleep(1)
            owner.resume()
            held = client.held["/nodes"][1]["n"]
            await client.content("/nodes", lambda c: c["n"] >= held + 3)
            # It may have handed it over to a better placed one since; nobody took it.
            for poller in fleet.pollers:
                assert poller.metric("uricast_poller_takeovers_total") == 0
                assert poller.metric("uricast_poller_buried_total") == 0
            assert not [f for f in client.frames if "state" in f]

    run(test())


@pytest.mark.parametrize("what", ["leaves", "joins"])
def test_when_a_poller_leaves_or_joins_nobody_misses_a_beat(start_fleet, what):
    fleet = start_fleet(pollers=2 if what == "leaves" else 1)
    uris = [f"/r/{number}" for number in range(30)]
    for uri in uris:
        counting(fleet.upstream, uri)

    async def test():
        async with fleet.client() as client:
            await client.send({"action": "subscribe", "uris": uris})
            for uri in uris:
                await client.content(uri)
            await until(
                lambda: all(fleet.upstream.count(uri) >= 3 for uri in uris), "some polls"
            )
            since = time.monotonic() - fleet.interval
            if what == "leaves":
                leaver = fleet.pollers[0]
                leaver.terminate()
                assert await asyncio.to_thread(leaver.wait) == 0
            else:
                newcomer = fleet.new_poller().await_ready()
                await until(
                    lambda: any(fleet.owner(uri) is newcomer for uri in uris),
                    "the newcomer gets its share",
                )
            done = time.monotonic()
            await until(
                lambda: all(fleet.upstream.count(uri, done) >= 4 for uri in uris), "polls"
            )
            for uri in uris:
                times = fleet.upstream.asked(uri, since)
                assert max(gaps(times)) < fleet.interval * 2 + SLACK, (uri, gaps(times))
                early = [gap for gap in gaps(times) if gap < fleet.interval * 0.8]
                assert len(early) <= 1, (uri, early)
            assert not [f for f in client.frames if "state" in f]

    run(test())


def test_a_leaving_poller_leaves_nothing_of_its_session(fleet):
    counting(fleet.upstream, "/nodes")

    async def test():
        async with fleet.client() as client:
            await client.subscribe("/nodes")
            await client.content("/nodes")
            owner = await fleet.find_owner("/nodes")
            session = fleet.redis.owner_session("/nodes")
            owner.terminate()
            assert await asyncio.to_thread(owner.wait) == 0
            redis = fleet.redis.client
            await until(
                lambda: redis.zscore("uricast:pollers", session) is None,
                "the session has left the set",
            )
            assert not [key for key in fleet.redis.keys() if session in key]
            held = client.held["/nodes"][1]["n"]
            await client.content("/nodes", lambda c: c["n"] > held)

    run(test())


def test_a_killed_gateways_interest_ends_with_its_lease(fleet):
    counting(fleet.upstream, "/only")
    counting(fleet.upstream, "/both")

    async def test():
        lost, kept = fleet.client(0), fleet.client(1)
        await lost.__aenter__()
        async with kept:
            await lost.subscribe("/only")
            await lost.subscribe("/both")
            await kept.subscribe("/both")
            await lost.content("/only")
            await kept.content("/both")
            fleet.gateways[0].kill()
            await lost.close()
            redis = fleet.redis.client
            await until(
                lambda: not redis.exists("uricast:interest:/only"), "interest is reaped"
            )
            await until(
                lambda: not redis.exists("uricast:lock:/only"), "lock is given up"
            )
            ended = time.monotonic()
            held = kept.held["/both"][1]["n"]
            await kept.content("/both", lambda c: c["n"] > held + 3)
            assert fleet.upstream.count("/only", since=ended) == 0

    run(test())


def test_a_gateway_that_leaves_takes_its_interest_along(fleet):
    counting(fleet.upstream, "/nodes")

    async def test():
        async with fleet.client(0) as client:
            await client.subscribe("/nodes")
            await client.content("/nodes")
            fleet.gateways[0].terminate()
            assert await asyncio.to_thread(fleet.gateways[0].wait) == 0
            assert not fleet.redis.client.exists("uricast:interest:/nodes")

    run(test())


def test_after_everyone_was_killed_a_new_fleet_goes_on_where_it_was(fleet):
    counting(fleet.upstream, "/nodes")

    async def test():
        client = fleet.client(0)
        await client.__aenter__()
        await client.subscribe("/nodes")
        await client.content("/nodes")
        version = int(client.held["/nodes"][0])
        for process in fleet.gateways + fleet.pollers:
            process.kill()
        await client.close()
        for process in fleet.gateways + fleet.pollers:
            process.start()
        for process in fleet.gateways + fleet.pollers:
            process.await_ready()
        async with fleet.client(1) as again:
            await again.subscribe("/nodes")
            held = (await again.content("/nodes"))["n"]
            await again.content("/nodes", lambda c: c["n"] > held)
            assert int(again.held["/nodes"][0]) > version

    run(test())


def test_without_any_poller_that_is_said_and_taken_back(start_fleet):
    fleet = start_fleet(pollers=1)
    counting(fleet.upstream, "/nodes")

    async def test():
        async with fleet.client(0) as client, fleet.client(1) as late:
            await client.subscribe("/nodes")
            await client.content("/nodes")
            fleet.pollers[0].kill()
            stale = await client.state("/nodes", "stale")
            assert stale["error"]["code"] == "no_poller"
            await late.subscribe("/nodes")
            await late.state("/nodes", "stale")
            await late.content("/nodes")
            await late.subscribe("/fresh")
            error = await late.state("/fresh", "error")
            assert error["error"]["code"] == "no_poller"
            mark = client.mark()
            fleet.pollers[0].start().await_ready()
            await client.next_content("/nodes", mark)
            held = late.held["/nodes"][1]["n"]
            await late.content("/nodes", lambda c: c["n"] > held)

    run(test())
