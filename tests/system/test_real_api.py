"""A real API nobody changed for us: Prometheus watches itself, and uricast watches it."""

import shutil

import pytest

from harness import Process, Poller, free_port, http_get, run, until_now


@pytest.fixture
def prometheus(tmp_path):
    if not shutil.which("prometheus"):
        pytest.skip("needs prometheus: deploy/install-packages real")
    port = free_port()
    config = tmp_path / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\n"
        "scrape_configs:\n"
        "  - job_name: itself\n"
        f"    static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
    )
    command = ["prometheus", f"--config.file={config}"]
    command += [f"--storage.tsdb.path={tmp_path / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}"]
    process = Process("prometheus", tmp_path, command).start()

    def ready():
        try:
            return http_get(port, "/-/ready").status == 200
        except OSError:
            return False

    try:
        until_now(ready, "Prometheus is ready")
        yield port
    finally:
        process.kill()


def test_prometheus_can_be_watched(start_fleet, prometheus):
    fleet = start_fleet(gateways=2, pollers=0)
    options = ["--upstream", f"http://127.0.0.1:{prometheus}/api/v1", "--interval", "0.5"]
    for name in ("poller1", "poller2"):
        poller = Poller(name, fleet.directory, fleet.redis.url, *options)
        fleet.pollers.append(fleet.add(poller).start().await_ready())

    async def test():
        async with fleet.client(0) as one, fleet.client(1) as two:
            # Its own scrape of itself becomes visible, then moves on every second.
            targets = "/targets?state=active"
            await one.subscribe(targets)
            await two.subscribe(targets)

            def up(content):
                active = content["data"]["activeTargets"]
                return [target for target in active if target["health"] == "up"]

            await one.content(targets, up)
            first = one.held[targets][1]["data"]["activeTargets"][0]["lastScrape"]

            def moved(content):
                return content["data"]["activeTargets"][0]["lastScrape"] != first

            await one.content(targets, moved)
            await two.content(targets, moved)

            query = "/query?query=up"
            await one.subscribe(query)
            series = await one.content(query, lambda c: c["data"]["result"])
            assert series["data"]["result"][0]["metric"]["job"] == "itself"

            # Prometheus says what is wrong in JSON, with a 400.
            await one.subscribe("/query?query=)")
            error = await one.state("/query?query=)", "error")
            assert error["error"]["status"] == 400

            await one.subscribe("/status/runtimeinfo")
            info = await one.content("/status/runtimeinfo")
            assert info["data"]["storageRetention"]

    run(test())
