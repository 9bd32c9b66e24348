"""The parts of the data layer that need no browser, in node's own test runner."""

import subprocess

from browser import HERE


def test_modules_do_what_they_say():
    command = ["node", "--test", "--test-reporter=tap", HERE / "modules.test.js"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    said = done.stdout.splitlines()
    print("\n".join(line for line in said if line.startswith(("# tests", "# pass"))))
    failed = [n for n, line in enumerate(said) if line.startswith("not ok")]
    shown = "\n".join("\n".join(said[n : n + 20]) for n in failed)
    assert done.returncode == 0, shown or done.stdout + done.stderr
