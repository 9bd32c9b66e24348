"""A provider that is dead for a minute while a thousand of its resources are watched."""

import asyncio
import bisect
import itertools
import time

import pytest

from harness import SOAK, run, until
from upstream import Answer

COUNT = 1000
PER_CLIENT = 100
DEAD = 60  # seconds
INTERVAL = 5  # seconds, of the one that dies
OTHERS = 20  # addresses of the one that is well
OTHER_INTERVAL = 0.5


def two_services(fleet):
    fleet.sick = fleet.add_upstream()
    sick = {"url": fleet.sick.url, "raw": True, "interval": f"{INTERVAL}s"}
    sick["limits"] = {"timeout": "2s"}
    well = {"url": fleet.upstream.url, "raw": True, "interval": f"{OTHER_INTERVAL}s"}
    return {"services": {"sick": sick, "well": well}}


class Refusing:
    """Its port is closed: only the pollers know how often they tried."""

    code = "upstream_connect"

    def __init__(self, fleet, paths):
        self.fleet = fleet

    def die(self):
        self.fleet.sick.refuse()

    def recover(self):
        self.fleet.sick.listen()

    def asked(self):
        name = 'uricast_poller_polls_total{outcome="failed"}'
        return sum(poller.metric(name) for poller in self.fleet.pollers)


class Hanging:
    """It takes every request and answers none."""

    code = "upstream_timeout"

    def __init__(self, fleet, paths):
        self.sick = fleet.sick
        self.paths = paths

    def die(self):
        for path in self.paths:
            self.sick.set(path, silent=True)

    def recover(self):
        for path in self.paths:
            self.sick.set(path, {"n": 1})

    def asked(self):
        return len(self.sick.targets())


def most_within(times, seconds):
    times = sorted(times)
    return max(
        bisect.bisect_left(times, at + seconds) - index
        for index, at in enumerate(times)
    )


def lateness(upstream, paths, since, until_at):
    """By how much polls came later than an interval after the one before."""
    late = []
    for path in paths:
        times = [at for at in upstream.asked(path, since) if at < until_at]
        assert len(times) > (until_at - since) / OTHER_INTERVAL * 0.8, path
        late += [b - a - OTHER_INTERVAL for a, b in zip(times, times[1:])]
    return sorted(late)


@pytest.mark.skipif(not SOAK, reason="takes two minutes")
@pytest.mark.parametrize("kind", [Refusing, Hanging])
def test_a_provider_dead_for_a_minute_is_left_alone_and_met_gently(start_fleet, kind):
    fleet = start_fleet(gateways=1, pollers=2, config=two_services)
    paths = [f"/{number}" for number in range(COUNT)]
    others = [f"/{number}" for number in range(OTHERS)]
    for path in paths:
        fleet.sick.set(path, {"n": 1})
    numbers = itertools.count()
    for path in others:
        fleet.upstream.set_answer(path, lambda request: Answer({"n": next(numbers)}))
    death = kind(fleet, paths)

    async def for_all(clients, what):
        """@what(client, uri) of every address of the sick one."""
        for number, path in enumerate(paths):
            await what(clients[number // PER_CLIENT], f"sick:{path}")

    async def test():
        clients = []
        for start in range(0, COUNT, PER_CLIENT):
            client = await fleet.client().__aenter__()
            part = [f"sick:{path}" for path in paths[start : start + PER_CLIENT]]
            await client.send({"action": "subscribe", "uris": part})
            clients.append(client)
        async with fleet.client() as well:
            uris = [f"well:{path}" for path in others]
            await well.send({"action": "subscribe", "uris": uris})
            await for_all(clients, lambda client, uri: client.content(uri))
            for uri in uris:
                await well.content(uri)

            before, died = death.asked(), time.monotonic()
            death.die()
            await until(
                lambda: sum(
                    poller.metric("uricast_poller_providers_down")
                    for poller in fleet.pollers
                )
                == len(fleet.pollers),
                "both pollers find it down",
            )
            found_down, until_down = time.monotonic(), death.asked() - before

            async def stale(client, uri):
                frame = await client.state(uri, "stale", deadline=60)
                assert frame["error"]["code"] == death.code

            await for_all(clients, stale)
            all_told = time.monotonic()
            await asyncio.sleep(max(0, died + DEAD - time.monotonic()))
            while_down = death.asked() - before - until_down

            back = time.monotonic()
            marks = {client: client.mark() for client in clients}
            death.recover()
            await for_all(
                clients,
                lambda client, uri: client.state(
                    uri, "fresh", after=marks[client], deadline=60
                ),
            )
            fresh = time.monotonic()
            for client in clients:
                await client.close()
                client.check()

        met = [at for path in paths for at in fleet.sick.asked(path, back)[:1]]
        late = lateness(fleet.upstream, others, died, fresh)
        late_p99 = late[int(len(late) * 0.99)]
        print(
            f"{kind.__name__}: found down after {found_down - died:.1f} s and "
            f"{until_down:.0f} requests, then {while_down:.0f} in "
            f"{back - found_down:.0f} s; all told after {all_told - died:.1f} s; "
            f"met by {most_within(met, 1.0)} requests in the busiest second "
            f"({most_within(met, 0.1)} in 0.1 s), all fresh after {fresh - back:.1f} s; "
            f"{len(late)} polls of the other, late by {late_p99 * 1000:.0f} ms (p99)"
        )
        # What one interval brings until it is plain, then one at a time, backing off.
        assert until_down < COUNT / 2
        assert while_down <= len(fleet.pollers) * (6 + DEAD / 12)
        # As in any second while all is well, but for the dice.
        assert most_within(met, 1.0) < 2.5 * COUNT / INTERVAL
        # A probe is due within 15 s, +20 %; the rest within an interval.
        assert fresh - back < 18 + INTERVAL + 10
        assert late_p99 < OTHER_INTERVAL

    run(test(), 300)
