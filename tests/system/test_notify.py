"""What the programs tell systemd, on a socket as systemd's."""

import os
import socket

import pytest

from client import DEADLINE
from harness import Gateway, Poller, Redis, run, until


class NotifySocket:
    """Where NOTIFY_SOCKET points; keeps what was said, a dict per datagram."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        self.said = []

    def read(self):
        while True:
            try:
                text = self.socket.recv(4096).decode()
            except BlockingIOError:
                return self.said
            self.said.append(dict(line.split("=", 1) for line in text.splitlines()))

    def index(self, name, value=None, after=-1):
        """Where @name was first said after that, or None."""
        for i, said in enumerate(self.read()):
            if i > after and name in said and value in (None, said[name]):
                return i
        return None


@pytest.fixture
def redis(tmp_path):
    redis = Redis(tmp_path)
    yield redis
    redis.end()


@pytest.fixture(params=["gateway", "poller"])
def told(request, tmp_path, redis, monkeypatch):
    """A program whose Redis is not there yet, and what it says."""
    heard = NotifySocket(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", heard.path)
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    if request.param == "gateway":
        process = Gateway("gateway", tmp_path, redis.url)
    else:
        process = Poller("poller", tmp_path, redis.url, "--upstream", "http://127.0.0.1:9")
    process.start()
    yield process, heard
    assert process.end() is None


def test_systemd_is_told_the_life_of_a_process(told, redis):
    process, heard = told

    async def said(name, value=None, after=-1):
        await until(lambda: heard.index(name, value, after) is not None, f"{name}={value}")
        return heard.index(name, value, after)

    async def test():
        await said("STATUS", "not ready: Redis cannot be reached")
        await said("WATCHDOG", "1")
        assert heard.index("READY") is None
        process.hang_up()
        await until(lambda: "is in force" in process.log(), "it has reloaded")
        assert heard.index("READY") is None and heard.index("RELOADING") is None
        redis.start()
        ready = await said("READY", "1")
        await until(lambda: process.monitor("/readyz").status == 200, "ready, really")
        await said("STATUS", after=ready)
        for _ in range(5):
            ready = await said("WATCHDOG", "1", after=ready)
        process.hang_up()
        reloading = await said("RELOADING", "1")
        assert int(heard.said[reloading]["MONOTONIC_USEC"]) > 0
        await said("READY", "1", after=reloading)
        process.terminate()
        await said("STOPPING", "1")
        assert process.wait(DEADLINE) == 0

    run(test())


def test_the_watchdog_hears_nothing_of_a_process_that_hangs(told, redis):
    process, heard = told

    async def test():
        redis.start()
        await until(lambda: heard.index("READY") is not None, "it is ready")
        process.pause()
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        heard.read()
        before = len(heard.said)
        with pytest.raises(AssertionError):
            await until(lambda: len(heard.read()) > before, "a word", deadline=1)
        process.resume()
        await until(lambda: len(heard.read()) > before, "it goes on")

    run(test())
