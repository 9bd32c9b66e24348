#!/usr/bin/python3
"""Takes the pictures of the dashboard in docs/, of the demo API on a fleet of its own."""

import pathlib
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]
sys.dont_write_bytecode = True

from dashboard import Chromium, watch_url  # noqa: E402
from harness import TOP, Fleet, Process, free_port, http_get, until_now  # noqa: E402

OUTPUT = TOP / "docs/pictures"
SIZE = {"width": 1180, "height": 640}
WATCHED = ("/nodes?bulk=1", "/jobs", "/info", "/instances/web1.example.com")


def start_demo(fleet):
    port = free_port()
    command = ["/usr/bin/python3", TOP / "deploy/demo-upstream", "--port", port]
    command += ["--nodes", 8, "--instances", 40]
    fleet.add(Process("demo", fleet.directory, command)).start()

    def answers():
        try:
            return http_get(port, "/2/info").status == 200
        except OSError:
            return False

    until_now(answers, "the demo answers")
    return f"http://127.0.0.1:{port}/2"


def configuration(fleet):
    service = {"url": start_demo(fleet), "default": True, "raw": True, "interval": "1s"}
    return {"services": {"demo": service}}


def picture_table(chromium, base, scheme):
    url = watch_url(
        base,
        "/instances?bulk=1",
        sort="-cpu_percent",
        filter="debian",
        columns="name,status,pnode,cpu_percent,os",
    )
    page = chromium.open(url, viewport=SIZE, colorScheme=scheme)
    page.until('document.querySelectorAll(".rows .row").length > 10')
    x, y = page.row(page.names()[3])
    page.do("mouse.click", x, y)
    page.until('document.querySelector(".waiting")?.checkVisibility()')
    page.until("document.getAnimations().some((flash) => flash.currentTime < 100)")
    page.do("screenshot", {"path": str(OUTPUT / f"table-{scheme}.png")})
    page.close()


def picture_fleet(chromium, base, scheme):
    watchers = [chromium.open(watch_url(base, uri)) for uri in WATCHED]
    for watcher in watchers:
        watcher.until('document.getElementById("link").textContent === "live"')
    page = chromium.open(f"{base}#/fleet", viewport=SIZE, colorScheme=scheme)
    page.until('document.querySelector(".fleet")?.innerText.includes("/jobs")')
    time.sleep(6)  # for rates, which are between two pictures of the fleet
    page.do("screenshot", {"path": str(OUTPUT / f"fleet-{scheme}.png")})
    for visitor in [page, *watchers]:
        visitor.close()


def main():
    OUTPUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="uricast-screenshots-") as directory:
        fleet = Fleet(directory)
        chromium = Chromium(pathlib.Path(directory) / "driver.log")
        try:
            fleet.start(gateways=2, pollers=2, config=configuration)
            base = f"http://127.0.0.1:{fleet.gateways[0].port}/"
            for scheme in ("light", "dark"):
                picture_table(chromium, base, scheme)
                picture_fleet(chromium, base, scheme)
        finally:
            chromium.close()
            wrong = fleet.close()
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
