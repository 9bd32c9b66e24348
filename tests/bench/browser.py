"""A table in a page: many rows, some of them changing all the time.

The same table of the dashboard in real Chromium, kept current in three ways: by uricast.js
(patches; what did not change stays the same object), by taking the whole content on each
change, and by polling the upstream from the page without uricast. One after the other, on
the same machine, with the same changes.
"""

import http.server
import json
import random
import subprocess
import sys
import threading
import time

from measure import Report
from stage import sleep

from harness import TOP, Gateway, free_port

sys.path.insert(0, str(TOP / "tests/browser"))

from dashboard import Chromium  # noqa: E402

SETTINGS = {
    "rows": 10000,
    "changes_a_second": 100,
    "interval_s": 0.1,
    "seconds": 60.0,
}
WEB = TOP / "gateway/web"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>bench</title>
<link rel="stylesheet" href="/page.css"><script type="module" src="/page.js"></script>
<body><main><div class="watch"><div class="content"></div></div></main></body></html>"""
WAYS = {
    "patches": "uricast.js",
    "whole": "whole content each time",
    "polling": "polling without uricast",
}


class Rows:
    """The upstream's state: changes happen by the clock, whoever asks."""

    def __init__(self, settings):
        self.random = random.Random(1)
        self.rate = settings["changes_a_second"]
        self.changed = 0
        self.begun = time.monotonic()
        self.lock = threading.Lock()
        self.rows = [self.row(number) for number in range(settings["rows"])]

    def row(self, number):
        row = {
            "id": f"{number:08x}-0000-4000-8000-000000000000",
            "name": f"web{number}.example.com",
            "status": "running",
            "node": f"node{number % 40}.example.com",
            "memory_mb": 4096,
            "cpu_percent": self.random.randrange(100),
        }
        return json.dumps(row).encode()

    def body(self):
        with self.lock:
            due = int((time.monotonic() - self.begun) * self.rate)
            while self.changed < due:
                self.changed += 1
                # Every tenth where it can be seen, at the top.
                few = 30 if self.changed % 10 == 0 else len(self.rows)
                number = self.random.randrange(few)
                self.rows[number] = self.row(number)
            return b"[" + b",\n".join(self.rows) + b"]"


class Upstream:
    def __init__(self, rows, files):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                kind, body = files.get(self.path, ("application/json", None))
                body = rows.body() if self.path == "/rows" else body
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_):
                pass

        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def bundled(directory, name, entry):
    output = directory / name
    command = [WEB / "node_modules/.bin/esbuild", entry, "--bundle", "--minify"]
    command += ["--format=esm", "--log-level=warning", f"--outfile={output}"]
    command += [
        f"--alias:@tanstack/virtual-core={WEB}/node_modules/@tanstack/virtual-core"
    ]
    subprocess.run(command, cwd=WEB, check=True)
    return output.read_bytes()


def files(directory):
    script = bundled(directory, "page.js", TOP / "tests/bench/browser_page.js")
    style = bundled(directory, "page.css", WEB / "dashboard/style.css")
    return {
        "/": ("text/html; charset=utf-8", PAGE.encode()),
        "/page.js": ("text/javascript", script),
        "/page.css": ("text/css", style),
    }


def quantile(values, part):
    return sorted(values)[min(int(len(values) * part), len(values) - 1)]


def metrics(page):
    found = page.do("cdp", "Performance.getMetrics")["metrics"]
    return {entry["name"]: entry["value"] for entry in found}


def measure(chromium, way, options, settings):
    page = chromium.open(options["upstream"])
    page.until("globalThis.begin !== undefined")
    page.do("cdp", "Performance.enable")
    page.see(f"begin({json.dumps(way)}, {json.dumps(options)})")
    page.until("document.querySelectorAll('.rows .row').length > 5")
    sleep(3, "settling")
    before, takes = metrics(page), page.see("takes")
    times = page.see(f"frames({settings['seconds'] * 1000})")
    after, takes = metrics(page), page.see("takes") - takes
    page.do("cdp", "HeapProfiler.collectGarbage")
    page.do("cdp", "HeapProfiler.collectGarbage")
    heap = metrics(page)["JSHeapUsedSize"]
    page.close()
    seconds = after["Timestamp"] - before["Timestamp"]
    changes = settings["changes_a_second"] * seconds
    used = {
        name: after[name] - before[name] for name in ("ScriptDuration", "TaskDuration")
    }
    return {
        "contents taken": (takes / seconds, "/s"),
        "frame, p50": (quantile(times, 0.5), "ms"),
        "frame, p99": (quantile(times, 0.99), "ms"),
        "frame, max": (max(times), "ms"),
        "frames above 50 ms": (sum(time > 50 for time in times), ""),
        "scripting per change": (used["ScriptDuration"] / changes * 1000, "ms"),
        "page's main thread busy": (used["TaskDuration"] / seconds * 100, "%"),
        "heap after gc": (heap / 1e6, "MB"),
    }


def start_gateway(stage, upstream):
    """One that takes pages of the upstream's origin, on a fleet that polls it."""
    options = ["--config", stage.config, "--origin", upstream.url]
    gateway = Gateway("gateway1", stage.directory, stage.redis.url, *options)
    return stage.start(gateway).await_ready()


def run(stage, settings):
    report = Report()
    upstream = stage.origin = Upstream(Rows(settings), files(stage.directory))
    stage.start_fleet(settings["interval_s"], gateways=0, pollers=1)
    gateway = start_gateway(stage, upstream)
    options = {
        "gateway": f"http://127.0.0.1:{gateway.port}/",
        "upstream": upstream.url,
        "intervalMs": settings["interval_s"] * 1000,
    }
    chromium = Chromium(stage.directory / "driver.log")
    try:
        for way, title in WAYS.items():
            for name, (value, unit) in measure(
                chromium, way, options, settings
            ).items():
                report.add(f"{title}: {name}", value, unit)
    finally:
        chromium.close()
        upstream.server.shutdown()
    return report
