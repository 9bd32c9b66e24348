"""What a benchmark plays on: a private Redis, an origin, a fleet and a swarm.

Everything listens on 127.0.0.1 only, and is gone when the stage closes.
"""

import contextlib
import json
import pathlib
import re
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from harness import (  # noqa: E402
    BUILD,
    Gateway,
    Poller,
    Process,
    Redis,
    free_port,
    http_get,
    until_now,
)

TOOLS = BUILD / "tests" / "bench"
READY = re.compile(r"ready after ([0-9.]+) s")


class Origin(Process):
    """bench-origin: see there what the options are."""

    def __init__(self, directory, *options):
        self.port = free_port()
        command = [TOOLS / "bench-origin", "--port", self.port, *options]
        super().__init__("origin", directory, command)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        super().start()
        until_now(self.answers, "the origin answers")
        return self

    def answers(self):
        with contextlib.suppress(OSError):
            return self.counts()

    def counts(self):
        return http_get(self.port, "/-/counts").json

    def freeze(self):
        http_get(self.port, "/-/freeze")

    def reset(self):
        http_get(self.port, "/-/reset")


class Tool(Process):
    """A load tool that prints one line of JSON in the end."""

    def __init__(self, name, directory, program, *options):
        super().__init__(name, directory, [TOOLS / program, *options])

    def result(self):
        """Ends it; what it saw."""
        self.terminate()
        self.wait(60)
        return json.loads(self.log().splitlines()[-1])


class Swarm(Tool):
    """bench-swarm on some gateways. What it prints is its result()."""

    def __init__(self, name, directory, gateways, *options):
        targets = []
        for gateway in gateways:
            targets += ["--gateway", f"127.0.0.1:{gateway.port}"]
        super().__init__(name, directory, "bench-swarm", *targets, *options)

    def await_ready(self, deadline):
        """Waits for everybody's first content; returns the seconds it took."""

        def ready():
            if not self.alive:
                raise AssertionError(f"the swarm ended:\n{self.log()}")
            return READY.search(self.log())

        try:
            return float(until_now(ready, "everybody has content", deadline).group(1))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.result()}") from None

    def measure_anew(self):
        self.popen.send_signal(signal.SIGUSR1)


class Stage:
    def __init__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="uricast-bench-")
        self.directory = pathlib.Path(self.temporary.name)
        self.processes = []
        self.redis = None
        self.origin = None
        self.config = None
        self.gateways = []
        self.gateway_options = []
        self.pollers = []
        self.swarms = []
        self.swarms_started = 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if isinstance(exception[1], Exception):
            for process in self.processes:
                tail = "\n".join(process.log().splitlines()[-20:])
                print(f"--- {process.name}\n{tail}", file=sys.stderr)
        for process in reversed(self.processes):
            wrong = process.end()
            if wrong:
                print(wrong, file=sys.stderr)
        self.temporary.cleanup()

    def start(self, process):
        self.processes.append(process)
        return process.start()

    def start_redis(self):
        self.redis = self.start(Redis(self.directory))

    def start_origin(self, *options):
        self.origin = self.start(Origin(self.directory, *options))

    def stop(self, process):
        """Ends it before the stage closes, and forgets it."""
        wrong = process.end()
        if wrong:
            print(wrong, file=sys.stderr)
        for processes in (self.processes, self.gateways, self.pollers, self.swarms):
            if process in processes:
                processes.remove(process)

    def write_config(self, interval_s, limits=None):
        """Of one default provider, the origin; returns its path."""
        service = {
            "url": self.origin.url,
            "default": True,
            "raw": True,
            "interval": f"{interval_s * 1000:.0f}ms",
            "limits": {"raw_addresses": 1000000, **(limits or {})},
        }
        self.config = self.directory / "uricast.json"
        self.config.write_text(json.dumps({"services": {"origin": service}}))
        return self.config

    def start_fleet(self, interval_s, gateways, pollers, limits=None):
        """Gateways and pollers of it, ready to serve."""
        self.write_config(interval_s, limits)
        for number in range(pollers):
            self.pollers.append(self.new_served(Poller, f"poller{number + 1}"))
        for number in range(gateways):
            gateway = self.new_served(
                Gateway, f"gateway{number + 1}", *self.gateway_options
            )
            self.gateways.append(gateway)
        for process in self.pollers + self.gateways:
            process.await_ready()

    def new_served(self, kind, name, *more):
        options = ["--config", self.config, *more]
        return self.start(kind(name, self.directory, self.redis.url, *options))

    def start_swarm(self, *options, gateways=None):
        self.swarms_started += 1
        name = f"swarm{self.swarms_started}"
        swarm = Swarm(name, self.directory, gateways or self.gateways, *options)
        self.swarms.append(swarm)
        return self.start(swarm)


def sleep(seconds, what):
    """Says what is waited for: a run takes minutes."""
    print(f"{what}: {seconds:g} s", file=sys.stderr, flush=True)
    time.sleep(seconds)
