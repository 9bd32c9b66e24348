"""Upstreams are treated well: what they ask for is heeded, and the dead are left alone."""

import asyncio
import bisect
import itertools
import time

import pytest

from harness import LINGER, SOAK, one_service, run, until
from upstream import Answer, gaps

RATE = 20  # requests a second


def busiest_second(times):
    """The most of @times that fall into any one second."""
    return max(
        bisect.bisect_left(times, at + 1.0) - index for index, at in enumerate(times)
    )


class Lag:
    """How long the upstream itself stood still, at worst: what came then counts later."""

    def __init__(self, upstream):
        self.worst = 0.0
        self.task = asyncio.run_coroutine_threadsafe(self.measure(), upstream.loop)

    async def measure(self):
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            self.worst = max(self.worst, time.monotonic() - before - 0.01)


def all_times(upstream, since=0.0):
    with upstream.lock:
        return sorted(r.at for r in upstream.requests if r.at >= since)


def test_a_rate_is_kept_by_the_whole_fleet_and_everybody_gets_a_turn(start_fleet):
    count = 200 if SOAK else 60
    fleet = start_fleet(
        gateways=1, pollers=3, config=lambda fleet: one_service(fleet, rate=f"{RATE}/s")
    )
    uris = [f"/{number}" for number in range(count)]
    for uri in uris:
        fleet.upstream.set(uri, {"n": 1})
    lag = Lag(fleet.upstream)

    def asked_since(mark):
        with fleet.upstream.lock:
            requests = [r.target for r in fleet.upstream.requests if r.at >= mark]
        return [requests.count(fleet.upstream.base + uri) for uri in uris]

    async def test():
        async with fleet.client() as client, fleet.client() as other:
            await client.send({"action": "subscribe", "uris": uris[::2]})
            await other.send({"action": "subscribe", "uris": uris[1::2]})
            await until(lambda: all(asked_since(0)), "everyone's first turn", 60)

            # Nobody is asked a third time before all have been asked a second time.
            start = time.monotonic()
            await until(
                lambda: min(asked_since(start)) >= 1, "everyone's second turn", 60
            )
            counts = asked_since(start)
            assert max(counts) <= 2, counts
            took = time.monotonic() - start
            assert count / took > RATE * 0.6, f"{count} requests took {took:.1f} s"

            killed = time.monotonic()
            fleet.pollers[0].kill()
            await until(
                lambda: min(asked_since(killed)) >= 1, "turns after the death", 60
            )

    run(test())
    lag.task.cancel()
    times = all_times(fleet.upstream)
    assert busiest_second(times) <= RATE * (1 + lag.worst)
    budget = fleet.redis.client.hgetall("uricast:provider:api")
    assert sum(key.startswith("part:") for key in budget) >= 2


def test_a_rate_costs_redis_nothing_per_poll(start_fleet):
    fleet = start_fleet(
        gateways=1,
        pollers=1,
        config=lambda fleet: one_service(fleet, interval="100ms", rate="400/s"),
    )
    uris = [f"/{number}" for number in range(20)]
    for uri in uris:
        fleet.upstream.set(uri, {"n": 1})

    async def test():
        async with fleet.client() as client:
            await client.send({"action": "subscribe", "uris": uris})
            for uri in uris:
                await client.content(uri)
            before = fleet.pollers[0].metric("uricast_redis_commands_total")
            mark = time.monotonic()
            await until(lambda: len(all_times(fleet.upstream, mark)) >= 400, "400 polls")
            took = time.monotonic() - mark
            commands = fleet.pollers[0].metric("uricast_redis_commands_total") - before
            assert commands < 20 + 12 * took, f"{commands} commands in {took:.1f} s"

    run(test())


