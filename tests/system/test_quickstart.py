"""deploy/quickstart does what it prints, and leaves nothing behind."""

import fcntl
import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import termios
import threading

import pytest

from harness import BUILD, TOP, Upstream, free_port, http_get, until_now


class Terminal:
    """A program on a terminal of its own, as a person would run it."""

    def __init__(self, *command, **environment):
        self.output = ""
        self.master, slave = pty.openpty()
        self.popen = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=TOP,
            env={**os.environ, **environment},
            preexec_fn=take_terminal,
        )
        os.close(slave)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            while data := os.read(self.master, 65536):
                self.output += data.decode(errors="replace").replace("\r\n", "\n")
        except OSError:
            pass

    def type(self, text):
        os.write(self.master, text.encode())

    def until(self, pattern, deadline=120):
        def found():
            match = re.search(pattern, self.output)
            if not match and self.popen.poll() is not None:
                raise AssertionError(f"ended without {pattern!r}")
            return match

        try:
            return until_now(found, f"{pattern!r} on the terminal", deadline)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output}") from None

    def end(self, deadline=30):
        self.type("\x03")
        return self.popen.wait(deadline)


def take_terminal():
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def children(pid):
    """Every process that descends from @pid."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat[1])
    found = {pid}
    while True:
        more = {child for child, parent in parents.items() if parent in found} - found
        if not more:
            return found - {pid}
        found |= more


@pytest.fixture
def quickstart(tmp_path):
    started = []

    def start(*arguments):
        terminal = Terminal(
            "deploy/quickstart", *arguments, BUILD=str(BUILD), TMPDIR=str(tmp_path)
        )
        started.append(terminal)
        return terminal

    yield start
    for terminal in started:
        if terminal.popen.poll() is None:
            terminal.popen.send_signal(signal.SIGTERM)
            terminal.popen.wait(30)


def test_the_quickstart_runs_what_it_prints_and_leaves_nothing(quickstart, tmp_path):
    terminal = quickstart()
    terminal.until("leaves nothing behind")
    family = children(terminal.popen.pid)
    assert len(family) >= 6, "Redis, the demo, two gateways, two pollers"

    curl = terminal.until(r"curl '(http://\S+/resource\?uri=/nodes)'").group(1)
    answer = subprocess.run(["curl", "-fsS", curl], check=True, stdout=subprocess.PIPE)
    assert json.loads(answer.stdout)[0]["id"].startswith("node")

    dashboard = terminal.until(r"(http://\S+/)#/\?uri=/instances%3Fbulk=1").group(1)
    front = subprocess.run(["curl", "-fsS", dashboard], check=True, stdout=subprocess.PIPE)
    assert b"uricast" in front.stdout

    one_liner = terminal.until(r"(/usr/bin/python3 -m websockets \S+)").group(1)
    line = terminal.until(r'(\{"action": "subscribe".*\})').group(1)
    viewer = Terminal(*one_liner.split())
    viewer.until("Connected to")
    viewer.type(line + "\n")
    viewer.until(r'"uri":"/nodes","version":"\d+","content":')
    viewer.popen.kill()
    viewer.popen.wait()

    status = terminal.until(r"(\S+/uricast) (status --redis \S+)")
    command = [TOP / status.group(1), *status.group(2).split()]
    picture = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    assert picture.stdout.count("\ng") == 2, "a line for each gateway"

    redis = re.search(r"(redis-cli -p \d+) hgetall (\S+)", terminal.output)
    command = [*redis.group(1).split(), "hget", redis.group(2), "state"]
    state = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    assert state.stdout.strip() == b"fresh"

    victim = int(re.search(r"kill -9 (\d+)", terminal.output).group(1))
    os.kill(victim, signal.SIGKILL)
    terminal.until("poller 1 ended with status 137")
    assert terminal.popen.poll() is None

    counts = re.search(r"http://127.0.0.1:(\d+)/-/counts", terminal.output)
    assert http_get(int(counts.group(1)), "/-/counts").json["/2/nodes"] >= 1

    assert terminal.end() == 0
    assert not [pid for pid in family if pathlib.Path(f"/proc/{pid}").exists()]
    assert list(tmp_path.iterdir()) == []


def test_the_quickstart_watches_a_real_api(quickstart, tmp_path):
    upstream = Upstream(free_port())
    try:
        upstream.set("/things", {"n": 1})
        terminal = quickstart(upstream.url, "--interval", "0.3")
        terminal.until("leaves nothing behind")
        port = terminal.until(r"http://127.0.0.1:(\d+)/resource").group(1)
        response = http_get(int(port), "/resource?uri=/things")
        assert response.json == {"n": 1}
        assert terminal.end() == 0
        assert list(tmp_path.iterdir()) == []
    finally:
        upstream.close()


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["--interval"], ["--interval", "fast"], ["ftp://x"]]
)
def test_a_mistake_is_explained(arguments):
    command = ["deploy/quickstart", *arguments]
    done = subprocess.run(command, cwd=TOP, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert "--interval SECONDS" in done.stderr


def test_the_demo_lives_the_same_life_for_the_same_seed():
    def first_answers(seed):
        port = free_port()
        command = [TOP / "deploy/demo-upstream", "--port", str(port), "--seed", str(seed)]
        demo = subprocess.Popen([*command, "--pace", "3600"], stdout=subprocess.PIPE)
        try:
            assert b"http://127.0.0.1" in demo.stdout.readline()
            paths = ["/2/info", "/2/nodes?bulk=1", "/2/instances?bulk=1"]
            answers = [http_get(port, path) for path in paths]
            etag = answers[0].headers["ETag"]
            again = http_get(port, paths[0], {"If-None-Match": etag})
            assert again.status == 304
            return [answer.body for answer in answers]
        finally:
            demo.terminate()
            demo.wait()
            demo.stdout.close()

    assert first_answers(1) == first_answers(1)
    assert first_answers(1) != first_answers(2)
