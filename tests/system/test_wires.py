"""One resource, one version, whatever the wire: clients that change wires under change,
and clients of any speed."""

import asyncio
import contextlib
import re
import socket
import sys

import pytest

from client import grew_back
from events import Events
from harness import SANITIZED, SOAK, http_get, run, until
from upstream import Answer

ROUNDS = 20 if SOAK else 4


class Wanderer:
    """Watches an address over one wire after the other, on any gateway, and notes what it
    was told of: versions in `versions`, what it holds last in `content`."""

    def __init__(self, fleet, uri):
        self.fleet = fleet
        self.uri = uri
        self.version = None
        self.content = None
        self.versions = []
        self.numbers = []
        self.turn = 0

    def gateway(self):
        self.turn += 1
        return self.fleet.gateways[self.turn % len(self.fleet.gateways)]

    def take(self, version, content):
        self.version = version
        self.content = content
        self.versions.append(version)
        self.numbers.append(content["n"])

    @contextlib.asynccontextmanager
    async def websocket(self):
        async with self.gateway().client() as client:
            self.hand_over_to(client)
            since = {"since": self.version} if self.version else {}
            await client.subscribe(self.uri, mode="patch", **since)
            await client.settle()
            yield client

    @contextlib.asynccontextmanager
    async def events(self):
        headers = {"Last-Event-ID": self.version} if self.version else {}
        events = self.gateway().events(self.uri, headers=headers, mode="patch")
        self.hand_over_to(events)
        async with events:
            yield events
            held = events.held.get(self.uri)
            assert held is None or not events.last_id or events.last_id == held[0]

    @contextlib.asynccontextmanager
    async def long_poll(self):
        yield LongPolls(self)

    def hand_over_to(self, client):
        """@client is to go on from here, and to tell us what it is told."""
        if self.version:
            client.held[self.uri] = (self.version, self.content)
        note = client._note

        def noting(text):
            note(text)
            if "version" in client.frames[-1]:
                self.take(*client.held[self.uri])

        client._note = noting

    def wires(self):
        return [self.websocket, self.events, self.long_poll]


class LongPolls:
    """Asks until it is told what is waited for."""

    def __init__(self, wanderer):
        self.wanderer = wanderer
        self.gateway = wanderer.gateway()

    async def content(self, uri, where):
        wanderer = self.wanderer
        while wanderer.content is None or not where(wanderer.content):
            headers = {"Prefer": "wait=20"}
            if wanderer.version:
                headers["If-None-Match"] = f'"{wanderer.version}"'
            response = await asyncio.to_thread(
                self.gateway.resource, uri, headers=headers
            )
            if response.status == 200:
                wanderer.take(response.headers["ETag"].strip('"'), response.json)
            else:
                assert response.status == 304


def padded(n):
    """So large that a patch is worth while."""
    return {"n": n, "padding": "abcdefghij" * 40}


def test_who_changes_wires_misses_no_change_and_gets_none_twice(fleet):
    fleet.upstream.set("/nodes", padded(0))

    async def test():
        wanderer = Wanderer(fleet, "/nodes")
        async with fleet.client() as witness:
            await witness.subscribe("/nodes")
            await witness.content("/nodes")
            n = 0
            for turn in range(ROUNDS * 3):
                async with wanderer.wires()[turn % 3]() as wire:
                    await wire.content("/nodes", lambda c: c["n"] == n)
                    # While it is connected, or about to ask.
                    n += 1
                    fleet.upstream.set("/nodes", padded(n))
                    await wire.content("/nodes", lambda c: c["n"] == n)
                    await witness.content("/nodes", lambda c: c["n"] == n)
                if turn % 2:
                    # While it is nowhere.
                    n += 1
                    fleet.upstream.set("/nodes", padded(n))
                    await witness.content("/nodes", lambda c: c["n"] == n)
            async with wanderer.events() as wire:
                await wire.content("/nodes", lambda c: c["n"] == n)
            assert wanderer.numbers == list(range(n + 1))
            assert wanderer.versions == [f["version"] for f in witness.frames]

    run(test(), deadline=600)


