"""Real processes for the system tests: Redis, gateways, pollers, and a scripted upstream.

Everything listens on 127.0.0.1 only, on ports nothing else uses, and is gone at the end of
the test, whatever happens in it.
"""

import asyncio
import collections
import contextlib
import http.client
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

import redis as redis_client

from client import DEADLINE, Client
from events import Events
from upstream import Upstream

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("URICAST_BUILD", TOP / "build"))
SANITIZED = os.environ.get("URICAST_SANITIZE") == "1"
SOAK = os.environ.get("URICAST_SOAK") == "1"

LEASE = 3.0  # seconds, the default
LINGER = 5.0  # seconds an owner keeps a lock that nobody is interested in

SANITIZER = re.compile(
    r"ERROR: \w+Sanitizer|runtime error:|WARNING: \w+Sanitizer|Assertion .* failed"
)


def run(coroutine, deadline=180):
    """Runs a test's coroutine; nothing in it may hang for ever."""

    async def limited():
        return await asyncio.wait_for(coroutine, deadline)

    return asyncio.run(limited())


async def until(condition, what, deadline=DEADLINE):
    """Waits until @condition() of another process is true; returns what it returned."""
    end = time.monotonic() + deadline
    while not (result := condition()):
        assert time.monotonic() < end, f"not within {deadline} s: {what}"
        await asyncio.sleep(0.02)
    return result


def until_now(condition, what, deadline=DEADLINE):
    """The same outside of a coroutine."""
    end = time.monotonic() + deadline
    while not (result := condition()):
        assert time.monotonic() < end, f"not within {deadline} s: {what}"
        time.sleep(0.02)
    return result


ports_given = set()


