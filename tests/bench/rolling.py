"""Every process of a fleet is stopped and started again, one by one, under its clients.

Each client connects again, to any gateway, with the version it holds. How long was it away,
does it end with the last change, and was the upstream asked more often than it should?
"""

import asyncio
import base64
import json
import os
import random
import re
import resource
import struct
import time

from harness import http_get
from measure import Report

SETTINGS = {
    "clients": 3000,
    "addresses": 100,
    "gateways": 3,
    "pollers": 3,
    "interval_s": 2.0,
    "change_every_ms": 3100,
    "size": 500,
    "drain_s": 5.0,  # the default of gateways
}

VERSION = re.compile(rb'^\{"uri":"([^"]+)","version":"(\d+)","content":')
AGAIN_S = 0.2  # clients wait up to this long before they connect, at random


class Viewer(asyncio.Protocol):
    """One client: its connection now, and what it holds."""

    def __init__(self, stage, address, loop):
        self.stage = stage
        self.address = address
        self.loop = loop
        self.version = 0
        self.content = None
        self.away_since = time.monotonic()
        self.times_away = []  # but for the first connect
        self.backwards = 0
        self.refused = 0
        self.ended = False
        self.connect()

    def connect(self):
        gateway = random.choice(self.stage.gateways)
        self.upgraded = False
        self.buffer = b""
        self.loop.create_task(self.try_connecting(gateway.port))

    async def try_connecting(self, port):
        try:
            await self.loop.create_connection(lambda: self, "127.0.0.1", port)
        except OSError:
            self.connect_later()

    def connect_later(self):
        if not self.ended:
            self.loop.call_later(random.uniform(0, AGAIN_S), self.connect)

    def connection_made(self, transport):
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )

    def connection_lost(self, error):
        if self.away_since is None:
            self.away_since = time.monotonic()
        self.connect_later()

    def send(self, opcode, payload):
        mask = os.urandom(4)
        length = len(payload)
        size = bytes([0x80 | length]) if length < 126 else struct.pack("!BH", 0xFE, length)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self.transport.write(bytes([0x80 | opcode]) + size + mask + masked)

    def data_received(self, data):
        self.buffer += data
        if not self.upgraded:
            head, end, rest = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head[:15]:
                self.refused += 1
                self.transport.close()
                return
            self.upgraded, self.buffer = True, rest
            message = {"action": "subscribe", "uri": self.address, "id": 1}
            if self.version:
                message["since"] = str(self.version)
            self.send(1, json.dumps(message).encode())
        while (frame := self.take_frame()) is not None:
            self.on_frame(*frame)

    def take_frame(self):
        if len(self.buffer) < 2:
            return None
        length, begin = self.buffer[1], 2
        if length == 126:
            begin = 4
            if len(self.buffer) < begin:
                return None
            (length,) = struct.unpack_from("!H", self.buffer, 2)
        if len(self.buffer) < begin + length:
            return None
        payload = self.buffer[begin : begin + length]
        opcode = self.buffer[0] & 15
        self.buffer = self.buffer[begin + length :]
        return opcode, payload

    def on_frame(self, opcode, payload):
        if opcode == 8:
            self.away_since = time.monotonic()
            self.send(8, payload[:2])
            self.transport.close()
        elif opcode == 9:
            self.send(10, payload)
        elif payload.startswith(b'{"id":1,"ok":true'):
            if self.version:
                self.times_away.append(time.monotonic() - self.away_since)
            self.away_since = None
        elif match := VERSION.match(payload):
            version = int(match.group(2))
            self.backwards += version < self.version
            self.version = version
            self.content = payload[match.end() : -1]

    def end(self):
        self.ended = True
        self.transport.abort()


async def until(condition, what, deadline):
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"not within {deadline} s: {what}"
        await asyncio.sleep(0.05)


async def roll(stage, report):
    for process in stage.gateways + stage.pollers:
        began = time.monotonic()
        process.terminate()
        status = await asyncio.to_thread(process.wait, 60)
        report.check(f"status of {process.name}", status, 0)
        process.start()
        await asyncio.to_thread(process.await_ready)
        report.add(f"{process.name} stopped and ready again", time.monotonic() - began, "s")


async def measure(stage, settings, report):
    loop = asyncio.get_running_loop()
    addresses = [f"/rolling/{number}" for number in range(settings["addresses"])]
    viewers = []
    for number in range(settings["clients"]):
        viewers.append(Viewer(stage, addresses[number % len(addresses)], loop))
        if number % 100 == 99:
            await asyncio.sleep(0.05)
    await until(lambda: all(v.content for v in viewers), "everybody has content", 120)

    began, requests = time.monotonic(), stage.origin.counts()["requests"]
    await roll(stage, report)
    requests = stage.origin.counts()["requests"] - requests
    seconds = time.monotonic() - began

    stage.origin.freeze()
    last = {
        address: http_get(stage.origin.port, address).body.strip() for address in addresses
    }
    wait_s = 2 * settings["interval_s"] + 10
    try:
        everybody = "everybody has the last change"
        await until(
            lambda: all(v.content.strip() == last[v.address] for v in viewers),
            everybody,
            wait_s,
        )
    except AssertionError:
        pass
    lost = sum(v.content.strip() != last[v.address] for v in viewers)
    for viewer in viewers:
        viewer.end()
    add_figures(report, settings, viewers, seconds, requests, lost)


def add_figures(report, settings, viewers, seconds, requests, lost):
    away = sorted(time_away for viewer in viewers for time_away in viewer.times_away)
    scheduled = settings["addresses"] * (seconds / settings["interval_s"] + 1)
    takeovers = settings["addresses"] * settings["pollers"]
    report.add("the whole took", seconds, "s")
    report.add("times that a client was sent away", len(away))
    report.add("away, p50", 1000 * away[len(away) // 2], "ms")
    report.add("away, p99", 1000 * away[len(away) * 99 // 100], "ms")
    report.add("away, max", 1000 * away[-1], "ms")
    report.add("connects refused meanwhile", sum(viewer.refused for viewer in viewers))
    report.add("clients without the last change", lost)
    report.add("polls", requests)
    report.add("polls above schedule", max(0, requests - scheduled))
    report.check("clients without the last change", lost, 0)
    report.check("versions that went back", sum(v.backwards for v in viewers), 0)
    report.check(
        "polls within schedule and takeovers", requests <= scheduled + takeovers, True
    )


def run(stage, settings):
    report = Report()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    stage.start_origin(
        *("--size", settings["size"], "--etag"),
        *("--change-every", settings["change_every_ms"]),
    )
    stage.gateway_options = ["--drain", settings["drain_s"]]
    stage.start_fleet(settings["interval_s"], settings["gateways"], settings["pollers"])
    asyncio.run(measure(stage, settings, report))
    return report
