"""Fan-out: what one delivery costs a gateway, a bare server (floor.c), nchan and node's ws.

Each has as many clients of one address; changes are published to them in turn, in short
passes, from Redis (nchan without it: by HTTP). What counts is the ratio to the floor inside
of a pass: the host may be noisy. Where the kernel puts a thousand connections makes some 10 %,
so there are several rounds, each with new processes; a figure is the median of the rounds, a
round's that of its passes. Servers run on one core, everything else on another; clients stay
awake while messages come, so that no server pays for waking them.
"""

import itertools
import os
import random
import socket
import statistics
import sys

from cores import CLIENT_CORE, SERVER_CORE, pin
from fanout_servers import kinds
from measure import Report, await_rest, cpu_s, memory_bytes
from stage import until_now

SETTINGS = {
    "clients": "1000,10000",
    "sizes": "512,4096",
    "servers": "",  # default: all that can be had
    "deliveries": 10000,  # of a pass
    "passes": 6,  # of a round
    "rounds": 5,
    "burst": 10000,
    "at_once": 4000,  # of them; the kernel's queue (somaxconn) has 4096 places
}
CONNECT_S = 60
AWAKE_US = 2000  # longer than any server pauses in a fan-out


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
        self.swarm = start_swarm(stage, self.server, clients, "--awake", AWAKE_US)
        self.make_ready()
        self.memory = (memory_bytes(self.server.pid) - empty) / clients

    def saw(self, text):
        return text in self.swarm.log()

    def make_ready(self):
        def ready():
            self.deliver()
            return self.saw("ready after")

        connected = f"all clients of {self.name} are connected"
        until_now(lambda: self.saw("connected after"), connected, CONNECT_S)
        until_now(ready, f"all clients of {self.name} have content", CONNECT_S)
        self.swarm.measure_anew()

    def deliver(self):
        """One change, to the last of the clients; the server's CPU for it, in s."""
        before = cpu_s(self.server.pid)
        self.publisher.publish()
        await_rest(self.server)
        used = cpu_s(self.server.pid) - before
        await_rest(self.swarm)
        return used

    def run_pass(self, changes):
        used = sum(self.deliver() for _ in range(changes))
        self.costs_us.append(used * 1e6 / changes / self.clients)

    def end(self, stage, report):
        result = self.swarm.result()
        report.check_swarm(result)
        stage.stop(self.swarm)
        stage.stop(self.server)
        self.delay = result["last_client_delay"]


def run_round(stage, settings, report, clients, size, number):
    """With new processes; what became of each side."""
    order = list(chosen(settings).items())
    # Another one in every round: who comes after a heavy one finds the caches cold.
    random.Random(number).shuffle(order)
    sides = {name: Side(stage, name, kind, clients, size) for name, kind in order}
    changes = max(1, settings["deliveries"] // clients)
    # In a round always the same, each after as long a rest: after one, TCP acknowledges
    # every packet at once, and on loopback that is the sender's CPU.
    for _ in range(settings["passes"]):
        for side in sides.values():
            side.run_pass(changes)
    for side in sides.values():
        side.end(stage, report)
    return [sides[name] for name in chosen(settings)]


def measure_deliveries(stage, settings, report, clients, size):
    label = f"{clients} clients, {size} B"
    rounds = [
        run_round(stage, settings, report, clients, size, number)
        for number in range(settings["rounds"])
    ]
    floors = [sides[0] for sides in rounds]
    for place in range(len(rounds[0])):
        sides = [sides[place] for sides in rounds]
        name = sides[0].name
        costs_us = [statistics.median(side.costs_us) for side in sides]
        report.spread(f"{label}: {name}", costs_us, "µs CPU per delivery")
        if place > 0:
            ratios = [ratio_of(side, floor) for side, floor in zip(sides, floors)]
            report.spread(f"{label}: {name} / floor", ratios, "x")
        report.plot(
            *("CPU per delivery, N clients of one resource", "bars", "µs"),
            *("cpu", name, label, statistics.median(costs_us)),
        )
        for quantile in ("p50", "p99"):
            delay = statistics.median(side.delay[f"{quantile}_ms"] for side in sides)
            report.add(f"{label}: {name}, last client, {quantile}", delay, "ms")
        memory = statistics.median(side.memory for side in sides)
        report.add(f"{label}: {name}, memory", memory, "B per connection")


def ratio_of(side, floor):
    """By pass."""
    pairs = zip(side.costs_us, floor.costs_us)
    return statistics.median(cost / least for cost, least in pairs)


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
