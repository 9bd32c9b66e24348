"""ETags: what polls cost on the wire and in the poller, with and without them.

Two pollers ask an origin of their own each, one with ETags and one without, for the same
bodies that do not change, at the same time.
"""

from measure import Report, cpu_s
from stage import Gateway, Origin, Poller, Redis, sleep

SETTINGS = {
    "addresses": 500,
    "interval_s": 0.5,
    "size": 10000,
    "settle_s": 3.0,
    "seconds": 20.0,
}


class Side:
    """A fleet of its own around one origin."""

    def __init__(self, stage, name, settings, *options):
        directory = stage.directory / name
        directory.mkdir()
        self.name = name
        self.redis = stage.start(Redis(directory, f"redis-{name}"))
        self.origin = stage.start(
            Origin(directory, "--size", settings["size"], *options)
        )
        upstream = ["--upstream", self.origin.url]
        upstream += ["--interval", f"{settings['interval_s']:g}"]
        self.poller = stage.start(
            Poller(f"poller-{name}", directory, self.redis.url, *upstream)
        )
        self.gateway = stage.start(
            Gateway(f"gateway-{name}", directory, self.redis.url)
        )
        for process in (self.poller, self.gateway):
            process.await_ready()
        self.swarm = stage.start_swarm(
            *("--clients", -(-settings["addresses"] // 100), "--per-client", 100),
            *("--addresses", settings["addresses"], "--per-message", 100),
            gateways=[self.gateway],
        )

    def look(self):
        return {**self.origin.counts(), "cpu_s": cpu_s(self.poller.pid)}

    def begin(self):
        self.before = self.look()

    def end(self):
        after = self.look()
        self.grown = {name: after[name] - value for name, value in self.before.items()}

    def per_poll(self, name):
        return self.grown[name] / self.grown["requests"]


def run(stage, settings):
    report = Report()
    plain = Side(stage, "plain", settings)
    tagged = Side(stage, "etag", settings, "--etag")
    for side in (plain, tagged):
        side.swarm.await_ready(120)
    sleep(settings["settle_s"], "settling")
    for side in (plain, tagged):
        side.begin()
    sleep(settings["seconds"], "measuring")
    for side in (plain, tagged):
        side.end()
        add_figures(report, side)
    add_ratios(report, plain, tagged)
    for side in (plain, tagged):
        report.check_swarm(side.swarm.result())
    return report


def add_figures(report, side):
    cpu_us = side.per_poll("cpu_s") * 1e6
    report.add(f"{side.name}: polls", side.grown["requests"])
    report.add("  answers of 304", 100 * side.per_poll("not_modified"), "%")
    report.add("  request", side.per_poll("received_bytes"), "bytes per poll")
    report.add("  answer", side.per_poll("sent_bytes"), "bytes per poll")
    report.add("  CPU of the poller", cpu_us, "µs per poll")


def add_ratios(report, plain, tagged):
    def wire(side):
        return side.per_poll("received_bytes") + side.per_poll("sent_bytes")

    report.add("bytes on the wire, plain / etag", wire(plain) / wire(tagged))
    cpu = plain.per_poll("cpu_s") / tagged.per_poll("cpu_s")
    report.add("CPU of the poller, plain / etag", cpu)
    report.check("plain: answers of 304", plain.grown["not_modified"], 0)
    unlike = tagged.grown["requests"] - tagged.grown["not_modified"]
    report.check("etag: answers of 200", unlike, 0)
