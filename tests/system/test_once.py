"""However many watch, on however many gateways: the upstream is asked once per interval."""

import asyncio
import contextlib
import statistics
import time

from harness import LINGER, run, until
from upstream import Answer


def check_pace(times, interval, extra=1):
    """
    @times are polls of one resource: no faster than its interval, but for @extra that may
    come out of turn: the first of all, and one for each takeover.
    """
    gaps = [after - before for before, after in zip(times, times[1:])]
    early = [gap for gap in gaps if gap < interval * 0.8]
    assert len(early) <= extra, f"polled too often: {early} of {len(gaps)} gaps"


@contextlib.asynccontextmanager
async def watchers(fleet, count, uri, **more):
    """@count clients of @uri, spread over the gateways, each with the content."""
    async with contextlib.AsyncExitStack() as stack:
        clients = []
        for number in range(count):
            clients.append(await stack.enter_async_context(fleet.client(number)))
        for client in clients:
            await client.subscribe(uri, **more)
        for client in clients:
            await client.content(uri)
        yield clients


def test_a_hundred_watchers_cost_the_upstream_one_poll_per_interval(fleet):
    numbers = iter(range(10**6))
    fleet.upstream.set_answer("/nodes", lambda request: Answer({"n": next(numbers)}))

    async def test():
        async with watchers(fleet, 100, "/nodes") as clients:
            started = time.monotonic()
            await asyncio.sleep(6 * fleet.interval)
            seconds = time.monotonic() - started
            polls = fleet.upstream.count("/nodes", since=started)
            expected = seconds / fleet.interval
            assert expected - 2 <= polls <= expected + 1
            last = fleet.upstream.count("/nodes") - 1
            for client in clients:
                await client.content("/nodes", lambda c: c["n"] >= last)
        check_pace(fleet.upstream.asked("/nodes"), fleet.interval)

    run(test())


def test_a_burst_of_first_subscribers_makes_one_fetch(start_fleet):
    fleet = start_fleet(interval=30)
    fleet.upstream.set("/nodes", {"n": 1}, delay=0.3)

    async def test():
        async with watchers(fleet, 100, "/nodes"):
            assert fleet.upstream.count("/nodes") == 1

    run(test())


def test_who_comes_late_has_the_state_at_once_and_causes_no_poll(start_fleet):
    fleet = start_fleet(interval=30)
    fleet.upstream.set("/nodes", {"rows": [{"id": n} for n in range(200)]})

    async def test():
        took = []
        async with watchers(fleet, 1, "/nodes"):
            for number in range(20):
                async with fleet.client(number) as late:
                    started = time.monotonic()
                    await late.subscribe("/nodes")
                    await late.content("/nodes")
                    took.append((late.times[0] - started) * 1000)
            assert fleet.upstream.count("/nodes") == 1
        print(f"late subscribers waited {min(took):.1f} to {max(took):.1f} ms")
        assert min(took) < 50
        assert statistics.median(took) < 250

    run(test())


def test_when_the_last_watcher_leaves_the_polling_stops(fleet):
    fleet.upstream.set("/nodes", {"n": 1})

    async def test():
        async with watchers(fleet, 4, "/nodes"):
            await until(lambda: fleet.upstream.count("/nodes") >= 3, "some polls")
        left = time.monotonic()
        lock = "uricast:lock:/nodes"
        redis = fleet.redis.client
        await until(lambda: not redis.exists(lock), "the lock is released")
        # Nobody asks during the linger: the last polls were under way as they left.
        assert fleet.upstream.count("/nodes", since=left + 1.5) == 0
        assert time.monotonic() - left < LINGER + 10
        assert not redis.exists("uricast:interest:/nodes")
        assert not redis.sismember("uricast:unclaimed", "/nodes")
        assert 0 < redis.pttl("uricast:resource:/nodes") <= 60_000

    run(test())


