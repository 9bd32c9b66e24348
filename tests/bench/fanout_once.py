"""Fan-out from one poll: many clients of one address on two gateways and two pollers.

However many watch, the upstream is asked once per interval; how long does a change take?
"""

from measure import Report, Window
from stage import sleep

SETTINGS = {
    "clients": 1000,
    "gateways": 2,
    "pollers": 2,
    "interval_s": 1.0,
    # Does not divide the interval, so that changes come at any time between two polls.
    "change_every_ms": 1370,
    "size": 1000,
    "seconds": 30.0,
}


def run(stage, settings):
    report = Report()
    interval_s = settings["interval_s"]
    stage.start_origin(
        *("--size", settings["size"], "--etag"),
        *("--change-every", settings["change_every_ms"]),
    )
    stage.start_fleet(interval_s, settings["gateways"], settings["pollers"])
    swarm = stage.start_swarm("--clients", settings["clients"])
    report.add("everybody has content after", swarm.await_ready(60), "s")
    sleep(2 * interval_s, "settling")

    window = Window(stage)
    swarm.measure_anew()
    sleep(settings["seconds"], "measuring")
    window.end()
    stage.origin.freeze()
    sleep(2 * interval_s + 1, "letting the last change arrive")
    add_figures(report, window, swarm.result(), interval_s)
    return report


def add_figures(report, window, result, interval_s):
    intervals = window.seconds / interval_s
    report.add("polls per interval", window.origin_requests() / intervals)
    report.add("changes seen", result["versions"])
    report.add("deliveries", result["delay"]["count"])
    for name, title in (
        ("delay", "change to client"),
        ("last_client_delay", "change to last client"),
        ("relay_delay", "answer of upstream to client"),
    ):
        for quantile in ("p50_ms", "p99_ms", "max_ms"):
            label = quantile.removesuffix("_ms")
            report.add(f"{title}, {label}", result[name][quantile], "ms")
    report.add_cpu(window)
    report.check_swarm(result)
