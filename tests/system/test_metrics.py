"""What /metrics says is what has happened."""

import shutil
import subprocess
import threading

import pytest

from harness import run, until

NODES = [{"id": n, "name": f"node{n}", "free": 0} for n in range(50)]


def histogram(metrics, name):
    """(count, sum) of a histogram whose buckets add up."""
    buckets = [
        value for key, value in metrics.items() if key.startswith(f"{name}_bucket{{")
    ]
    assert buckets == sorted(buckets) and buckets[-1] == metrics[f"{name}_count"]
    return metrics[f"{name}_count"], metrics[f"{name}_sum"]


def test_a_change_is_measured_from_the_upstreams_answer_to_the_last_subscriber(small_fleet):
    gateway, poller = small_fleet.gateways[0], small_fleet.pollers[0]
    delay = "uricast_gateway_delivery_delay_seconds"
    small_fleet.upstream.set("/nodes", NODES, delay=0.1)

    async def test():
        async with small_fleet.client() as client:
            await client.subscribe("/nodes")
            await client.content("/nodes")
            before = histogram(gateway.metrics(), delay)
            NODES[7]["free"] = 1
            small_fleet.upstream.set("/nodes", NODES, delay=0.1)
            await client.content("/nodes", lambda nodes: nodes[7]["free"] == 1)
            await until(
                lambda: histogram(gateway.metrics(), delay)[0] == before[0] + 1,
                "the change was measured",
            )
            # What the upstream takes is no part of it.
            assert histogram(gateway.metrics(), delay)[1] - before[1] < 0.1

            metrics = poller.metrics()
            polls, seconds = histogram(metrics, "uricast_poller_poll_duration_seconds")
            assert polls >= 2 and seconds >= polls * 0.1
            late, seconds = histogram(metrics, "uricast_poller_poll_lateness_seconds")
            assert late == polls
            commands, _ = histogram(metrics, "uricast_redis_command_duration_seconds")
            assert commands > 0
            assert metrics['uricast_poller_changes_total{form="whole"}'] == 1
            assert metrics['uricast_poller_changes_total{form="patch"}'] == 1
            patches = metrics["uricast_poller_patch_bytes_total"]
            contents = metrics["uricast_poller_patched_content_bytes_total"]
            assert 0 < patches < 200 < contents

    run(test())


def test_clients_are_counted_by_wire(small_fleet):
    gateway = small_fleet.gateways[0]
    small_fleet.upstream.set("/nodes", [])

    def clients(wire):
        return gateway.metric(f'uricast_gateway_clients{{wire="{wire}"}}')

    def long_poll():
        tag = gateway.resource("/nodes").headers["ETag"]
        headers = {"If-None-Match": tag, "Prefer": "wait=60"}
        gateway.resource("/nodes", headers=headers, deadline=90)

    async def test():
        async with small_fleet.client() as client, gateway.events("/nodes"):
            await client.subscribe("/nodes")
            await client.content("/nodes")
            poll = threading.Thread(target=long_poll)
            poll.start()
            await until(lambda: clients("longpoll") == 1, "somebody waits")
            assert clients("websocket") == 1
            assert clients("sse") == 1
            small_fleet.upstream.set("/nodes", [1])
            await until(lambda: not poll.is_alive(), "the long-poll is answered")
            assert clients("longpoll") == 0
        await until(lambda: gateway.clients() == 0, "nobody is left")
        assert clients("http") == 0

    run(test())


def test_what_is_refused_is_counted_by_reason(start_fleet, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("secret\n")
    fleet = start_fleet(gateways=1, pollers=1, gateway_options=["--token-file", tokens])
    gateway = fleet.gateways[0]
    gateway.get("/", headers={"Origin": "https://elsewhere.example.com"})
    gateway.resource("/nodes")
    gateway.get("/ws")
    refused = "uricast_gateway_clients_refused_total"
    metrics = gateway.metrics()
    for reason in ("origin", "token", "handshake"):
        assert metrics[f'{refused}{{reason="{reason}"}}'] == 1
    assert metrics[f'{refused}{{reason="too_many"}}'] == 0


def test_the_process_shows_what_it_takes_of_the_host(fleet):
    for process in fleet.gateways + fleet.pollers:
        metrics = process.metrics()
        version = subprocess.run(
            [process.command[0], "--version"], capture_output=True, text=True
        ).stdout.split()[-1]
        assert metrics[f'uricast_build_info{{version="{version}"}}'] == 1
        assert 1e6 < metrics["process_resident_memory_bytes"] < 1e12
        assert 8 < metrics["process_open_fds"] < 100 < metrics["process_max_fds"]
        assert 0 < metrics["process_cpu_seconds_total"] < 60


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_accepts_what_both_programs_show(fleet):
    for process in (fleet.gateways[0], fleet.pollers[0]):
        text = process.monitor("/metrics").body
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=text, capture_output=True
        )
        assert (checked.returncode, checked.stderr) == (0, b"")
