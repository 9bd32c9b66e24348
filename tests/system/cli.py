"""The command line tool, run as an operator would: uricast(), and Watching for `watch`."""

import os
import subprocess
import threading

from harness import BUILD, DEADLINE, SANITIZER, until_now

URICAST = BUILD / "deploy/cli/uricast"


def environment(variables):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("URICAST_")}
    return {**kept, **(variables or {})}


def uricast(*words, variables=None, before=()):
    """Runs it to its end. @before: words of a command that runs it, such as prlimit."""
    done = subprocess.run(
        [*before, URICAST, *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE * 3,
        env=environment(variables),
        text=True,
    )
    assert not SANITIZER.search(done.stderr), done.stderr
    return done


class Watching:
    """`uricast watch` while it runs: its lines as they come."""

    def __init__(self, *words):
        self.popen = subprocess.Popen(
            [URICAST, "watch", *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(None),
            text=True,
        )
        self.lines = []
        self.said = []
        self.threads = [
            threading.Thread(target=self._read, args=(self.popen.stdout, self.lines)),
            threading.Thread(target=self._read, args=(self.popen.stderr, self.said)),
        ]
        for thread in self.threads:
            thread.start()

    def _read(self, stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.popen.kill()
        self.popen.wait(DEADLINE)
        for thread in self.threads:
            thread.join(DEADLINE)
        self.popen.stdout.close()
        self.popen.stderr.close()
        assert not SANITIZER.search("\n".join(self.said)), self.said

    def line(self, number):
        """The line of that number, from 0, when it has come."""
        until_now(lambda: len(self.lines) > number, f"line {number}; so far {self.lines}")
        return self.lines[number]

    def hears(self, text):
        until_now(lambda: any(text in line for line in self.said), f"{text} in {self.said}")

    def wait(self):
        return self.popen.wait(DEADLINE)
