"""What one poll that finds nothing new costs, and how late polls are.

Memory: how often the poller's own code asks for some, counted from outside
(allocations.c), while it polls what does not change.

Flat out: a poller with more to do than it can, a bare epoll loop (poll.c) and wrk, with as
many connections each, ask an origin that answers 304, and one that sends 10 KB that never
change, in turn, in passes. What counts is the ratio inside of a pass.

Lateness: polls against their schedule, as the origin sees them, beside bare libuv timers
(timer.c), as many and as often, in the same seconds on the same core. A poll that comes
early counts as 0 late: a poller's idea of Redis's clock is up to a round trip ahead.
"""

import statistics
import sys
import time

import interest
import peers
from cores import CLIENT_CORE, SERVER_CORE, pin
from measure import Report, Window, cpu_s
from stage import TOOLS, Poller, Process, Tool, sleep, until_now

SETTINGS = {
    "resources": 10000,
    "interval_s": 0.25,
    "size": 10000,
    "connections": 64,
    "wrk": 1,
    "passes": 5,
    "seconds": 3.0,
    "lateness": "1000,5000,20000,50000,100000,200000",
    "lateness_interval_s": 10.0,
    "lateness_seconds": 20.0,
}
QUIET_S = 0.5  # a spread over which commits would be seen
ANSWERS = {"304": ["--etag"], "10 KB again": []}


def addresses(count):
    return [f"/r/{number}" for number in range(count)]


def start_poller(stage, interval_s, connections, prefix=()):
    """One that has to poll everything there is interest in."""
    config = stage.write_config(interval_s, {"concurrency": connections})
    poller = Poller("poller", stage.directory, stage.redis.url, "--config", config)
    poller.command = [*prefix, *poller.command]
    stage.pollers.append(stage.start(poller))
    pin(poller, SERVER_CORE)
    poller.await_ready()
    return poller


def await_polls(poller, resources):
    """Until everything was polled and nothing is new any more, for a while."""
    seen = 0

    def done():
        nonlocal seen
        before, seen = seen, poller.metric("uricast_poller_commits_total")
        time.sleep(QUIET_S)
        return seen >= resources and seen == before

    until_now(done, "everything was polled and is known", 600)


class Variant:
    """Somebody who polls, flat out, for a pass at a time."""

    def __init__(self, who, answer):
        self.name = f"{who}, {answer}"
        self.who = who
        self.answer = answer
        self.costs_us = []
        self.rates = []

    def start(self, stage, settings):
        """Returns the process, which is at it."""
        if self.who == "poller":
            stage.redis.client.flushall()
            interest.register(stage.redis.client, addresses(settings["resources"]))
            poller = start_poller(
                stage, settings["interval_s"], settings["connections"]
            )
            await_polls(poller, settings["resources"])
            return poller
        endpoint = f"127.0.0.1:{stage.origin.port}"
        command = [TOOLS / "bench-poll", "--provider", endpoint]
        command += ["--connections", settings["connections"]]
        command += ["--paths", settings["resources"]]
        if self.who == "wrk":
            header = 'If-None-Match: "0"' if self.answer == "304" else "X-None: 0"
            command = [*peers.wrk(), "-t", 1, "-c", settings["connections"]]
            command += ["-d", 60 + int(settings["seconds"])]
            command += ["-H", header, f"http://{endpoint}/r/0"]
        process = stage.start(Process(self.who, stage.directory, command))
        pin(process, SERVER_CORE)
        if self.who == "bare loop":
            until_now(lambda: "is known" in process.log(), "every path is known", 60)
        return process

    def run_pass(self, stage, settings):
        stage.start_origin("--size", settings["size"], *ANSWERS[self.answer])
        pin(stage.origin, CLIENT_CORE)
        process = self.start(stage, settings)
        time.sleep(0.5)
        before = cpu_s(process.pid), stage.origin.counts()["requests"], time.monotonic()
        time.sleep(settings["seconds"])
        after = cpu_s(process.pid), stage.origin.counts()["requests"], time.monotonic()
        used_s, polls, seconds = (new - old for old, new in zip(before, after))
        self.costs_us.append(used_s * 1e6 / polls)
        self.rates.append(polls / used_s)
        process.expected_end = True  # wrk has no status of its own for SIGTERM
        stage.stop(process)
        stage.stop(stage.origin)