def free_port():
    """
    A port that nothing listens on, below those the kernel gives to connections. Test
    processes that run side by side take them from ranges of their own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 20000 + worker % 8 * 1500
    while True:
        port = random.SystemRandom().randrange(first, first + 1500)
        if port in ports_given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports_given.add(port)
        return port


class Process:
    """A program of the fleet, its log in a file."""

    def __init__(self, name, directory, command):
        self.name = name
        self.command = [str(word) for word in command]
        self.log_path = pathlib.Path(directory, f"{name}.log")
        self.popen = None
        self.paused = False
        self.expected_end = False

    def start(self):
        self.expected_end = False
        self.paused = False
        with open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self

    @property
    def pid(self):
        return self.popen.pid

    @property
    def alive(self):
        return self.popen is not None and self.popen.poll() is None

    def log(self):
        with contextlib.suppress(FileNotFoundError):
            return self.log_path.read_text(errors="replace")
        return ""

    def kill(self):
        """kill -9"""
        self.expected_end = True
        if self.alive:
            self.popen.kill()
            self.popen.wait()

    def pause(self):
        self.paused = True
        self.popen.send_signal(signal.SIGSTOP)

    def resume(self):
        self.paused = False
        self.popen.send_signal(signal.SIGCONT)

    def hang_up(self):
        """SIGHUP"""
        self.popen.send_signal(signal.SIGHUP)

    def terminate(self):
        """SIGTERM, without waiting."""
        self.expected_end = True
        self.popen.send_signal(signal.SIGTERM)

    def wait(self, deadline=DEADLINE):
        return self.popen.wait(deadline)

    def end(self):
        """Ends it whatever its state is, and returns what was wrong with it, or None."""
        if self.popen is None:
            return None
        wrong = None
        if self.alive:
            if self.paused:
                self.resume()
            self.popen.terminate()
            try:
                status = self.popen.wait(15)
                if status != 0 and not self.expected_end:
                    wrong = f"{self.name} left with status {status} on SIGTERM"
            except subprocess.TimeoutExpired:
                wrong = f"{self.name} did not leave within 15 s of SIGTERM"
                self.popen.kill()
                self.popen.wait()
        elif not self.expected_end:
            wrong = f"{self.name} died with status {self.popen.returncode}"
        found = SANITIZER.search(self.log())
        if found:
            wrong = f"{self.name} says: {found.group(0)}"
        return wrong


class Redis(Process):
    def __init__(self, directory, name="redis"):
        self.port = free_port()
        command = ["redis-server", "--bind", "127.0.0.1", "--port", self.port]
        command += ["--save", "", "--appendonly", "no", "--dir", directory]
        super().__init__(name, directory, command)
        self.unsaved = pathlib.Path(directory, "dump.rdb")
        self.client = redis_client.Redis(
            port=self.port, decode_responses=True, socket_timeout=DEADLINE
        )

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self):
        super().start()
        until_now(self.answers, "Redis answers")
        return self

    def answers(self):
        try:
            return self.client.ping()
        except redis_client.RedisError:
            return False

    def break_disk(self):
        """From now on it refuses all writes, with MISCONF."""
        self.unsaved.mkdir()
        self.client.config_set("save", "3600 1")
        self.client.bgsave()
        until_now(lambda: self.saves("err"), "a save that fails")

    def mend_disk(self):
        self.unsaved.rmdir()
        self.client.bgsave()
        until_now(lambda: self.saves("ok"), "a save that does not fail")

    def saves(self, outcome):
        return self.client.info("persistence")["rdb_last_bgsave_status"] == outcome

    def keys(self):
        return sorted(self.client.scan_iter(count=1000))

    def resource(self, address):
        return self.client.hgetall(f"uricast:resource:{address}")

    def owner_session(self, address):
        return self.client.get(f"uricast:lock:{address}")


class Served(Process):
    """A gateway or poller: a process with a port for its operator."""

    def __init__(self, name, directory, command):
        self.metrics_port = free_port()
        command = [*command, "--metrics", f"127.0.0.1:{self.metrics_port}"]
        super().__init__(name, directory, command)

    def ready(self):
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.monitor("/readyz").status == 200
        return False

    def await_ready(self):
        def ready():
            if not self.alive:
                raise AssertionError(f"{self.name} ended at start:\n{self.log()}")
            return self.ready()

        until_now(ready, f"{self.name} is ready")
        return self

    def monitor(self, path):
        return http_get(self.metrics_port, path)

    def metrics(self):
        """Values by name with labels, as in the text: 'x_total{outcome="a"}'."""
        values = {}
        for line in self.monitor("/metrics").text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                values[name] = float(value)
        return values

    def metric(self, name):
        return self.metrics()[name]

    def clients(self):
        """Connections of a gateway, of all wires."""
        values = self.metrics()
        return sum(
            values[name] for name in values if name.startswith("uricast_gateway_clients{")
        )

    def reloads(self, outcome):
        return self.metric(f'uricast_config_reloads_total{{outcome="{outcome}"}}')

    def reload(self, outcome="taken"):
        """SIGHUP, and waits until the configuration was read again, with @outcome."""
        before = self.reloads(outcome)
        self.hang_up()
        until_now(
            lambda: self.reloads(outcome) > before, f"{self.name} reloads: {outcome}"
        )


class Gateway(Served):
    def __init__(self, name, directory, redis_url, *options):
        self.port = free_port()
        command = [BUILD / "gateway/uricast-gateway", "--redis", redis_url]
        command += ["--listen", f"127.0.0.1:{self.port}", *options]
        super().__init__(name, directory, command)

    def client(self, path="/ws", **options):
        """A WebSocket client, as an async context manager."""
        return Client(f"ws://127.0.0.1:{self.port}{path}", **options)

    def events(self, *uris, headers=None, **parameters):
        """A client of an event stream, likewise; last_event_id= is last-event-id=."""
        return Events(self.port, uris, headers, **parameters)

    def get(self, path, headers=None, deadline=DEADLINE):
        return http_get(self.port, path, headers, deadline)

    def resource(self, *uris, headers=None, deadline=DEADLINE, **parameters):
        """GET /resource, the addresses percent-encoded."""
        query = [("uri", uri) for uri in uris] + list(parameters.items())
        path = "/resource?" + urllib.parse.urlencode(query)
        return self.get(path, headers, deadline)


class Poller(Served):
    def __init__(self, name, directory, redis_url, *options):
        command = [BUILD / "poller/uricast-poller", "--redis", redis_url, *options]
        super().__init__(name, directory, command)


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)


def http_get(port, path, headers=None, deadline=DEADLINE, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=deadline)
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return Response(response.status, response.headers, response.read())
    finally:
        connection.close()


class Fleet:
    """Redis, gateways, pollers and an upstream, started together."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.processes = []
        self.upstreams = []
        self.gateways = []
        self.pollers = []
        self.redis = None
        self.interval = None
        self.gateway_options = []
        self.poller_options = []
        self.closers = []

    def start(
        self,
        gateways=2,
        pollers=2,
        interval=0.5,
        config=None,
        gateway_options=(),
        poller_options=(),
        upstream_tls=None,
        gateway_redis_url=None,
    ):
        """
        Starts a fleet. @config, a dict, makes both programs read a file; without it the
        upstream is named on the command line. A function is given the fleet and returns
        the dict, or the path of what it has written itself.
        """
        self.redis = self.add(Redis(self.directory))
        self.interval = interval
        self.redis.start()
        self.add_upstream(tls=upstream_tls)
        self.gateway_options = list(gateway_options)
        self.poller_options = list(poller_options)
        self.gateway_redis_url = gateway_redis_url or (lambda fleet: fleet.redis.url)
        if config is None:
            self.poller_options += ["--upstream", self.upstream.url]
            self.poller_options += ["--interval", f"{interval:g}"]
        else:
            config = config(self) if callable(config) else config
            path = config
            if isinstance(config, dict):
                path = self.directory / "uricast.json"
                path.write_text(json.dumps(config, indent=1))
            self.gateway_options += ["--config", path]
            self.poller_options += ["--config", path]
        for _ in range(pollers):
            self.new_poller()
        for _ in range(gateways):
            self.new_gateway()
        for process in self.pollers + self.gateways:
            process.await_ready()
        return self

    def add(self, process):
        self.processes.append(process)
        return process

    def add_upstream(self, **options):
        upstream = Upstream(free_port(), **options)
        self.upstreams.append(upstream)
        return upstream

    @property
    def upstream(self):
        return self.upstreams[0]

    def new_gateway(self, *options):
        name = f"gateway{len(self.gateways) + 1}"
        url = self.gateway_redis_url(self)
        options = [*self.gateway_options, *options]
        gateway = self.add(Gateway(name, self.directory, url, *options))
        self.gateways.append(gateway)
        return gateway.start()

    def new_poller(self, *options):
        name = f"poller{len(self.pollers) + 1}"
        options = [*self.poller_options, *options]
        poller = self.add(Poller(name, self.directory, self.redis.url, *options))
        self.pollers.append(poller)
        return poller.start()

    # Shorter to read in tests.

    def client(self, number=0, path="/ws", **options):
        return self.gateways[number % len(self.gateways)].client(path, **options)

    def owner(self, address):
        """The poller that owns @address now, or None."""
        session = self.redis.owner_session(address)
        if session is None:
            return None
        pid = self.redis.client.hget(f"uricast:poller:{session}", "pid")
        for poller in self.pollers:
            if poller.alive and str(poller.pid) == pid:
                return poller
        return None

    async def find_owner(self, address):
        return await until(lambda: self.owner(address), f"an owner of {address}")

    # The end.

    def close(self):
        """Ends everything, newest first; returns what was wrong with any of it."""
        wrong = []
        for process in reversed(self.processes):
            if process.alive and process.paused:
                process.resume()
        for process in reversed(self.processes):
            wrong.append(process.end())
        for closer in self.closers:
            closer()
        for upstream in self.upstreams:
            upstream.close()
        return [text for text in wrong if text]

    def logs(self, lines=60):
        for process in self.processes:
            tail = process.log().splitlines()[-lines:]
            yield process.name, "\n".join(tail)


