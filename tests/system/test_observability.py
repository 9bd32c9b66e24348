"""Prometheus's rules and Grafana's dashboard ask for what the fleet tells."""

import asyncio
import contextlib
import itertools
import json
import math
import re
import subprocess
import urllib.parse

import pytest

from client import Client
from load_balancer import HAProxy
from harness import TOP, Process, free_port, http_get, run, until, until_now

PROMETHEUS = TOP / "deploy/prometheus"
DASHBOARD = TOP / "deploy/grafana/dashboards/uricast.json"
PROVISIONING = TOP / "deploy/grafana/provisioning"
SELECTOR = re.compile(r"\b(?:uricast_|process_|up\b)\w*(?:\{[^}]*\})?")
PANEL_KINDS = {"row", "timeseries", "stat"}


class Prometheus(Process):
    """Scrapes a fleet four times a second, with the rules of deploy/."""

    def __init__(self, directory, fleet, haproxy):
        self.port = free_port()
        jobs = {
            "gateway": [gateway.metrics_port for gateway in fleet.gateways],
            "poller": [poller.metrics_port for poller in fleet.pollers],
            "haproxy": [haproxy.operator_port],
        }
        config = {
            "global": {"scrape_interval": "250ms", "evaluation_interval": "1s"},
            "rule_files": [str(PROMETHEUS / "rules.yml")],
            "scrape_configs": [
                {
                    "job_name": job,
                    "static_configs": [
                        {"targets": [f"127.0.0.1:{port}" for port in ports]}
                    ],
                }
                for job, ports in jobs.items()
            ],
        }
        path = directory / "prometheus.yml"
        path.write_text(json.dumps(config))
        command = ["prometheus", f"--config.file={path}"]
        command += [f"--storage.tsdb.path={directory / 'tsdb'}"]
        command += [f"--web.listen-address=127.0.0.1:{self.port}"]
        super().__init__("prometheus", directory, command)

    def start(self):
        super().start()
        until_now(self.answers, "Prometheus answers")
        return self

    def answers(self):
        try:
            return http_get(self.port, "/-/ready").status == 200
        except OSError:
            assert self.alive, f"Prometheus ended:\n{self.log()}"
            return False

    def ask(self, path, **parameters):
        answer = http_get(
            self.port, f"{path}?{urllib.parse.urlencode(parameters)}"
        ).json
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression):
        """The values that are numbers."""
        result = self.ask("/api/v1/query", query=expression)["result"]
        values = [float(entry["value"][1]) for entry in result]
        return [value for value in values if not math.isnan(value)]


def panels():
    return json.loads(DASHBOARD.read_text())["panels"]


def panel_queries():
    return {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in panels()
        for target in panel.get("targets", [])
    }


def rule_selectors(prometheus):
    """What the rules that Prometheus has loaded select."""
    (group,) = prometheus.ask("/api/v1/rules")["groups"]
    return {
        f"{rule['name']}: {selector}": selector
        for rule in group["rules"]
        for selector in SELECTOR.findall(rule["query"])
    }


async def keep_changing(upstream):
    for number in itertools.count():
        rows = [{"id": row, "text": "x" * 100} for row in range(50)]
        rows[number % 50]["text"] = "y"
        upstream.set("/rows", rows)
        await asyncio.sleep(0.3)


@contextlib.asynccontextmanager
async def traffic(fleet, haproxy):
    """Something of everything: changes, failures, a death, several wires."""
    fleet.upstream.set("/broken", "no", status=500)
    changing = asyncio.ensure_future(keep_changing(fleet.upstream))
    url = f"wss://localhost:{haproxy.port}/ws"
    async with fleet.gateways[0].client() as one, fleet.gateways[1].client() as other:
        for client in (one, other):
            await client.subscribe("/rows", mode="patch")
            await client.subscribe("/broken")
            await client.content("/rows")
        fleet.pollers[0].kill()
        fleet.pollers[0].start()
        async with fleet.gateways[1].events("/rows"):
            async with Client(url, ssl=haproxy.context()) as through:
                await through.subscribe("/rows")
                await through.content("/rows")
                yield
    changing.cancel()


@pytest.fixture
def watched(start_fleet, tmp_path):
    fleet = start_fleet(interval=0.1)
    haproxy = fleet.add(HAProxy(tmp_path, fleet.gateways)).start()
    prometheus = fleet.add(Prometheus(tmp_path, fleet, haproxy)).start()
    return fleet, haproxy, prometheus


def test_every_panel_and_every_rule_is_answered_with_data(watched):
    fleet, haproxy, prometheus = watched

    async def scenario():
        async with traffic(fleet, haproxy):
            wanted = {
                name: query.replace("$__rate_interval", "30s")
                for name, query in panel_queries().items()
            }
            wanted.update(rule_selectors(prometheus))
            assert len(wanted) > 50
            for name, query in wanted.items():
                await until(
                    lambda query=query: prometheus.query(query),
                    f"data for {name}: {query}",
                )

    run(scenario())


def test_the_rules_fire_when_they_should_and_only_then():
    for what in (["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"]):
        done = subprocess.run(
            ["promtool", *what], cwd=PROMETHEUS, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alarm_is_explained_in_the_operations_guide_and_has_its_test():
    alarms = re.findall(r"alert: (\w+)", (PROMETHEUS / "rules.yml").read_text())
    guide = (TOP / "docs/operations.md").read_text()
    tests = (PROMETHEUS / "rules_test.yml").read_text()
    assert len(alarms) == len(set(alarms)) > 10
    assert sorted(re.findall(r"^\| `(Uricast\w+)` \|", guide, re.M)) == sorted(alarms)
    for alarm in alarms:
        assert tests.count(f"alertname: {alarm}\n") == 1, alarm


def test_the_dashboard_is_one_that_grafana_can_load():
    dashboard = json.loads(DASHBOARD.read_text())
    (uid,) = re.findall(
        r"uid: (\w+)", (PROVISIONING / "datasources/uricast.yml").read_text()
    )
    assert dashboard["uid"] and dashboard["title"] and dashboard["schemaVersion"] >= 36
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    taken = set()
    for panel in dashboard["panels"]:
        assert panel["type"] in PANEL_KINDS and panel["title"], panel
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies over another"
        taken |= cells
        for target in panel.get("targets", []):
            assert target["datasource"] == {"type": "prometheus", "uid": uid}
            assert target["expr"] and target["legendFormat"]
        assert panel["type"] == "row" or panel["description"] and panel["targets"]