def test_nothing_is_asked_beyond_what_was_granted_before_redis_went_away(start_fleet):
    fleet = start_fleet(
        gateways=1,
        pollers=1,
        config=lambda fleet: one_service(fleet, interval="100ms", rate="5/s"),
    )
    uris = [f"/{number}" for number in range(20)]
    for uri in uris:
        fleet.upstream.set(uri, {"n": 1})

    async def test():
        async with fleet.client() as client:
            await client.send({"action": "subscribe", "uris": uris})
            await until(lambda: len(all_times(fleet.upstream)) >= 5, "a second's polls")
            fleet.redis.pause()
            paused = time.monotonic()
            # What was granted is for this second and the next.
            await asyncio.sleep(2.5)
            assert not all_times(fleet.upstream, paused + 2.1)
            resumed = time.monotonic()
            fleet.redis.resume()
            await until(lambda: all_times(fleet.upstream, resumed), "polls again")

    run(test())


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_retry_after_holds_for_whoever_polls_next(start_fleet, end):
    wait = 8
    fleet = start_fleet(gateways=1, pollers=2, interval=0.2)
    waits = iter([1, wait])
    fleet.upstream.set_answer(
        "/nodes",
        lambda request: Answer(
            {}, status=503, headers={"Retry-After": str(next(waits, 1))}
        ),
    )

    async def test():
        async with fleet.client() as client:
            await client.subscribe("/nodes")
            await until(lambda: fleet.upstream.count("/nodes") == 2, "two polls")
            resource = fleet.redis.resource
            redis_ms = 1000 * fleet.redis.client.time()[0]
            await until(
                lambda: int(resource("/nodes")["not_before"]) > redis_ms + 5000,
                "the wait is stored",
            )
            owner = await fleet.find_owner("/nodes")
            getattr(owner, end)()
            await until(
                lambda: fleet.owner("/nodes") not in (None, owner), "another owner"
            )
            # Nor does anybody's wish make it earlier.
            await client.send({"action": "refresh", "uri": "/nodes"})
            await until(lambda: fleet.upstream.count("/nodes") >= 3, "the next poll")

    run(test())
    assert wait * 0.95 < gaps(fleet.upstream.asked("/nodes"))[1] < wait + 3


FRESH = {
    "/poll-interval": ({"X-Poll-Interval": "1"}, 1),
    "/max-age": ({"Cache-Control": "private, max-age=1"}, 1),
    "/max-age-of-what-is-old": ({"Cache-Control": "max-age=60", "Age": "59"}, 1),
    "/longer": ({"Cache-Control": "max-age=1", "X-Poll-Interval": "2"}, 1.5),
    "/no-cache": ({"Cache-Control": "no-cache, max-age=2"}, 0.04),
    "/two-lines": ({"Cache-Control": "max-age=1\r\nCache-Control: private"}, 1),
    "/no-store": ({"Cache-Control": "no-store\r\nCache-Control: max-age=2"}, 0.04),
    "/more-than-the-interval-may-be": ({"Cache-Control": "max-age=600"}, 1.5),
}


def test_what_an_upstream_says_of_freshness_is_a_lower_bound(start_fleet):
    interval = {"default": "200ms", "max": "1500ms"}
    fleet = start_fleet(
        gateways=1, pollers=1, config=lambda fleet: one_service(fleet, interval)
    )
    numbers = itertools.count()
    for uri, (headers, _) in FRESH.items():
        fleet.upstream.set_answer(
            uri,
            lambda request, headers=headers: Answer(
                {"n": next(numbers)}, headers=headers
            ),
        )

    async def test():
        async with fleet.client() as client:
            await client.send({"action": "subscribe", "uris": list(FRESH)})
            await until(
                lambda: all(fleet.upstream.count(uri) >= 3 for uri in FRESH),
                "three polls of each",
            )
            # Whoever wants it now gets it now.
            mark = time.monotonic()
            await client.send({"action": "refresh", "uris": list(FRESH)})
            for uri in FRESH:
                await until(lambda: fleet.upstream.count(uri, mark), "the refresh")

    run(test())
    for uri, (_, least) in FRESH.items():
        apart = gaps(fleet.upstream.asked(uri)[:3])
        assert min(apart) >= least * 0.95, (uri, apart)
        if least < 1:
            assert max(apart) < 1, (uri, apart)


def test_an_upstream_slower_than_the_interval_gets_as_long_a_pause(small_fleet):
    numbers = itertools.count()
    small_fleet.upstream.set_answer(
        "/slow", lambda request: Answer({"n": next(numbers)}, delay=0.7)
    )

    async def test():
        async with small_fleet.client() as client:
            await client.subscribe("/slow")
            await client.content("/slow", lambda c: c["n"] >= 2)
            # Gateways are told, so that nobody takes it for unconfirmed.
            told = int(small_fleet.redis.resource("/slow")["interval_ms"])
            assert told >= 1400
            assert not [f for f in client.frames if "state" in f]

    run(test())
    assert min(gaps(small_fleet.upstream.asked("/slow"))) >= 1.35


