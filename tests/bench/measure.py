"""What a process and Redis have used between two moments."""

import collections
import pathlib
import re
import statistics
import time

from stage import BUILD, sleep

SCRIPT = re.compile(r'\{"(\w+)", "([0-9a-f]{40})"')
SHORT_US = 20  # longer than one command on a key takes
REST_S = 0.005  # longer than any process pauses in its work
AWAIT_REST_S = 30


def cpu_s(pid):
    """
    Seconds of CPU that the threads of a process have had, to the microsecond: from
    /proc/PID/task/*/schedstat, because /proc/PID/stat counts in hundredths of a second.
    """
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def state_of(pid):
    """Whether all its threads sleep, and what CPU they have had."""
    stats = pathlib.Path(f"/proc/{pid}/task").glob("*/stat")
    letters = {stat.read_text().rpartition(") ")[2][0] for stat in stats}
    return letters == {"S"}, cpu_s(pid)


def await_rest(process):
    """Waits until it is done with what it was given: it sleeps, and went on sleeping."""
    end = time.monotonic() + AWAIT_REST_S
    before = state_of(process.pid)
    while True:
        time.sleep(REST_S)
        now = state_of(process.pid)
        if now == before and now[0]:
            return
        assert time.monotonic() < end, f"{process.name} does not rest"
        before = now


def memory_bytes(pid):
    """Resident memory that is the process's own: no pages of programs and libraries."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no RssAnon in /proc/PID/status")


def script_names():
    """Our scripts by the digest that Redis is called with."""
    header = (BUILD / "common" / "redis_scripts.h").read_text()
    return {digest: name for name, digest in SCRIPT.findall(header)}


def redis_times(redis, seconds):
    """
    What Redis does by script, most expensive first: (name, calls per s, µs per call). From
    its slow log, made to log for a while what takes longer than commands in a script do.
    """
    names = script_names()
    found = collections.defaultdict(list)
    redis.client.config_set("slowlog-max-len", 1000000)
    redis.client.config_set("slowlog-log-slower-than", SHORT_US)
    redis.client.slowlog_reset()
    sleep(seconds, "looking at what Redis does")
    redis.client.config_set("slowlog-log-slower-than", -1)
    for entry in redis.client.slowlog_get(1000000):
        words = str(entry["command"], "utf-8", "replace").lower().split()
        if words[0] == "evalsha":
            found[names[words[1]]].append(entry["duration"])
    times = [(name, len(us) / seconds, sum(us) / len(us)) for name, us in found.items()]
    return sorted(times, key=lambda time: -time[1] * time[2])


class Window:
    """What some processes, Redis and the origin do from here to end()."""

    def __init__(self, stage):
        self.stage = stage
        self.before = self.look()

    def look(self):
        return {
            "at": time.monotonic(),
            "cpu": {
                process.name: cpu_s(process.pid) for process in self.stage.processes
            },
            "redis": self.stage.redis.client.info("everything"),
            "origin": self.stage.origin.counts() if self.stage.origin else {},
            "metrics": [process.metrics() for process in self.served()],
        }

    def served(self):
        return self.stage.gateways + self.stage.pollers

    def end(self):
        self.after = self.look()
        return self

    @property
    def seconds(self):
        return self.after["at"] - self.before["at"]

    def cpu_s(self, name):
        return self.after["cpu"][name] - self.before["cpu"].get(name, 0)

    def cpu_share(self, name):
        """Of one core, in percent."""
        return 100 * self.cpu_s(name) / self.seconds

    def redis_commands(self):
        """Commands Redis executed, those inside of scripts too."""
        name = "total_commands_processed"
        return self.after["redis"][name] - self.before["redis"][name]

    def redis_commands_sent(self):
        """Commands gateways and pollers sent, by their own count; a script is one."""
        return self.metric("uricast_redis_commands_total")

    def redis_calls(self):
        """Calls by command's name, inside of scripts too, most frequent first."""
        calls = {}
        for name, after in self.after["redis"].items():
            if name.startswith("cmdstat_"):
                before = self.before["redis"].get(name, {"calls": 0})
                calls[name.removeprefix("cmdstat_")] = after["calls"] - before["calls"]
        return dict(sorted(calls.items(), key=lambda call: -call[1]))

    def origin_requests(self):
        return self.after["origin"]["requests"] - self.before["origin"]["requests"]

    def metric(self, name):
        """By how much a counter grew in all processes of the fleet."""
        before, after = self.before["metrics"], self.after["metrics"]
        grown = [
            new[name] - old[name] for old, new in zip(before, after) if name in new
        ]
        return sum(grown)


class Report:
    """Figures in order, and what was found wrong."""

    def __init__(self):
        self.figures = []
        self.spreads = {}  # (least, most) by name, where a figure is of passes
        self.wrong = []
        self.plots = {}  # by title

    def plot(self, title, kind, unit, file, series, x, y):
        """Adds a point to a plot; see plot.py."""
        found = self.plots.setdefault(
            title, {"kind": kind, "unit": unit, "file": file, "series": {}}
        )
        found["series"].setdefault(series, []).append((x, y))

    def add(self, name, value, unit=""):
        self.figures.append((name, value, unit))

    def spread(self, name, values, unit=""):
        """Their median, least and most: of passes."""
        self.figures.append((name, statistics.median(values), unit))
        if len(values) > 1:
            self.spreads[name] = (min(values), max(values))

    def ratio(self, name, values, others):
        """Of one to the other in the same pass."""
        self.spread(name, [one / other for one, other in zip(values, others)], "x")

    def check(self, name, value, expected):
        if value != expected:
            self.wrong.append(f"{name} is {value}, should be {expected}")

    def check_swarm(self, result):
        """Nobody was refused, lost, or told anything but the truth."""
        self.check("swarm: open", result["open"], result["clients"])
        for name in (
            "failed lost missing refusals strange repeated backwards behind different "
            "broken"
        ).split():
            self.check(f"swarm: {name}", result[name], 0)
        for name in ("first_failure", "first_refusal", "first_strange"):
            if result[name]:
                self.wrong.append(f"swarm: {name}: {result[name]}")

    def add_cpu(self, window):
        for process in window.stage.processes:
            self.add(f"CPU of {process.name}", window.cpu_share(process.name), "% core")

    def as_dict(self):
        return {
            "figures": {name: value for name, value, _ in self.figures},
            "spreads": self.spreads,
            "rows": self.figures,
            "plots": self.plots,
            "wrong": self.wrong,
        }

    def print(self, title):
        width = max((len(name) for name, _, _ in self.figures), default=0)
        print(f"\n{title}")
        for name, value, unit in self.figures:
            text = f"{value:,.3f}" if isinstance(value, float) else str(value)
            line = f"  {name:<{width}}  {text:>14} {unit}"
            if name in self.spreads:
                least, most = self.spreads[name]
                line += f" ({least:,.3f} to {most:,.3f})"
            print(line.rstrip())
        for text in self.wrong:
            print(f"  WRONG: {text}")
