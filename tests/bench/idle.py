"""Idle: many addresses on one gateway and one poller, and nothing changes.

What it costs to hold them: Redis's commands and CPU, memory per resource.
"""

from measure import Report, Window, memory_bytes, redis_times
from stage import sleep

SETTINGS = {
    "addresses": 100000,
    "per_client": 100,
    "interval_s": 60.0,
    "size": 1000,
    "etag": 1,
    "settle_s": 20.0,
    "seconds": 60.0,
}


def run(stage, settings):
    report = Report()
    addresses = settings["addresses"]
    stage.start_origin(
        "--size", settings["size"], *(["--etag"] if settings["etag"] else [])
    )
    stage.start_fleet(settings["interval_s"], gateways=1, pollers=1)
    holders = [stage.redis, stage.gateways[0], stage.pollers[0]]
    empty = {process.name: memory_bytes(process.pid) for process in holders}

    window = Window(stage)
    swarm = subscribe_all(stage, settings)
    report.add("everybody has content after", swarm.await_ready(300), "s")
    add_costs_of_arrival(report, window.end(), addresses)
    sleep(settings["settle_s"], "settling")
    window = Window(stage)
    sleep(settings["seconds"], "measuring")
    window.end()

    add_figures(report, window, settings)
    for process in holders:
        used = memory_bytes(process.pid) - empty[process.name]
        report.add(f"memory of {process.name}", used / addresses, "bytes per resource")
    add_times(report, redis_times(stage.redis, settings["interval_s"] / 6))
    report.check_swarm(swarm.result())
    return report


def subscribe_all(stage, settings):
    addresses, per_client = settings["addresses"], settings["per_client"]
    return stage.start_swarm(
        *("--clients", addresses // per_client, "--per-client", per_client),
        *("--addresses", addresses, "--per-message", per_client),
    )


def add_costs_of_arrival(report, window, addresses):
    for process in window.stage.processes[:-1]:
        used = window.cpu_s(process.name) / addresses
        report.add(f"  CPU of {process.name} for it", used * 1e6, "µs per resource")


def add_times(report, times):
    for name, calls, each_us in times[:6]:
        report.add(f"Redis: {name}, calls", calls, "per s")
        report.add(f"Redis: {name}, each", each_us, "µs")


def add_figures(report, window, settings):
    seconds = window.seconds
    polls = window.origin_requests()
    due = settings["addresses"] * seconds / settings["interval_s"]
    report.add("polls", polls / seconds, "per s")
    report.add("polls per resource and interval", polls / due)
    report.add(
        "Redis: commands sent to it", window.redis_commands_sent() / seconds, "per s"
    )
    report.add(
        "Redis: with those inside of scripts",
        window.redis_commands() / seconds,
        "per s",
    )
    for name, calls in list(window.redis_calls().items())[:8]:
        report.add(f"  {name}", calls / seconds, "per s")
    report.add_cpu(window)