@pytest.mark.parametrize("status", [401, 403])
def test_who_is_denied_is_told_and_asks_again_slowly_or_when_told_to(small_fleet, status):
    small_fleet.upstream.set("/nodes", {}, status=status)

    async def test():
        async with small_fleet.client() as client:
            await client.subscribe("/nodes")
            error = await client.state("/nodes", "error")
            assert error["error"]["status"] == status
            parse = time.strptime
            since, retry_at = (
                time.mktime(parse(error["error"][key][:19], "%Y-%m-%dT%H:%M:%S"))
                for key in ("since", "retry_at")
            )
            assert retry_at - since >= 59
            asked = small_fleet.upstream.count("/nodes")
            small_fleet.upstream.set("/nodes", {"n": 1})
            small_fleet.redis.client.publish("uricast:wake", "poll /nodes")
            await client.content("/nodes")
            assert small_fleet.upstream.count("/nodes") == asked + 1

    run(test())


def two_services(fleet):
    return {
        "services": {
            "sick": {
                "url": f"http://127.0.0.1:{fleet.sick.port}/base",
                "raw": True,
                "interval": "1s",
                "limits": {"timeout": "1s"},
            },
            "well": {"url": fleet.upstream.url, "raw": True, "interval": "200ms"},
        }
    }


def start_two(start_fleet):
    def config(fleet):
        fleet.sick = fleet.add_upstream()
        return two_services(fleet)

    fleet = start_fleet(gateways=1, pollers=2, config=config)
    numbers = itertools.count()
    fleet.upstream.set_answer("/x", lambda request: Answer({"n": next(numbers)}))
    return fleet


def owners(fleet):
    return [p for p in fleet.pollers if p.metric("uricast_poller_resources") > 0]


def finds_down(poller):
    return poller.metric("uricast_poller_providers_down") == 1


def test_a_provider_that_is_down_is_probed_and_met_gently_when_it_is_back(start_fleet):
    count = 1000 if SOAK else 300
    dead_for = 60 if SOAK else 3
    fleet = start_two(start_fleet)
    paths = [f"/{number}" for number in range(count)]
    for path in paths:
        fleet.sick.set(path, {"n": 1})
    uris = [f"sick:{path}" for path in paths]

    def refused():
        polls = 'uricast_poller_polls_total{outcome="failed"}'
        return sum(poller.metric(polls) for poller in fleet.pollers)

    async def test():
        async with fleet.client() as well:
            clients = [await fleet.client().__aenter__() for _ in range(0, count, 100)]
            await well.subscribe("well:/x")
            for number, client in enumerate(clients):
                part = uris[number * 100 : number * 100 + 100]
                await client.send({"action": "subscribe", "uris": part})
            for uri, client in zip(uris, (c for c in clients for _ in range(100))):
                await client.content(uri)

            died = time.monotonic()
            fleet.sick.refuse()
            for uri, client in zip(uris, (c for c in clients for _ in range(100))):
                stale = await client.state(uri, "stale")
                assert stale["error"]["code"] == "upstream_connect"
            told = refused()
            # Those under way when it died, and a few for each poller to be sure.
            assert told < count / 2, f"{told} asked what one could have"
            await asyncio.sleep(max(0, died + dead_for - time.monotonic()))
            # Each poller's probe backs off: never more than some a minute.
            assert refused() - told <= 2 * (6 + dead_for / 12)
            assert all(finds_down(poller) for poller in owners(fleet))

            back = time.monotonic()
            fleet.sick.listen()
            for uri, client in zip(uris, (c for c in clients for _ in range(100))):
                await client.state(uri, "fresh")
            asked = [len(fleet.sick.asked(path, back)) for path in paths]
            took = time.monotonic() - back
            assert max(asked) <= 3 + took, asked
            for client in clients:
                await client.close()
            return died, time.monotonic()

    died, back = run(test(), 300)
    apart = gaps([at for at in fleet.upstream.asked("/x", died) if at < back])
    late = sorted(apart)[int(len(apart) * 0.99)]
    assert late < 0.6, f"the other provider was asked late: {late:.2f} s"


