"""What the tests drive Chromium with."""

import contextlib
import json
import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent


class Driver:
    """Chromium under a program for node that takes and answers lines of JSON."""

    def __init__(self, program, log):
        self.log = open(log, "wb")
        self.process = subprocess.Popen(
            ["node", HERE / program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )

    def say(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the driver of Chromium ended: see {self.log.name}"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer.get("value")

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