def one_service(fleet, interval="1s", **limits):
    """A configuration: the fleet's first upstream, as the default service "api"."""
    return {
        "services": {
            "api": {
                "url": fleet.upstream.url,
                "default": True,
                "raw": True,
                "interval": interval,
                "limits": limits,
            }
        }
    }


def short_limits(fleet):
    """A configuration in which time and size run out quickly."""
    return one_service(fleet, "300ms", timeout="1s", body="64KiB")


class RedisProxy:
    """Stands between a process and Redis, and can lose published messages.

    What Redis sends is passed on reply by reply; a `message` from a channel to which
    lose(channel) says yes is dropped and counted.
    """

    def __init__(self, target_port):
        self.port = free_port()
        self.target_port = target_port
        self.lose = lambda channel: False
        self.lost = collections.Counter()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self.loop).result(DEADLINE)

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    async def _listen(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _serve(self, reader, writer):
        try:
            there = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(
            self._copy(reader, there[1], None),
            self._copy(there[0], writer, self._keep),
        )

    async def _copy(self, reader, writer, keep):
        buffer = b""
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if keep:
                    data, buffer = keep(buffer + data)
                writer.write(data)
                await writer.drain()
        writer.close()

    def _keep(self, buffer):
        """Returns what passes of @buffer, and the reply at its end that is not whole."""
        passed = b""
        start = 0
        while (end := resp_end(buffer, start)) is not None:
            reply = buffer[start:end]
            channel = MESSAGE.match(reply)
            channel = channel.group(1).decode() if channel else None
            if channel is not None and self.lose(channel):
                self.lost[channel] += 1
            else:
                passed += reply
            start = end
        return passed, buffer[start:]


MESSAGE = re.compile(rb"\*3\r\n\$7\r\nmessage\r\n\$\d+\r\n([^\r]*)\r\n")


def through_proxy(fleet):
    """For gateway_redis_url: gateways reach Redis through fleet.proxy."""
    if not hasattr(fleet, "proxy"):
        fleet.proxy = RedisProxy(fleet.redis.port)
        fleet.closers.append(fleet.proxy.close)
    return fleet.proxy.url


def others_through_proxy(fleet):
    """The same for all gateways but the first one."""
    return through_proxy(fleet) if fleet.gateways else fleet.redis.url


def resp_end(buffer, start):
    """Where the RESP reply at @start ends, or None where it is not whole."""
    line_end = buffer.find(b"\r\n", start)
    if line_end < 0:
        return None
    kind, rest, end = (
        buffer[start : start + 1],
        buffer[start + 1 : line_end],
        line_end + 2,
    )
    if kind == b"$" and int(rest) >= 0:
        end += int(rest) + 2
        return end if end <= len(buffer) else None
    if kind == b"*":
        for _ in range(int(rest)):
            end = resp_end(buffer, end)
            if end is None:
                return None
    return end