def test_a_provider_that_answers_nothing_is_probed_once_it_is_plain(start_fleet):
    fleet = start_two(start_fleet)
    paths = [f"/{number}" for number in range(60)]
    for path in paths:
        fleet.sick.set(path, {"n": 1})
    uris = [f"sick:{path}" for path in paths]

    async def test():
        async with fleet.client() as client:
            await client.send({"action": "subscribe", "uris": uris})
            for uri in uris:
                await client.content(uri)
            for path in paths:
                fleet.sick.set(path, silent=True)
            await until(
                lambda: all(finds_down(poller) for poller in owners(fleet)),
                "its pollers find it down",
            )
            for uri in uris:
                stale = await client.state(uri, "stale")
                assert stale["error"]["code"] == "upstream_timeout"
            for path in paths:
                fleet.sick.set(path, {"n": 2})
            for uri in uris:
                await client.content(uri, lambda c: c == {"n": 2})

    run(test())


def test_one_answer_keeps_a_provider_from_being_taken_for_down(start_fleet):
    fleet = start_two(start_fleet)
    hanging = [f"/hangs/{number}" for number in range(40)]
    for path in hanging:
        fleet.sick.set(path, silent=True)
    numbers = itertools.count()
    fleet.sick.set_answer("/fine", lambda request: Answer({"n": next(numbers)}))

    async def test():
        async with fleet.client() as client:
            await client.subscribe("sick:/fine")
            await client.content("sick:/fine")
            await client.send(
                {"action": "subscribe", "uris": [f"sick:{path}" for path in hanging]}
            )
            mark = (await client.content("sick:/fine"))["n"]
            await client.content("sick:/fine", lambda c: c["n"] > mark + 6)
            for path in hanging:
                await client.state(f"sick:{path}", "error")
            assert not [
                f for f in client.frames if f.get("uri") == "sick:/fine" and "state" in f
            ]

    run(test())


def test_a_provider_costs_nothing_but_while_it_is_watched(start_fleet):
    fleet = start_fleet(
        gateways=1, pollers=1, config=lambda fleet: one_service(fleet, rate="50/s")
    )
    fleet.upstream.set("/nodes", {"n": 1})
    poller = fleet.pollers[0]

    def parted():
        return fleet.redis.client.hget("uricast:provider:api", "parted")

    async def test():
        assert fleet.upstream.connections == 0
        assert parted() is None
        async with fleet.client() as client:
            await client.subscribe("/nodes")
            await client.content("/nodes")
            assert parted() is not None
        await until(
            lambda: poller.metric("uricast_poller_resources") == 0, "nothing owned"
        )
        asked, last = fleet.upstream.count("/nodes"), parted()
        renewals = poller.metric("uricast_redis_commands_total")
        await until(
            lambda: poller.metric("uricast_redis_commands_total") > renewals + 4,
            "some renewals",
        )
        assert fleet.upstream.count("/nodes") == asked
        assert parted() == last

    run(test())


def test_a_provider_that_nobody_watches_any_more_has_no_connection(start_fleet):
    def config(fleet):
        fleet.other = fleet.add_upstream()
        return {
            "services": {
                "left": {"url": fleet.upstream.url, "raw": True, "interval": "200ms"},
                "kept": {"url": fleet.other.url, "raw": True, "interval": "200ms"},
            }
        }

    fleet = start_fleet(gateways=1, pollers=1, config=config)
    for upstream in fleet.upstreams:
        upstream.set("/x", {"n": 1})
        upstream.set("/y", {"n": 1})

    async def test():
        async with fleet.client() as client:
            for uri in ("left:/x", "left:/y", "kept:/x"):
                await client.subscribe(uri)
                await client.content(uri)
            await client.unsubscribe("left:/x")
            polled = fleet.upstream.count("/y")
            await until(
                lambda: fleet.upstream.count("/y") >= polled + 5, "a second of polls"
            )
            await client.unsubscribe("left:/y")
            left = time.monotonic()
            await until(lambda: fleet.owner("left:/x") is None, "the first is released")
            assert len(fleet.upstream.writers) == 1
            await until(lambda: not fleet.upstream.writers, "no connection")
            assert time.monotonic() - left < LINGER + 5
            # The other provider's connection served all the while.
            assert (fleet.other.connections, len(fleet.other.writers)) == (1, 1)

            # Who comes back finds everything as before.
            fleet.upstream.set("/x", {"n": 2})
            await client.subscribe("left:/x")
            await client.content("left:/x", lambda c: c["n"] == 2)

    run(test())