def test_who_changes_wires_under_constant_change_sees_it_in_order(start_fleet):
    fleet = start_fleet(interval=0.05)
    count = [0]

    def counting(request):
        count[0] += 1
        return Answer(padded(count[0]))

    fleet.upstream.set_answer("/nodes", counting)

    async def test():
        wanderer = Wanderer(fleet, "/nodes")
        async with fleet.client(0) as witness:
            await witness.subscribe("/nodes")
            await witness.content("/nodes")
            for turn in range(ROUNDS * 3):
                async with wanderer.wires()[turn % 3]() as wire:
                    seen = wanderer.content["n"] if wanderer.content else 0
                    await wire.content("/nodes", lambda c: c["n"] >= seen + 3)
            fleet.upstream.set("/nodes", padded("end"))
            async with wanderer.websocket() as wire:
                await wire.content("/nodes", lambda c: c["n"] == "end")
            await witness.content("/nodes", lambda c: c["n"] == "end")
            versions = wanderer.versions
            assert len(set(versions)) == len(versions)
            assert not any(grew_back(a, b) for a, b in zip(versions, versions[1:]))
            told = {f["version"]: f["content"]["n"] for f in witness.frames}
            for version, number in zip(versions, wanderer.numbers):
                assert told[version] == number
            assert versions[-1] == witness.held["/nodes"][0]

    run(test(), deadline=600)


# Slow readers.

FAST_READERS = 500 if SOAK else 30
CHANGES = 1500 if SOAK else 120
ROW_BYTES = 1000
ROWS = 100
BOUND_BYTES = 8 << 20  # far below what was sent to the slow one: CHANGES * 100 KB


class SlowReader:
    """Asks for whole contents, with small buffers, and takes 1 KB whenever it is told."""

    def __init__(self, gateway):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", gateway.port))
        self.socket.setblocking(False)
        self.received = b""
        self.parsed = 0
        self.is_websocket = False

    def websocket(self, gateway):
        self.is_websocket = True
        self.send_head(
            gateway,
            "/ws",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        )
        message = b'{"action":"subscribe","uri":"/rows"}'
        self.socket.sendall(bytes([0x81, 0x80 | len(message), 0, 0, 0, 0]) + message)
        return self

    def events(self, gateway):
        self.send_head(gateway, "/resource?uri=/rows", "Accept: text/event-stream")
        return self

    def send_head(self, gateway, target, *fields):
        lines = [f"GET {target} HTTP/1.1", f"Host: 127.0.0.1:{gateway.port}", *fields]
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")

    def take(self, most=1024):
        with contextlib.suppress(BlockingIOError):
            self.received += self.socket.recv(most)
        self.answer_pings()

    def answer_pings(self):
        """As a client must, but not before it has taken what comes before them."""
        while self.is_websocket and (frame := self.next_frame()):
            opcode, payload = frame
            if opcode == 0x9:
                head = bytes([0x8A, 0x80 | len(payload), 0, 0, 0, 0])
                self.socket.sendall(head + payload)

    def next_frame(self):
        """The opcode and payload behind the last one, or None while it is not whole."""
        if self.parsed == 0:
            self.parsed = self.received.find(b"\r\n\r\n") + 4
            if self.parsed < 4:
                self.parsed = 0
                return None
        head = self.received[self.parsed : self.parsed + 10]
        if len(head) < 10 and (
            len(head) < 2 or len(head) < {126: 4, 127: 10}.get(head[1], 2)
        ):
            return None
        start, length = 2, head[1]
        if length == 126:
            start, length = 4, int.from_bytes(head[2:4], "big")
        elif length == 127:
            start, length = 10, int.from_bytes(head[2:10], "big")
        start += self.parsed
        if len(self.received) < start + length:
            return None
        self.parsed = start + length
        return head[0] & 0x0F, self.received[start : start + length]

    def versions(self):
        return [int(v) for v in re.findall(rb'"version":"(\d+)"', self.received)]

    def complete(self, text):
        self.take(65536)
        return text in self.received


def rows_at(step):
    rows = [{"id": n, "text": "x" * ROW_BYTES} for n in range(ROWS)]
    rows[hash(step) % ROWS]["text"] = f"changed {step}"
    return rows


def own_memory(process):
    with open(f"/proc/{process.pid}/status") as file:
        for line in file:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    raise AssertionError("no RssAnon")


def version_of(text):
    return int(re.search(r'"version":"(\d+)"', text[:200]).group(1))


class FastReader:
    """Keeps versions only: hundreds of them share a core with the fleet."""

    def __init__(self, client):
        self.client = client
        self.versions = []
        client._note = lambda text: self.versions.append(version_of(text))


async def begin_fast_readers(gateway, stack):
    readers = []
    for number in range(FAST_READERS):
        wire = gateway.client() if number % 2 else gateway.events("/rows", mode="patch")
        readers.append(FastReader(wire))
        await stack.enter_async_context(wire)
        if not isinstance(wire, Events):
            await wire.subscribe("/rows", mode="patch")
    for reader in readers:
        await reader.client.until(lambda: reader.versions, "the first content")
    return readers