def measure_costs(stage, settings, report):
    who = ["bare loop", "poller"]
    if settings["wrk"] and peers.wrk():
        who.append("wrk")
    variants = [Variant(name, answer) for answer in ANSWERS for name in who]
    for number in range(settings["passes"]):
        for variant in variants:
            variant.run_pass(stage, settings)
    floors = {
        variant.answer: variant for variant in variants if variant.who == "bare loop"
    }
    for variant in variants:
        floor = floors[variant.answer]
        report.spread(f"CPU of {variant.name}", variant.costs_us, "µs per poll")
        if variant is not floor:
            report.ratio(
                f"{variant.name} / bare loop", variant.costs_us, floor.costs_us
            )
        report.plot(
            *("CPU per poll that finds nothing new", "bars", "µs", "cpu"),
            *(variant.who, variant.answer, statistics.median(variant.costs_us)),
        )
        report.spread(f"polls of {variant.name}", variant.rates, "per s of a core")


def measure_allocations(stage, settings, report):
    """While many are polled ten times a second, but not more than can be done."""
    resources = 200
    path = stage.directory / "allocations"
    path.write_bytes(bytes(8))
    stage.redis.client.flushall()
    interest.register(stage.redis.client, addresses(resources))
    stage.start_origin("--etag")
    preload = f"LD_PRELOAD={TOOLS / 'bench-allocations.so'}"
    prefix = ["env", preload, f"URICAST_ALLOCATIONS={path}"]
    poller = start_poller(stage, 0.1, settings["connections"], prefix)
    await_polls(poller, resources)
    time.sleep(1)
    window = Window(stage)
    before = int.from_bytes(path.read_bytes(), sys.byteorder)
    sleep(settings["seconds"], "counting allocations")
    after = int.from_bytes(path.read_bytes(), sys.byteorder)
    window.end()
    polls = window.origin_requests()
    report.add(
        "allocations of the poller's own code", (after - before) / polls, "per poll"
    )
    report.add(
        "commands sent to Redis", window.redis_commands_sent() / polls, "per poll"
    )
    stage.stop(poller)
    stage.stop(stage.origin)


def measure_lateness(stage, settings, report, resources):
    interval_s = settings["lateness_interval_s"]
    interval_ms = int(interval_s * 1000)
    stage.redis.client.flushall()
    interest.register(stage.redis.client, addresses(resources))
    stage.start_origin("--etag", "--polled-every", interval_ms)
    pin(stage.origin, CLIENT_CORE)
    poller = start_poller(stage, interval_s, settings["connections"])
    await_polls(poller, resources)
    options = ["--timers", resources, "--interval", interval_ms]
    timers = stage.start(Tool("timers", stage.directory, "bench-timer", *options))
    pin(timers, SERVER_CORE)
    sleep(interval_s + 1, f"settling with {resources} resources")
    stage.origin.reset()
    window = Window(stage)
    sleep(settings["lateness_seconds"], "measuring")
    window.end()
    polls = stage.origin.counts()
    bare = timers.result()
    stage.stop(timers)
    label = f"{resources} resources"
    report.add(f"{label}: polls", window.origin_requests() / window.seconds, "per s")
    report.add(
        f"{label}: CPU of poller",
        window.cpu_s("poller") * 1e6 / max(window.origin_requests(), 1),
        "µs per poll",
    )
    report.add(f"{label}: CPU of Redis", window.cpu_share("redis"), "% core")
    report.add(
        f"{label}: commands sent to Redis",
        window.redis_commands_sent() / window.seconds,
        "per s",
    )
    for quantile in ("p50", "p99", "max"):
        name = f"{quantile}_ms"
        for who, lateness in (("polls", polls["lateness"]), ("bare timers", bare)):
            report.plot(
                *("How late: against the schedule, by resources", "lines", "ms"),
                *("lateness", f"{who}, {quantile}", resources, lateness[name]),
            )
        report.add(f"{label}: late, {quantile}", polls["lateness"][name], "ms")
        report.add(f"{label}: bare timers late, {quantile}", bare[name], "ms")
    report.add(
        f"{label}: late p99 / bare timers'",
        polls["lateness"]["p99_ms"] / max(bare["p99_ms"], 0.001),
    )
    report.check(f"{label}: failed polls", failed_polls(window), 0)
    stage.stop(poller)
    stage.stop(stage.origin)


def failed_polls(window):
    return window.metric('uricast_poller_polls_total{outcome="failed"}')


def run(stage, settings):
    report = Report()
    pin(stage.redis, CLIENT_CORE)
    measure_allocations(stage, settings, report)
    if settings["passes"] > 0:
        measure_costs(stage, settings, report)
    for resources in settings["lateness"].split(","):
        if resources:
            measure_lateness(stage, settings, report, int(resources))
    return report
