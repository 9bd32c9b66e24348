"""End to end: from the upstream's answer to the last subscriber, through the whole fleet.

Many subscribers of many large resources that are polled twice a second; each time another
fifth of every resource has changed. Subscribers take patches. In the end each of them must
hold the newest version, having been told the same as all others, and that version must be
what the upstream says.
"""

import urllib.parse

from harness import http_get
from measure import Report, Window
from stage import sleep, until_now

SETTINGS = {
    "subscribers": 3000,
    "resources": 100,
    "size": 50000,
    "interval_s": 0.5,
    "gateways": 2,
    "pollers": 1,
    "patches": 1,
    "seconds": 30.0,
}


def run(stage, settings):
    report = Report()
    interval_ms = int(settings["interval_s"] * 1000)
    stage.start_origin(
        *("--size", settings["size"], "--etag", "--changing-rows"),
        *("--change-every", interval_ms),
    )
    stage.start_fleet(
        settings["interval_s"],
        settings["gateways"],
        settings["pollers"],
        {"concurrency": 64},
    )
    swarm = stage.start_swarm(
        *("--clients", settings["subscribers"], "--addresses", settings["resources"]),
        *(["--patches"] if settings["patches"] else []),
    )
    report.add("everybody has content after", swarm.await_ready(120), "s")
    sleep(4 * settings["interval_s"] + 1, "settling")

    window = Window(stage)
    swarm.measure_anew()
    sleep(settings["seconds"], "measuring")
    window.end()
    stage.origin.freeze()
    # A change counts as served when it is first asked for: that must be by a poller.
    sleep(2 * settings["interval_s"] + 0.5, "the last changes are polled")
    until_now(lambda: wrong_resources(stage, settings) == 0, "the last changes arrive")
    sleep(1, "letting them reach everybody")
    add_figures(report, window, swarm.result(), settings)
    return report


def wrong_resources(stage, settings):
    """Those of which some gateway holds something else than the upstream."""
    wrong = 0
    for number in range(settings["resources"]):
        address = f"/r/{number}"
        expected = http_get(stage.origin.port, address).text
        query = "/resource?uri=" + urllib.parse.quote(address, safe="")
        wrong += any(
            http_get(gateway.port, query).text != expected for gateway in stage.gateways
        )
    return wrong


def add_figures(report, window, result, settings):
    deliveries = result["contents"] + result["patches"]
    report.add("polls", window.origin_requests() / window.seconds, "per s")
    report.add("deliveries", deliveries / window.seconds, "per s")
    report.add("  of them patches", 100 * result["patches"] / max(deliveries, 1), "%")
    for name, title in (
        ("relay_delay", "answer to client"),
        ("last_client_relay_delay", "answer to last client"),
    ):
        for quantile in ("p50_ms", "p99_ms", "max_ms"):
            label = quantile.removesuffix("_ms")
            report.add(f"{title}, {label}", result[name][quantile], "ms")
    report.add("bytes to clients", result["bytes"] / window.seconds / 1e6, "MB per s")
    report.add(
        "  of what full contents would be",
        100 * result["bytes"] / max(deliveries * settings["size"], 1),
        "%",
    )
    report.add_cpu(window)
    for process in window.stage.gateways:
        report.add(
            f"CPU of {process.name} per delivery",
            window.cpu_s(process.name)
            * 1e6
            * settings["gateways"]
            / max(deliveries, 1),
            "µs",
        )
    for process in window.stage.pollers:
        report.add(
            f"CPU of {process.name} per poll",
            window.cpu_s(process.name)
            * 1e6
            * settings["pollers"]
            / max(window.origin_requests(), 1),
            "µs",
        )
    report.check_swarm(result)
