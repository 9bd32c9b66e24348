"""Fan-out: what one delivery costs a gateway, a bare server (floor.c), nchan and node's ws.

Each has as many clients of one address; changes are published to them in turn, in passes,
from Redis (nchan without it: by HTTP). What counts is the ratio to the floor inside of a
pass: the host may be noisy. Servers run on one core, everything else on another.
"""

import itertools
import os
import socket
import statistics
import sys
import time

from cores import CLIENT_CORE, SERVER_CORE, pin
from fanout_servers import kinds
from measure import Report, cpu_s, memory_bytes
from stage import until_now

SETTINGS = {
    "clients": "1000,10000",
    "sizes": "512,4096",
    "servers": "",  # default: all that can be had
    "deliveries": 100000,  # of a pass
    "passes": 5,
    "burst": 10000,
    "at_once": 4000,  # of them; the kernel's queue (somaxconn) has 4096 places
}
# A fan-out must be over before the next: what it takes for each client, at the least.
PAUSE_S = 0.000025
PAUSE_LEAST_S = 0.03


def listens(server):
    assert server.alive, f"{server.name} ended:\n{server.log()}"
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", server.port)) == 0


def start_server(stage, name, kind, size):
    """Returns it, with its publisher, when it takes connections and changes."""
    address = f"/{name}"
    server = stage.start(kind(stage, name, address))
    pin(server, SERVER_CORE)
    until_now(lambda: listens(server), f"{name} listens", 30)
    publisher = server.publisher(stage, address, size)
    until_now(publisher.publish, f"{name} takes what is published", 30)
    return server, publisher


def start_swarm(stage, server, clients, *options):
    swarm = stage.start_swarm(
        *("--clients", clients, "--template", f"/{server.name}", *options),
        *server.SWARM,
        gateways=[server],
    )
    pin(swarm, CLIENT_CORE)
    return swarm


class Side:
    """One of those that are compared, with its swarm and its publisher."""

    def __init__(self, stage, name, kind, clients, size):
        self.name = name
        self.clients = clients
        self.costs_us = []  # of a delivery, by pass
        self.server, self.publisher = start_server(stage, name, kind, size)
        empty = memory_bytes(self.server.pid)
        self.swarm = start_swarm(stage, self.server, clients)
        self.make_ready()
        self.memory = (memory_bytes(self.server.pid) - empty) / clients

    def make_ready(self):
        def ready():
            self.publisher.publish()
            time.sleep(max(PAUSE_LEAST_S, PAUSE_S * self.clients))
            return "ready after" in self.swarm.log()

        until_now(ready, f"all clients of {self.name} have content", 30)
        self.swarm.measure_anew()

    def run_pass(self, changes):
        before = cpu_s(self.server.pid)
        for _ in range(changes):
            self.publisher.publish()
            time.sleep(max(PAUSE_LEAST_S, PAUSE_S * self.clients))
        used = cpu_s(self.server.pid) - before
        self.costs_us.append(used * 1e6 / changes / self.clients)

    def end(self, stage, report):
        result = self.swarm.result()
        report.check_swarm(result)
        stage.stop(self.swarm)
        stage.stop(self.server)
        return result


def measure_deliveries(stage, settings, report, clients, size):
    label = f"{clients} clients, {size} B"
    sides = [
        Side(stage, name, kind, clients, size)
        for name, kind in chosen(settings).items()
    ]
    for _ in range(settings["passes"]):
        for side in sides:
            side.run_pass(max(1, settings["deliveries"] // clients))
    for side in sides:
        result = side.end(stage, report)
        report.spread(f"{label}: {side.name}", side.costs_us, "µs CPU per delivery")
        if side is not sides[0]:
            report.ratio(
                f"{label}: {side.name} / floor", side.costs_us, sides[0].costs_us
            )
        report.plot(
            *("CPU per delivery, N clients of one resource", "bars", "µs"),
            *("cpu", side.name, label, statistics.median(side.costs_us)),
        )
        delay = result["last_client_delay"]
        report.add(f"{label}: {side.name}, last client, p50", delay["p50_ms"], "ms")
        report.add(f"{label}: {side.name}, last client, p99", delay["p99_ms"], "ms")
        report.add(f"{label}: {side.name}, memory", side.memory, "B per connection")


def measure_burst(stage, settings, report):
    """All connect as fast as they can: handshakes, subscriptions, the first content."""
    clients = settings["burst"]
    for name, kind in chosen(settings).items():
        server, _ = start_server(stage, name, kind, 512)
        before = cpu_s(server.pid)
        at_once = min(clients, settings["at_once"])
        swarm = start_swarm(stage, server, clients, "--in-flight", at_once)
        until_now(lambda: "connected after" in swarm.log(), f"{name}: all connect", 60)
        used = cpu_s(server.pid) - before
        result = swarm.result()
        label = f"{clients} connect: {name}"
        report.add(label, clients / result["connected_s"], "per s")
        report.plot(
            *("Many connect", "bars", "connections per s", "burst"),
            *(name, f"{clients} clients", clients / result["connected_s"]),
        )
        report.add(f"{label}, CPU", used * 1e6 / clients, "µs each")
        report.check(f"{label}, failed", result["failed"] + result["lost"], 0)
        stage.stop(swarm)
        stage.stop(server)


def chosen(settings):
    found = kinds()
    names = settings["servers"].split(",") if settings["servers"] else list(found)
    return {name: found[name] for name in names if name in found}


def run(stage, settings):
    if (os.cpu_count() or 1) < 2:
        sys.exit("fanout needs two cores")
    report = Report()
    pin(stage.redis, CLIENT_CORE)
    stage.start_origin()
    clients = [int(text) for text in settings["clients"].split(",") if text]
    sizes = [int(text) for text in settings["sizes"].split(",") if text]
    for count, size in itertools.product(clients, sizes):
        measure_deliveries(stage, settings, report, count, size)
    if settings["burst"]:
        measure_burst(stage, settings, report)
    return report
