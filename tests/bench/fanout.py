"""Fan-out against the floor: what one delivery costs a gateway.

A gateway and a bare server (floor.c) each have as many clients of one address; changes are
published to them in turn, in passes, straight through Redis. What counts is the ratio
inside of a pass: the host may be noisy. Servers run on one core, everything else on another.
"""

import os
import statistics
import sys
import time

from measure import Report, cpu_s
from stage import TOOLS, Process, free_port, until_now

SETTINGS = {
    "clients": 1000,
    "size": 512,
    "changes": 100,
    "passes": 5,
    # Longer than a fan-out takes, so that changes do not meet.
    "pause_ms": 30,
}
SESSION = "bench"  # of the poller that we play
HOUR_MS = 3600000


class Floor(Process):
    def __init__(self, stage, address):
        self.port = free_port()
        command = [TOOLS / "bench-floor", "--port", self.port]
        command += ["--redis", stage.redis.port, "--address", address]
        super().__init__("floor", stage.directory, command)


class Publisher:
    """Plays the owner of one address: stores and publishes as commit.lua does."""

    def __init__(self, redis, address, size):
        self.redis = redis
        self.address = address
        self.size = size
        self.revision = 0
        redis.zadd("uricast:pollers", {SESSION: now_ms() + HOUR_MS})
        redis.set(f"uricast:lock:{address}", SESSION)

    def content(self):
        text = f'{{"at":{time.time_ns() // 1000},"revision":{self.revision},"pad":"'
        return text + "." * (self.size - len(text) - 2) + '"}'

    def publish(self):
        before, self.revision = self.revision, time.time_ns() // 1000
        content = self.content()
        stored = {"revision": self.revision, "version": self.revision, "state": "fresh"}
        stored |= {"type": "json", "checked_at": now_ms(), "interval_ms": HOUR_MS}
        header = f"{self.revision} {before} {self.revision} {before} fresh json "
        header += f"{now_ms()} {HOUR_MS} {len(content)} 0 0 {now_ms()}\n"
        pipeline = self.redis.pipeline()
        pipeline.hset(
            f"uricast:resource:{self.address}", mapping={**stored, "content": content}
        )
        pipeline.publish(f"uricast:change:{self.address}", header + content)
        pipeline.execute()


class Side:
    """One of the two that are compared, with its swarm and its publisher."""

    def __init__(self, stage, server, address, settings):
        self.server = server
        self.settings = settings
        self.costs_us = []  # of a delivery, by pass
        self.publisher = Publisher(stage.redis.client, address, settings["size"])
        self.swarm = stage.start_swarm(
            *("--clients", settings["clients"], "--template", address),
            gateways=[server],
        )
        os.sched_setaffinity(server.pid, {0})
        os.sched_setaffinity(self.swarm.pid, {1})
        self.make_ready()

    def make_ready(self):
        def ready():
            self.publisher.publish()
            time.sleep(0.1)
            return "ready after" in self.swarm.log()

        until_now(ready, f"all clients of {self.server.name} have content", 60)

    def run_pass(self):
        changes = self.settings["changes"]
        before = cpu_s(self.server.pid)
        for _ in range(changes):
            self.publisher.publish()
            time.sleep(self.settings["pause_ms"] / 1000)
        used = cpu_s(self.server.pid) - before
        self.costs_us.append(used * 1e6 / changes / self.settings["clients"])


def now_ms():
    return time.time_ns() // 1000000


def run(stage, settings):
    if (os.cpu_count() or 1) < 2:
        sys.exit("fanout needs two cores")
    report = Report()
    os.sched_setaffinity(stage.redis.pid, {1})
    stage.start_origin()
    stage.start_fleet(3600, gateways=1, pollers=0)
    floor = stage.start(Floor(stage, "/floor"))
    sides = [
        Side(stage, floor, "/floor", settings),
        Side(stage, stage.gateways[0], "/gateway", settings),
    ]
    for _ in range(settings["passes"]):
        for side in sides:
            side.run_pass()
    add_figures(report, *sides)
    for side in sides:
        report.check_swarm(side.swarm.result())
    return report


def add_figures(report, floor, gateway):
    ratios = [one / other for one, other in zip(gateway.costs_us, floor.costs_us)]
    report.add("CPU of floor", statistics.median(floor.costs_us), "µs per delivery")
    report.add("CPU of gateway", statistics.median(gateway.costs_us), "µs per delivery")
    report.add("gateway / floor, median of passes", statistics.median(ratios))
    report.add("gateway / floor, least", min(ratios))
    report.add("gateway / floor, most", max(ratios))