def test_slow_readers_cost_bounded_memory_and_nobody_else(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1, interval=0.05)
    fleet.upstream.set("/rows", rows_at(0))
    gateway = fleet.gateways[0]

    async def test():
        async with contextlib.AsyncExitStack() as stack:
            fast = await begin_fast_readers(gateway, stack)
            slow = [
                SlowReader(gateway).websocket(gateway),
                SlowReader(gateway).events(gateway),
            ]
            subscriptions = FAST_READERS + len(slow)
            name = "uricast_gateway_subscriptions"
            await until(lambda: gateway.metric(name) == subscriptions, "all of them")
            before = own_memory(gateway)
            most = 0
            for step in range(1, CHANGES + 1):
                fleet.upstream.set("/rows", rows_at(step))
                for reader in fast:
                    await reader.client.until(
                        lambda: len(reader.versions) == step + 1, f"change {step}"
                    )
                for reader in slow:
                    reader.take()
                most = max(most, own_memory(gateway) - before)
            # Each fast one was told of each change, once.
            for reader in fast:
                assert reader.versions == fast[0].versions
                assert len(set(reader.versions)) == CHANGES + 1
            assert gateway.metric("uricast_gateway_conflated_total") > 0
            if not SANITIZED:
                assert most < BOUND_BYTES, f"{most} bytes more"
            last = f"changed {CHANGES}".encode()
            for reader in slow:
                assert len(reader.versions()) < CHANGES / 2
                await until(lambda: reader.complete(last), "the last content")
                versions = reader.versions()
                assert versions == sorted(set(versions))
                assert versions[-1] == fast[0].versions[-1]
                reader.socket.close()

    run(test(), deadline=1800)


@pytest.mark.skipif(not SOAK, reason="takes two minutes")
@pytest.mark.parametrize("wire", ["websocket", "events"])
def test_who_takes_a_kilobyte_a_second_is_kept(start_fleet, wire):
    fleet = start_fleet(gateways=1, pollers=1, interval=0.2)
    count = [0]

    def counting(request):
        count[0] += 1
        return Answer(rows_at(count[0]))

    fleet.upstream.set_answer("/rows", counting)
    gateway = fleet.gateways[0]

    async def test():
        reader = getattr(SlowReader(gateway), wire)(gateway)
        for _ in range(120):
            await asyncio.sleep(1)
            reader.take()
        assert gateway.metric("uricast_gateway_slow_closed_total") == 0
        fleet.upstream.set("/rows", rows_at("end"))
        await until(lambda: reader.complete(b"changed end"), "the last content")
        versions = reader.versions()
        assert versions == sorted(set(versions))
        reader.socket.close()

    run(test())


@pytest.mark.parametrize("wire", ["websocket", "events"])
def test_who_takes_nothing_for_half_a_minute_is_closed(start_fleet, wire):
    fleet = start_fleet(gateways=1, pollers=1, interval=0.2)
    # More than all buffers on the way hold.
    fleet.upstream.set("/rows", [rows_at(n) for n in range(10)])
    gateway = fleet.gateways[0]

    async def test():
        reader = getattr(SlowReader(gateway), wire)(gateway)
        metrics = gateway.metrics
        closed = "uricast_gateway_slow_closed_total"
        await until(lambda: metrics()["uricast_gateway_subscriptions"] == 1, "its hold")
        await until(lambda: metrics()[closed] == 1, "its end", deadline=60)
        await until(lambda: gateway.clients() == 0, "it is gone")
        reader.socket.close()
        assert http_get(gateway.port, "/").status == 200

    run(test())


def segments_received(client):
    """With data in them, by the kernel's count: tcpi_data_segs_in of linux/tcp.h."""
    connection = client.socket.transport.get_extra_info("socket")
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
    return int.from_bytes(info[152:156], sys.byteorder)


def test_what_changes_at_once_reaches_a_client_with_few_sends(small_fleet):
    """The gateway is held up until many changes wait for it; then it sends them together."""
    fleet, count = small_fleet, 40
    gateway, poller = fleet.gateways[0], fleet.pollers[0]
    uris = [f"/together/{number}" for number in range(count)]

    def set_all(value):
        for uri in uris:
            fleet.upstream.set(uri, {"value": value})

    def arrived(client, value):
        held = [client.held.get(uri, (None, None))[1] for uri in uris]
        return held == [{"value": value}] * count

    async def watch():
        set_all(1)
        async with gateway.client() as client:
            await client.send({"action": "subscribe", "uris": uris})
            await client.until(lambda: arrived(client, 1), "everything is here")
            before = segments_received(client)
            committed = poller.metric("uricast_poller_commits_total")
            gateway.pause()
            set_all(2)
            await until(
                lambda: poller.metric("uricast_poller_commits_total")
                >= committed + count,
                "all changes are published",
            )
            gateway.resume()
            await client.until(lambda: arrived(client, 2), "all changes are here")
            assert segments_received(client) - before < 6

    run(watch())
