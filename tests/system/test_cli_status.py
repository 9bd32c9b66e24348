"""`uricast status`: the fleet as Redis has it, read and never changed."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from cli import URICAST, Watching, uricast
from harness import DEADLINE, TOP, Redis, free_port, run, until, until_now

FINE, WRONG, UNREACHABLE = 0, 2, 4
ALIVE = 4102444800000  # a lease that ends in 2100


def status(redis, *words):
    done = uricast("status", "--json", "--redis", redis.url, *words)
    assert done.returncode == FINE, done.stderr
    return json.loads(done.stdout)


def test_status_tells_processes_and_resources_of_a_living_fleet(fleet):
    fleet.upstream.set("/nodes", [1])
    fleet.upstream.set("/bad", status=503)

    async def test():
        async with fleet.client(0) as one, fleet.client(1) as other:
            await one.subscribe("/nodes")
            await other.subscribe("/nodes")
            await other.subscribe("/bad")
            await one.content("/nodes")
            await other.state("/bad", "error")
            told = await until(
                lambda: (picture := status(fleet.redis))["summary"]["viewers"] == 3
                and picture,
                "three viewers",
            )
            pids = {session["pid"] for session in told["pollers"] + told["gateways"]}
            assert pids == {process.pid for process in fleet.pollers + fleet.gateways}
            assert {session["life"] for session in told["pollers"]} == {"alive"}
            assert {session["version"] for session in told["gateways"]} == {"0.1.0"}
            bad, nodes = told["resources"]
            assert (bad["uri"], bad["health"], bad["status"]) == ("/bad", "error", 503)
            assert json.loads(bad["error"])["code"] == "upstream_status"
            assert (nodes["uri"], nodes["health"]) == ("/nodes", "fine")
            assert (nodes["viewers"], nodes["gateways"]) == (2, 2)
            assert nodes["owner"] == fleet.redis.owner_session("/nodes")
            assert nodes["url"] == fleet.upstream.url + "/nodes"
            assert nodes["interval_ms"] == 500
            assert [p["name"] for p in told["providers"]] == ["default"]
            assert (told["providers"][0]["resources"], told["providers"][0]["unwell"]) == (
                2,
                1,
            )
            assert status(fleet.redis, "/n")["summary"]["resources"] == 1
            assert status(fleet.redis, "--prefix", "other")["pollers"] == []

    run(test())


def test_status_says_which_poller_is_dead(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1)
    fleet.upstream.set("/nodes", [1])
    with Watching("/nodes", "--gateway", f"http://127.0.0.1:{fleet.gateways[0].port}"):
        until_now(lambda: fleet.owner("/nodes"), "an owner")
        fleet.pollers[0].kill()
        dead = until_now(
            lambda: (picture := status(fleet.redis))["pollers"][0]["life"] != "alive"
            and picture,
            "its lease to run out",
        )
        assert dead["resources"][0]["health"] == "unowned"
        assert dead["resources"][0]["owner_alive"] is False
        text = uricast("status", "--redis", fleet.redis.url).stdout
        assert re.search(r"^p\w+ +dead \d+s ", text, re.MULTILINE)
        assert re.search(r"^/nodes +unowned .* its owner is dead$", text, re.MULTILINE)


def test_the_documented_user_may_read_the_fleet(small_fleet):
    client = small_fleet.redis.client
    rule = re.search(r"ACL SETUSER (uricast [^\n]*)", (TOP / "docs/redis.md").read_text())
    client.execute_command("ACL", "SETUSER", *rule[1].replace("'", "").split())
    url = f"redis://uricast:secret@127.0.0.1:{small_fleet.redis.port}"
    done = uricast("status", "--json", "--redis", url)
    assert done.returncode == FINE, done.stderr
    assert len(json.loads(done.stdout)["pollers"]) == 1


def test_reading_changes_nothing(tmp_path):
    redis = Redis(tmp_path).start()
    try:
        redis.client.zadd("uricast:pollers", {"p1": ALIVE, "p2": 1})
        redis.client.hset("uricast:owned:p1", mapping={"/a": 1, "/b": 2})
        redis.client.sadd("uricast:unclaimed", "/c")
        redis.client.set("uricast:gateways", "junk")
        before = redis.keys()
        changes = redis.client.info("persistence")["rdb_changes_since_last_save"]
        assert status(redis)["summary"]["resources"] == 3
        assert redis.keys() == before
        now = redis.client.info("persistence")["rdb_changes_since_last_save"]
        assert now == changes
    finally:
        redis.end()


def test_of_a_hundred_thousand_resources_the_worst_are_shown(tmp_path):
    redis = Redis(tmp_path).start()
    try:
        redis.client.zadd("uricast:pollers", {"p1": ALIVE})
        redis.client.eval(
            """for i = 1, 100000 do
            local a = '/things/' .. i
            redis.call('HSET', 'uricast:resource:' .. a, 'state', i == 777 and 'stale' or
                'fresh', 'checked_at', ARGV[1], 'interval_ms', 5000)
            redis.call('SET', 'uricast:lock:' .. a, 'p1')
            redis.call('HSET', 'uricast:owned:p1', a, ARGV[1]) end""",
            0,
            ALIVE,
        )
        done = uricast("status", "--redis", redis.url, "--limit", 3)
        assert done.returncode == FINE
        assert "100000 resources, 1 stale, 99999 fine" in done.stdout
        lines = done.stdout.splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith("RESOURCE"))
        assert re.match(r"/things/777 +stale ", lines[at + 1])
        assert lines[at + 4].startswith("(and 99997 more")
    finally:
        redis.end()


def test_text_from_elsewhere_cannot_write_to_the_terminal(tmp_path):
    redis = Redis(tmp_path).start()
    try:
        redis.client.zadd("uricast:pollers", {"p\x1b[2J": ALIVE})
        redis.client.hset("uricast:poller:p\x1b[2J", "host", "h\x1b]0;x\x07\nline")
        redis.client.sadd("uricast:unclaimed", "/a\x1b[31m", "/ok")
        redis.client.hset("uricast:resource:/ok", "error", "\x1b[31m\u009b31m")
        done = uricast("status", "--redis", redis.url)
        assert done.returncode == FINE
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.stdout)
        assert json.loads(uricast("status", "--json", "--redis", redis.url).stdout)
    finally:
        redis.end()


@contextlib.contextmanager
def on_a_terminal(*words, columns=100):
    """The program on a terminal of its own, and that terminal."""
    terminal, inside = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    command = [URICAST, *map(str, words)]
    child = subprocess.Popen(command, stdin=inside, stdout=inside, stderr=inside, env={})
    os.close(inside)
    try:
        yield child, terminal
    finally:
        child.kill()
        child.wait()
        os.close(terminal)


def read_until(terminal, enough):
    """What is written there until it is @enough."""
    seen = b""
    end = time.monotonic() + DEADLINE
    while not enough(seen):
        left = end - time.monotonic()
        ready, _, _ = select.select([terminal], [], [], max(left, 0))
        assert ready, f"not enough within {DEADLINE} s: {seen}"
        seen += os.read(terminal, 65536)
    return seen


def test_on_a_terminal_lines_fit_and_watch_refreshes(tmp_path):
    redis = Redis(tmp_path).start()
    try:
        redis.client.zadd("uricast:pollers", {"p1": ALIVE})
        redis.client.sadd("uricast:unclaimed", "/" + "long/" * 100)
        words = ["status", "--watch", "--interval", "0.2", "--redis", redis.url]
        with on_a_terminal(*words) as (child, terminal):
            seen = read_until(terminal, lambda text: text.count(b"\x1b[H\x1b[2J") >= 4)
            child.send_signal(signal.SIGINT)
            assert child.wait(DEADLINE) == -signal.SIGINT
        last = seen.split(b"\x1b[H\x1b[2J")[-2].decode()
        assert "/long/long" in last and "…" in last
        assert max(len(line) for line in last.splitlines()) <= 100
    finally:
        redis.end()
    done = uricast("status", "--watch", "--redis", redis.url)
    assert done.returncode == WRONG


def test_a_redis_that_is_not_there_or_refuses_is_said(tmp_path):
    url = f"redis://127.0.0.1:{free_port()}"
    done = uricast("status", "--redis", url)
    assert done.returncode == UNREACHABLE
    assert url[8:] in done.stderr and "URICAST_REDIS" in done.stderr
    redis = Redis(tmp_path).start()
    try:
        redis.client.config_set("requirepass", "x")
        done = uricast("status", variables={"URICAST_REDIS": redis.url})
        assert done.returncode == UNREACHABLE
        assert "refuses us" in done.stderr and "NOAUTH" in done.stderr
        assert "cannot be reached" not in done.stderr
        redis.client.execute_command("AUTH", "x")
        redis.client.config_set("requirepass", "")
    finally:
        redis.end()
