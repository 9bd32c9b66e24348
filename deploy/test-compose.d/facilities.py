"""What people use of a fleet beside its changes: the dashboard and the command line."""

import sys

from engine import say

ASSETS = ("/", "/uricast.js", "/assets/dashboard.js", "/assets/dashboard.css")
DOCTOR = ("uricast", "doctor", "--gateway", "http://127.0.0.1:7070")
NO_ERRORS = (0, 1)  # 1: warnings, which depend on the host


async def asset(session, url, path):
    """What is wrong with an asset, as a browser gets it at first and later."""
    async with session.get(url + path) as first:
        body = await first.read()
    if first.status != 200 or not body:
        return [f"{path}: status {first.status}, {len(body)} bytes"]
    wrong = []
    if first.headers.get("Content-Encoding") != "gzip":
        wrong.append(f"{path} is not compressed")
    if first.headers.get("Cache-Control") != "no-cache":
        wrong.append(f"{path}: Cache-Control is {first.headers.get('Cache-Control')}")
    headers = {"If-None-Match": first.headers.get("ETag", "none")}
    async with session.get(url + path, headers=headers) as again:
        if again.status != 304:
            wrong.append(f"{path} is sent again to who has it: status {again.status}")
    return wrong


async def dashboard(session, url):
    """The dashboard through HAProxy; an image may be built without."""
    async with session.get(url + "/") as page:
        text = await page.text()
    if page.content_type != "text/html":
        reason = next((line for line in text.splitlines() if "dashboard" in line), text)
        say(f"dashboard   not in the image. {reason}")
        return []
    wrong = []
    for path in ASSETS:
        wrong += await asset(session, url, path)
    async with session.get(url + "/fleet") as answer:
        fleet = await answer.json() if answer.status == 200 else {}
    counts = [len(fleet.get(kind, [])) for kind in ("gateways", "pollers", "resources")]
    if 0 in counts:
        wrong.append(f"/fleet: status {answer.status}, {counts}")
    if not wrong:
        say("dashboard   served through HAProxy, and not sent twice")
    return wrong


def command_line(compose):
    """`uricast` in the containers, with their own secrets."""
    wrong = []
    for service, words in (
        ("gateway", ("uricast", "status", "--limit", "1")),
        ("poller", ("uricast", "status", "--limit", "1")),
        ("gateway", DOCTOR),
    ):
        done = compose.run("exec", "-T", service, *words, check=False)
        if done.returncode not in NO_ERRORS:
            wrong.append(f"{' '.join(words)} in {service}:\n{done.stdout}")
    if not wrong:
        say("uricast     status and doctor work in the containers")
    return wrong


if __name__ == "__main__":
    sys.exit("this is a part of deploy/test-compose")
