"""Where the instructions of gateway and poller go: callgrind's count, by function.

Instructions, not time: what the kernel does for a process is not among them. The gateway
delivers changes to many clients; the poller finds nothing new.
"""

import collections
import re
import shutil
import subprocess
import sys

import interest
from fanout_servers import OurGateway, RedisPublisher
from measure import Report
from poll import addresses, await_polls, start_poller
from scale import publish_all
from stage import sleep

SETTINGS = {
    "resources": 200,
    "seconds": 10.0,
    "clients": 500,
    "changes": 50,
    "size": 512,
    "top": 12,
}
LINE = re.compile(r"^\s*([0-9,]+) \([ 0-9.]+%\)\s+(\S*?):(\S+).*?(?:\[(.*)\])?$")
TOTAL = re.compile(r"^\s*([0-9,]+) \(100.0%\)\s+PROGRAM TOTALS", re.MULTILINE)


def number(text):
    return int(text.replace(",", ""))


class Profile:
    """A process that runs under callgrind; it counts from here to end()."""

    def __init__(self, stage, process):
        self.path = stage.directory / f"callgrind.{process.name}"
        self.process = process
        self.switch("on")

    @staticmethod
    def prefix(stage, name):
        out = stage.directory / f"callgrind.{name}"
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no"]
        return [*command, f"--callgrind-out-file={out}"]

    def switch(self, state):
        command = ["callgrind_control", "-i", state, str(self.process.pid)]
        subprocess.run(command, check=True, capture_output=True)

    def end(self, stage):
        self.switch("off")
        stage.stop(self.process)
        return subprocess.run(
            ["callgrind_annotate", "--auto=no", "--threshold=100", self.path],
            check=True,
            capture_output=True,
            text=True,
        ).stdout


def add_profile(report, name, text, count, unit, top):
    """Shares of the binaries, and of our own functions."""
    total = number(TOTAL.search(text).group(1))
    objects, functions = collections.Counter(), collections.Counter()
    for line in text.splitlines():
        found = LINE.match(line)
        if not found or not found[4]:
            continue
        binary = found[4].rpartition("/")[2].partition(".so")[0]
        objects[binary] += number(found[1])
        if binary.startswith("uricast"):
            functions[found[3]] += number(found[1])
    report.add(f"{name}: instructions", total / max(count, 1), unit)
    for binary, used in objects.most_common(8):
        report.add(f"{name}: in {binary}", 100 * used / total, "%")
    for function, used in functions.most_common(top):
        report.add(f"{name}: own {function}", 100 * used / total, "%")


def profile_poller(stage, settings, report):
    interest.register(stage.redis.client, addresses(settings["resources"]))
    stage.start_origin("--etag")
    poller = start_poller(stage, 1.0, 64, Profile.prefix(stage, "poller"))
    await_polls(poller, settings["resources"])
    before = stage.origin.counts()["requests"]
    profile = Profile(stage, poller)
    sleep(settings["seconds"], "counting the poller's instructions")
    polls = stage.origin.counts()["requests"] - before
    text = profile.end(stage)
    add_profile(report, "poller", text, polls, "per poll", settings["top"])
    stage.stop(stage.origin)


def profile_gateway(stage, settings, report):
    stage.start_origin()
    gateway = OurGateway(stage, "gateway", "/gateway")
    gateway.command = [*Profile.prefix(stage, "gateway"), *gateway.command]
    stage.start(gateway)
    gateway.await_ready()
    publisher = RedisPublisher(stage.redis.client, "/gateway", settings["size"])
    publisher.publish()
    swarm = stage.start_swarm(
        *("--clients", settings["clients"], "--template", "/gateway"),
        gateways=[gateway],
    )
    swarm.await_ready(120)
    profile = Profile(stage, gateway)
    before = gateway.metric("uricast_gateway_frames_total")
    for _ in range(settings["changes"]):
        publish_all(publisher, 1, 20 * settings["clients"])
    frames = gateway.metric("uricast_gateway_frames_total") - before
    report.check_swarm(swarm.result())
    text = profile.end(stage)
    add_profile(report, "gateway", text, frames, "per delivery", settings["top"])


def run(stage, settings):
    report = Report()
    if shutil.which("valgrind") is None:
        print("instructions are left out: there is no valgrind", file=sys.stderr)
        return report
    profile_poller(stage, settings, report)
    stage.redis.client.flushall()
    profile_gateway(stage, settings, report)
    return report
