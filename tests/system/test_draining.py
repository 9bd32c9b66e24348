"""Processes that are told to stop go in good order, and a fleet is rolled under load."""

import asyncio
import http.client
import itertools
import random
import signal
import threading
import time

import pytest
from websockets.exceptions import ConnectionClosed, WebSocketException

from client import Refused
from harness import run, until
from upstream import Answer

CLIENTS = 200  # while the fleet is rolled
URIS = [f"/r/{number}" for number in range(10)]


def drained_fleet(start_fleet, *options):
    fleet = start_fleet(gateways=1, pollers=1, interval=0.2, gateway_options=options)
    fleet.upstream.set("/nodes", {"n": 1})
    return fleet, fleet.gateways[0]


def readiness(gateway):
    answer = gateway.monitor("/readyz")
    return answer.status, answer.text.strip()


def test_a_gateway_serves_on_while_load_balancers_notice(start_fleet):
    fleet, gateway = drained_fleet(start_fleet, "--drain-delay", "60")

    async def test():
        gateway.terminate()
        await until(lambda: readiness(gateway) == (503, "draining"), "it says so")
        assert gateway.monitor("/healthz").status == 200
        async with fleet.client() as client:
            await client.subscribe("/nodes")
            await client.content("/nodes")
            fleet.upstream.set("/nodes", {"n": 2})
            await client.content("/nodes", lambda c: c["n"] == 2)
            assert gateway.resource("/nodes").status == 200
            gateway.terminate()
            await until(lambda: not client.open, "the second signal makes it quick")
            assert client.socket.close_code == 1012
            assert await asyncio.to_thread(gateway.wait) == 0

    run(test())


async def open_clients(stack, fleet, count):
    clients = [fleet.client() for _ in range(count)]
    for client in clients:
        await client.__aenter__()
        stack.append(client)
        await client.subscribe("/nodes")
    for client in clients:
        await client.content("/nodes")
    return clients


def test_clients_are_sent_away_evenly_and_served_until_then(start_fleet):
    spread = 4
    fleet, gateway = drained_fleet(start_fleet, "--drain", str(spread))

    async def test():
        stack = []
        clients = await open_clients(stack, fleet, 80)
        gateway.terminate()
        told = time.monotonic()
        gone = {}

        def note_gone():
            for client in clients:
                if not client.open:
                    gone.setdefault(client, time.monotonic() - told)
            return len(gone)

        await until(lambda: note_gone() >= 20, "a quarter has gone")
        fleet.upstream.set("/nodes", {"n": 2})
        await until(lambda: note_gone() == 80, "all have gone")
        assert await asyncio.to_thread(gateway.wait) == 0
        assert all(client.socket.close_code == 1012 for client in clients)
        assert all(client.socket.close_reason for client in clients)
        times = sorted(gone.values())
        assert spread * 0.35 < times[40] < spread * 0.75, times
        assert times[-1] > spread * 0.8, times
        last = max(gone, key=gone.get)
        assert last.held["/nodes"][1] == {"n": 2}
        assert not fleet.redis.client.exists("uricast:interest:/nodes")
        for client in stack:
            await client.close()

    run(test())


def test_streams_and_long_polls_end_with_a_last_word(start_fleet):
    fleet, gateway = drained_fleet(start_fleet, "--drain", "1s")
    answers = []

    def long_poll(tag):
        headers = {"If-None-Match": tag, "Prefer": "wait=60"}
        answers.append(gateway.resource("/nodes", headers=headers))

    async def test():
        async with gateway.events("/nodes") as events:
            await events.content("/nodes")
            begun_with = events.retry_ms
            tag = gateway.resource("/nodes").headers["ETag"]
            polls = [threading.Thread(target=long_poll, args=[tag]) for _ in range(3)]
            for poll in polls:
                poll.start()
            waiting = 'uricast_gateway_clients{wire="longpoll"}'
            await until(lambda: gateway.metric(waiting) == 3, "three wait")
            gateway.terminate()
            await until(lambda: not events.open, "the stream ends")
            assert events.closed_by is None
            assert begun_with >= 1000 and 100 <= events.retry_ms <= 1000
            await until(lambda: len(answers) == 3, "the long-polls are answered")
            for answer in answers:
                assert answer.status == 304
                assert answer.headers["ETag"] == tag
                assert answer.headers["Connection"] == "close"
            assert await asyncio.to_thread(gateway.wait) == 0

    run(test())


