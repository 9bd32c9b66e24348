"""Conflation: one reader that takes a kilobyte a second among many that take all.

Two gateways of one fleet have as many fast readers of one address that changes all the
time; one of them has the slow reader as well. What does it hold for it, do its neighbours
wait longer than those at the other gateway, and does it end on the right value?
"""

import base64
import os
import pathlib
import socket
import sys
import time

from measure import Report, Window, memory_bytes
from stage import http_get, sleep, until_now

SETTINGS = {
    "clients": 500,
    "interval_s": 0.1,
    "change_every_ms": 170,
    "size": 20000,
    "bytes_per_s": 1000,
    "seconds": 60.0,
}
ADDRESS = "/r/0"
BOUND_BYTES = 1 << 20  # of memory for one slow reader; it was to be sent far more
RECEIVE_BUFFER = 4096


class SlowReader:
    def __init__(self, gateway):
        self.gateway = gateway
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.socket.connect(("127.0.0.1", gateway.port))
        self.socket.settimeout(5)
        self.received = b""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            "GET /ws HTTP/1.1",
            f"Host: 127.0.0.1:{gateway.port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
        ]
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        message = f'{{"action":"subscribe","uri":"{ADDRESS}"}}'.encode()
        head = bytes([0x81, 0x80 | len(message), 0, 0, 0, 0])
        self.socket.sendall(head + message)

    def take(self, most):
        piece = self.socket.recv(most)
        if not piece:
            sys.exit("conflation: the slow reader was closed")
        self.received += piece

    def waiting_bytes(self):
        """What the kernel keeps for it, on both sides of the connection."""
        own = self.socket.getsockname()[1]
        waiting = 0
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
            local, remote, _, queues = line.split()[1:5]
            ports = {int(end.split(":")[1], 16) for end in (local, remote)}
            if ports == {own, self.gateway.port}:
                waiting += sum(int(queue, 16) for queue in queues.split(":"))
        return waiting

    def holds(self, content):
        self.take(1 << 20)
        return content in self.received


class Watch:
    """The most that is held while the slow one reads."""

    def __init__(self, gateways, slow):
        self.gateways = gateways
        self.slow = slow
        self.before = [memory_bytes(gateway.pid) for gateway in gateways]
        self.grown = [0 for _ in gateways]
        self.waiting = 0

    def read(self, settings):
        end = time.monotonic() + settings["seconds"]
        while time.monotonic() < end:
            self.slow.take(settings["bytes_per_s"])
            for index, gateway in enumerate(self.gateways):
                grown = memory_bytes(gateway.pid) - self.before[index]
                self.grown[index] = max(self.grown[index], grown)
            self.waiting = max(self.waiting, self.slow.waiting_bytes())
            time.sleep(1)


def run(stage, settings):
    report = Report()
    stage.start_origin(
        *("--size", settings["size"], "--change-every", settings["change_every_ms"])
    )
    stage.start_fleet(settings["interval_s"], gateways=2, pollers=1)
    swarms = [
        stage.start_swarm("--clients", settings["clients"], gateways=[gateway])
        for gateway in stage.gateways
    ]
    for swarm in swarms:
        swarm.await_ready(60)
    sleep(5, "settling")

    slow = SlowReader(stage.gateways[1])
    slow.take(settings["bytes_per_s"])
    watch = Watch(stage.gateways, slow)
    window = Window(stage)
    for swarm in swarms:
        swarm.measure_anew()
    print(f"reading slowly: {settings['seconds']:g} s", file=sys.stderr, flush=True)
    watch.read(settings)
    window.end()
    stage.origin.freeze()
    sleep(2 * settings["interval_s"] + 1, "letting the last change arrive")
    path = f"/resource?uri={ADDRESS.replace('/', '%2F')}"
    last = http_get(stage.gateways[1].port, path).body
    until_now(lambda: slow.holds(last), "the slow one has the last content", 30)
    add_figures(report, settings, window, watch, [swarm.result() for swarm in swarms])
    return report


def add_figures(report, settings, window, watch, results):
    versions = results[1]["versions"]
    report.add("changes while it reads", versions)
    report.add("they would be for it", versions * settings["size"], "bytes")
    report.add(
        "it took", len(watch.slow.received), "bytes, the last ones at full speed"
    )
    report.add("contents it got", watch.slow.received.count(b'"version":"'))
    report.add(
        "contents passed over for it", window.metric("uricast_gateway_conflated_total")
    )
    report.add("memory of its gateway grew by at most", watch.grown[1], "bytes")
    report.add("memory of the other gateway", watch.grown[0], "bytes")
    report.add("in socket buffers for it at most", watch.waiting, "bytes")
    for name, what in (
        ("relay_delay", "answer of upstream to client"),
        ("delay", "change to client"),
    ):
        for quantile in ("p50_ms", "p99_ms", "max_ms"):
            for result, who in zip(results, ("without it", "beside it")):
                label = f"{what}, {quantile.removesuffix('_ms')}, {who}"
                report.add(label, result[name][quantile], "ms")
    report.check("memory for it is bounded", watch.grown[1] < BOUND_BYTES, True)
    for result in results:
        report.check_swarm(result)
