"""Clients of one gateway behind HAProxy, with the settings of deploy/haproxy.cfg but no TLS.

What a client costs both of them while nothing changes, and what a delivery costs. HAProxy
has two open files per client, so that one process takes somewhat less than half of its limit.
"""

from load_balancer import HAProxy
from measure import Report, Window, memory_bytes
from stage import sleep

SETTINGS = {
    "clients": 9000,
    "interval_s": 1.0,
    "change_every_ms": 1000,
    "size": 512,
    "settle_s": 10.0,
    "seconds": 30.0,
}


def run(stage, settings):
    report = Report()
    clients = settings["clients"]
    stage.start_origin(
        *("--size", settings["size"], "--etag"),
        *("--change-every", settings["change_every_ms"]),
    )
    stage.start_fleet(settings["interval_s"], gateways=1, pollers=1)
    gateway = stage.gateways[0]
    haproxy = stage.start(HAProxy(stage.directory, stage.gateways, tls=False))
    holders = [gateway, haproxy]
    empty = {process.name: memory_bytes(process.pid) for process in holders}

    swarm = stage.start_swarm("--clients", clients, gateways=[haproxy])
    report.add("everybody has content after", swarm.await_ready(300), "s")
    sleep(settings["settle_s"], "settling")
    window = Window(stage)
    sleep(settings["seconds"], "measuring, with changes")
    window.end()
    frames = window.metric("uricast_gateway_frames_total")
    report.add("deliveries", frames / window.seconds, "per s")
    for process in holders:
        report.add(
            f"  CPU of {process.name}",
            window.cpu_s(process.name) / frames * 1e6,
            "µs per delivery",
        )
    stage.origin.freeze()
    sleep(settings["settle_s"], "settling")
    window = Window(stage)
    sleep(settings["seconds"], "measuring, without changes")
    window.end()
    for process in holders:
        used = memory_bytes(process.pid) - empty[process.name]
        report.add(f"memory of {process.name}", used / clients, "bytes per client")
    for process in holders:
        share = window.cpu_share(process.name)
        report.add(f"idle CPU of {process.name}", share, "% core")
    report.check_swarm(swarm.result())
    return report