def test_whoever_comes_while_it_drains_is_told_to_go_elsewhere(start_fleet):
    fleet, gateway = drained_fleet(start_fleet, "--drain", "600s")

    async def test():
        idle = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
        idle.request("GET", "/")
        idle.getresponse().read()
        stack = []
        await open_clients(stack, fleet, 3)
        gateway.terminate()
        await until(lambda: not stack[0].open, "the first is sent away")
        assert stack[2].open
        for path in ("/", "/resource?uri=/nodes"):
            answer = gateway.get(path)
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "1"
            assert answer.headers["Connection"] == "close"
            assert answer.json["error"]["code"] == "draining"
        with pytest.raises(Refused) as refused:
            await fleet.client().__aenter__()
        assert refused.value.status == 503
        assert idle.sock.recv(100) == b"", "an idle connection is closed"
        refusals = 'uricast_gateway_clients_refused_total{reason="draining"}'
        assert gateway.metric(refusals) == 3
        gateway.popen.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(gateway.wait) == 0
        for client in stack:
            await client.close()

    run(test())


def test_a_terminal_does_not_wait(start_fleet):
    fleet, gateway = drained_fleet(start_fleet, "--drain-delay", "600", "--drain", "600")

    async def test():
        async with fleet.client() as client:
            await client.subscribe("/nodes")
            await client.content("/nodes")
            began = time.monotonic()
            for process in (gateway, fleet.pollers[0]):
                process.expected_end = True
                process.popen.send_signal(signal.SIGINT)
                assert await asyncio.to_thread(process.wait) == 0
            assert time.monotonic() - began < 5
            assert client.socket.close_code == 1012

    run(test())


def test_nobody_to_send_away_is_nothing_to_wait_for(start_fleet):
    fleet, gateway = drained_fleet(start_fleet, "--drain", "600")
    began = time.monotonic()
    gateway.terminate()
    assert gateway.wait() == 0
    assert time.monotonic() - began < 5


# ---- rolling ----


class Follower:
    """Watches one resource for ever, with any gateway that takes it."""

    def __init__(self, fleet, uri):
        self.fleet = fleet
        self.uri = uri
        self.held = None  # (version, content)
        self.wrong = []
        self.times_moved = 0

    async def follow(self):
        while True:
            client = random.choice(self.fleet.gateways).client()
            try:
                await client.__aenter__()
            except (Refused, OSError, WebSocketException):
                await asyncio.sleep(0.1)
                continue
            try:
                await self.watch(client)
            except ConnectionClosed:
                pass  # sent away before it has subscribed
            finally:
                await client.close()
            self.wrong += client.wrong
            self.times_moved += 1

    async def watch(self, client):
        since = {}
        if self.held:
            client.held[self.uri] = self.held
            since = {"since": self.held[0]}
        await client.subscribe(self.uri, mode="patch", **since)
        while client.open:
            self.held = client.held.get(self.uri, self.held)
            async with client.news:
                await client.news.wait()
        self.held = client.held.get(self.uri, self.held)


def polls_above_schedule(fleet, uri, since):
    """
    The most polls in any stretch of time, above one an interval. A poll that a busy machine
    makes late is followed by one in time: that is less than one above.
    """
    times = fleet.upstream.asked(uri, since=since)
    above = [number - at / fleet.interval for number, at in enumerate(times)]
    least = itertools.accumulate(above, min)
    return max(now - before for now, before in zip(above, least))


async def roll(fleet):
    for process in fleet.gateways + fleet.pollers:
        process.terminate()
        assert await asyncio.to_thread(process.wait) == 0
        process.start()
        await asyncio.to_thread(process.await_ready)


def test_rolling_every_process_loses_nothing_and_polls_no_more(start_fleet):
    fleet = start_fleet(
        gateways=3, pollers=3, interval=0.5, gateway_options=["--drain", "1"]
    )
    numbers = {uri: itertools.count(1) for uri in URIS}
    moving = True
    last = {}

    def answer(uri):
        def counting(request):
            if moving:
                last[uri] = next(numbers[uri])
            return Answer({"n": last[uri], "padding": "x" * 200})

        return counting

    for uri in URIS:
        fleet.upstream.set_answer(uri, answer(uri))

    async def test():
        nonlocal moving
        followers = [Follower(fleet, URIS[i % len(URIS)]) for i in range(CLIENTS)]
        tasks = [asyncio.ensure_future(f.follow()) for f in followers]
        await until(lambda: all(f.held for f in followers), "all have content", 60)
        began = time.monotonic()
        await roll(fleet)
        ended = time.monotonic()
        moving = False
        await until(
            lambda: all(f.held[1]["n"] == last[f.uri] for f in followers),
            "everybody has the last change",
        )
        for task in tasks:
            assert not task.done(), task.exception()
            task.cancel()
        assert not [text for f in followers for text in f.wrong]
        assert sum(f.times_moved for f in followers) >= CLIENTS
        for uri in URIS:
            # One poll more for each time that it was taken over.
            assert polls_above_schedule(fleet, uri, began) < len(fleet.pollers) + 1, uri
            polls = len([t for t in fleet.upstream.asked(uri, since=began) if t < ended])
            schedule = (ended - began) / fleet.interval + 1
            assert polls <= schedule + len(fleet.pollers), uri

    run(test(), 300)
