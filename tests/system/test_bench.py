"""The benchmarks still work: each runs for a moment, with what is here."""

import json
import os
import subprocess
import sys

import pytest

from harness import BUILD, SANITIZED, TOP

pytestmark = pytest.mark.skipif(
    SANITIZED, reason="what is measured would be the sanitizers"
)

# By benchmark: settings of its shortest form, and the figure that it is about.
SHORT = {
    "poll": (
        "wrk=0 passes=1 resources=100 seconds=0.3 lateness=50 "
        "lateness_interval_s=0.2 lateness_seconds=0.5",
        "poller, 304 / bare loop",
    ),
    "endtoend": (
        "subscribers=20 resources=5 interval_s=0.2 seconds=0.5",
        "answer to last client, p99",
    ),
    "fanout": (
        "servers=floor,gateway clients=20 sizes=512 deliveries=100 passes=1 rounds=1 burst=50",
        "20 clients, 512 B: gateway / floor",
    ),
    "scale": (
        "subscribers=1,5 resources=1,5 gateways=1,2 clients_each=3 changes=2 "
        "interval_s=0.2 seconds=0.3",
        "5 subscribers: CPU of gateway",
    ),
    "fanout-once": (
        "clients=20 interval_s=0.2 change_every_ms=130 seconds=0.5",
        "deliveries",
    ),
    "idle": (
        "addresses=100 per_client=10 interval_s=0.5 settle_s=0.1 seconds=0.5",
        "polls per resource and interval",
    ),
}


def run(name, *options):
    command = [sys.executable, TOP / "tests/bench/run", "--json", name, *options]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"URICAST_BUILD": str(BUILD)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)[name]


@pytest.mark.parametrize("name", SHORT)
def test_a_short_run_measures_and_finds_nothing_wrong(name):
    settings, figure = SHORT[name]
    result = run(name, *(word for pair in settings.split() for word in ("--set", pair)))
    assert result["wrong"] == []
    assert result["figures"][figure] > 0


def test_a_poll_that_finds_nothing_new_asks_for_no_memory_and_not_redis():
    """What is left are the lease's renewals, once a second however much is polled."""
    result = run(
        "poll", "--set", "passes=0", "--set", "lateness=", "--set", "seconds=3"
    )
    assert result["figures"]["allocations of the poller's own code"] < 0.5
    assert result["figures"]["commands sent to Redis"] < 0.1