def test_who_comes_back_within_the_linger_finds_the_lock_still_held(start_fleet):
    fleet = start_fleet(pollers=1)
    fleet.upstream.set("/nodes", {"n": 1})

    async def test():
        async with watchers(fleet, 1, "/nodes"):
            session = fleet.redis.owner_session("/nodes")
        fleet.upstream.set("/nodes", {"n": 2})
        async with watchers(fleet, 1, "/nodes") as clients:
            await clients[0].content("/nodes", lambda c: c["n"] == 2)
            assert fleet.redis.owner_session("/nodes") == session
            assert fleet.pollers[0].metric("uricast_poller_releases_total") == 0
        check_pace(fleet.upstream.asked("/nodes"), fleet.interval, extra=2)

    run(test())


def test_who_comes_just_as_the_last_one_leaves_is_served(small_fleet):
    small_fleet.upstream.set("/nodes", {"n": 1})

    async def test():
        for _ in range(10):
            async with small_fleet.client() as client:
                for step in range(10):
                    mark = client.mark()
                    await client.subscribe("/nodes")
                    await client.next_content("/nodes", mark, deadline=10)
                    await client.unsubscribe("/nodes")
                    await asyncio.sleep(step / 2000)
        for step in range(100):
            gateway = small_fleet.gateways[0]
            response = await asyncio.to_thread(gateway.resource, "/nodes", deadline=10)
            assert response.json == {"n": 1}
            await asyncio.sleep(step % 10 / 2000)

    run(test())


def test_unsubscribing_ends_interest_like_leaving_does(fleet):
    fleet.upstream.set("/nodes", {"n": 1})

    async def test():
        async with fleet.client(0) as one, fleet.client(1) as two:
            for client in (one, two):
                await client.subscribe("/nodes")
                await client.content("/nodes")
            await one.unsubscribe("/nodes")
            since = time.monotonic()
            await until(
                lambda: fleet.upstream.count("/nodes", since=since) >= 3,
                "polls go on for the other",
            )
            await two.unsubscribe("/nodes")
            lock = "uricast:lock:/nodes"
            await until(lambda: not fleet.redis.client.exists(lock), "release")

    run(test())


def test_the_shortest_interval_asked_for_counts(start_fleet):
    fleet = start_fleet(interval=5)
    fleet.upstream.set("/nodes", {"n": 1})

    async def test():
        async with fleet.client(0) as slow, fleet.client(1) as fast:
            await slow.subscribe("/nodes")
            await slow.content("/nodes")
            granted = await fast.ask(
                {"action": "subscribe", "uri": "/nodes", "interval": 1}
            )
            assert granted["interval"] == 1
            since = time.monotonic()
            await until(
                lambda: fleet.upstream.count("/nodes", since=since) >= 4, "faster polls"
            )
            # Four of the slow one's would take 15 s at the least.
            assert time.monotonic() - since < 10
            await fast.unsubscribe("/nodes")
            # The slow one's interval is back: at most a poll that was already due.
            since = time.monotonic() + 1.1
            await asyncio.sleep(4.5)
            assert fleet.upstream.count("/nodes", since=since) <= 1

    run(test())


def test_many_resources_are_shared_out_and_each_polled_once(fleet):
    uris = [f"/r/{number}" for number in range(120)]
    for uri in uris:
        fleet.upstream.set(uri, {"uri": uri})

    async def test():
        async with fleet.client(0) as one, fleet.client(1) as two:
            for client in (one, two):
                await client.send({"action": "subscribe", "uris": uris})
                for uri in uris:
                    assert await client.content(uri) == {"uri": uri}
            await until(
                lambda: all(fleet.upstream.count(uri) >= 4 for uri in uris), "polls"
            )
            owned = [p.metric("uricast_poller_resources") for p in fleet.pollers]
            assert sum(owned) == len(uris)
            assert min(owned) > len(uris) / 5, f"shared out badly: {owned}"
        for uri in uris:
            check_pace(fleet.upstream.asked(uri), fleet.interval)

    run(test())
