"""Scale: what grows with subscribers, with resources and with gateways, and how fast.

A line is fitted through each series: what one more of them costs.
"""

import statistics
import time

import interest
from cores import CLIENT_CORE, SERVER_CORE, pin
from fanout_servers import RedisPublisher
from measure import Report, Window, memory_bytes
from poll import addresses, await_polls, start_poller
from stage import sleep

SETTINGS = {
    # One process may have 20 000 descriptors, and some are not clients'.
    "subscribers": "1,1000,5000,10000,18000",
    "changes": 20,
    "resources": "1,1000,10000,50000,100000,200000",
    "interval_s": 10.0,
    "gateways": "1,2,4,8",
    "clients_each": 500,
    "seconds": 10.0,
}


def numbers(text):
    return [int(word) for word in text.split(",") if word]


def add_slope(report, name, points, unit):
    """Of the least squares' line through (x, y)."""
    if len({x for x, _ in points}) > 1:
        report.add(name, statistics.linear_regression(*zip(*points)).slope, unit)


def publish_all(publisher, changes, clients):
    """One change at a time, each when the one before must be over."""
    for _ in range(changes):
        publisher.publish()
        time.sleep(max(0.03, clients * 0.000025))


def add_redis(report, label, window):
    seconds = window.seconds
    report.add(f"{label}: CPU of Redis", window.cpu_share("redis"), "% core")
    sent = window.redis_commands_sent() / seconds
    report.add(f"{label}: commands sent to Redis", sent, "per s")


def measure_subscribers(stage, settings, report):
    costs, memory = [], []
    for clients in numbers(settings["subscribers"]):
        stage.start_fleet(3600, gateways=1, pollers=0)
        gateway = stage.gateways[0]
        pin(gateway, SERVER_CORE)
        publisher = RedisPublisher(stage.redis.client, "/scale", 512)
        publisher.publish()
        empty = memory_bytes(gateway.pid)
        swarm = stage.start_swarm("--clients", clients, "--template", "/scale")
        pin(swarm, CLIENT_CORE)
        swarm.await_ready(120)
        swarm.measure_anew()
        memory.append((clients, memory_bytes(gateway.pid) - empty))
        window = Window(stage)
        publish_all(publisher, settings["changes"], clients)
        window.end()
        result = swarm.result()
        report.check_swarm(result)
        label = f"{clients} subscribers"
        used_us = window.cpu_s(gateway.name) * 1e6 / settings["changes"]
        costs.append((clients, used_us))
        report.plot(
            *("CPU of a gateway per change, by subscribers", "lines", "µs"),
            *("subscribers", "CPU", clients, used_us),
        )
        report.add(f"{label}: CPU of gateway", used_us, "µs per change")
        for quantile in ("p50", "p99"):
            delay = result["last_client_delay"][f"{quantile}_ms"]
            report.add(f"{label}: to the last of them, {quantile}", delay, "ms")
        add_redis(report, label, window)
        stage.stop(swarm)
        stage.stop(gateway)
    add_slope(report, "CPU of one more subscriber", costs, "µs per change")
    add_slope(report, "memory of one more subscriber", memory, "B")


def measure_resources(stage, settings, report):
    shares, memory, stored = [], [], []
    for resources in numbers(settings["resources"]):
        stage.redis.client.flushall()
        interest.register(stage.redis.client, addresses(resources))
        stage.start_origin("--etag")
        pin(stage.origin, CLIENT_CORE)
        poller = start_poller(stage, settings["interval_s"], 64)
        await_polls(poller, resources)
        sleep(settings["interval_s"] / 2 + 1, f"settling with {resources} resources")
        window = Window(stage)
        sleep(settings["seconds"], "measuring")
        window.end()
        label = f"{resources} resources"
        polls = window.origin_requests()
        report.add(f"{label}: polls", polls / window.seconds, "per s")
        report.add(
            f"{label}: CPU of poller",
            window.cpu_s("poller") * 1e6 / max(polls, 1),
            "µs per poll",
        )
        add_redis(report, label, window)
        report.plot(
            *("CPU of Redis by resources that do not change", "lines", "% of a core"),
            *("resources", "Redis", resources, window.cpu_share("redis")),
        )
        shares.append((resources, window.cpu_share("redis") * 1e4))
        memory.append((resources, memory_bytes(poller.pid)))
        stored.append((resources, memory_bytes(stage.redis.pid)))
        stage.stop(poller)
        stage.stop(stage.origin)
    add_slope(report, "CPU of Redis of one more resource", shares, "µs per s")
    add_slope(report, "memory of poller of one more resource", memory, "B")
    add_slope(report, "memory of Redis of one more resource", stored, "B")


def measure_gateways(stage, settings, report):
    costs = []
    stage.redis.client.flushall()
    for gateways in numbers(settings["gateways"]):
        stage.start_fleet(3600, gateways=gateways, pollers=0)
        publisher = RedisPublisher(stage.redis.client, "/scale", 10000)
        publisher.publish()
        clients = gateways * settings["clients_each"]
        swarm = stage.start_swarm("--clients", clients, "--template", "/scale")
        swarm.await_ready(60)
        swarm.measure_anew()
        window = Window(stage)
        end = time.monotonic() + settings["seconds"]
        changes = 0
        while time.monotonic() < end:
            publish_all(publisher, 1, clients)
            changes += 1
        window.end()
        result = swarm.result()
        report.check_swarm(result)
        label = f"{gateways} gateways"
        used_us = window.cpu_s("redis") * 1e6 / changes
        costs.append((gateways, used_us))
        report.plot(
            *("CPU of Redis per change, by gateways", "lines", "µs"),
            *("gateways", "Redis", gateways, used_us),
        )
        report.add(f"{label}: CPU of Redis", used_us, "µs per change")
        sent = window.redis_commands_sent() / window.seconds
        report.add(f"{label}: commands sent to Redis", sent, "per s")
        delay = result["last_client_delay"]["p99_ms"]
        report.add(f"{label}: to the last client, p99", delay, "ms")
        stage.stop(swarm)
        for gateway in list(stage.gateways):
            stage.stop(gateway)
    add_slope(report, "CPU of Redis of one more gateway", costs, "µs per change")


def run(stage, settings):
    report = Report()
    pin(stage.redis, CLIENT_CORE)
    stage.start_origin()
    measure_subscribers(stage, settings, report)
    measure_gateways(stage, settings, report)
    stage.stop(stage.origin)
    measure_resources(stage, settings, report)
    return report
