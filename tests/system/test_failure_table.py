"""Every way to fail: what subscribers are told, and when the next request comes.

    pytest -s tests/system/test_failure_table.py

prints the table of docs/politeness.md as it was observed.
"""

import datetime
import email.utils
import time

from harness import free_port, run, until
from upstream import Answer, self_signed

INTERVAL = 1.0
SHORT = (0.8 * INTERVAL, 1.2 * INTERVAL)  # the first step of backing off


def http_date(seconds):
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


def status(code, headers=lambda: {}):
    return lambda request: Answer({}, status=code, headers=headers())


def answer(**how):
    return lambda request: Answer({"n": 2}, **how)


# Address, how it fails, then what is told: state, code, status, and seconds from `since`
# to `retry_at`; the next request comes no sooner than the least of these.
FAILURES = {
    "503, Retry-After: 3": (
        status(503, lambda: {"Retry-After": "3"}),
        ("stale", "upstream_status", 503, (3, 3)),
    ),
    "429, Retry-After: 3": (
        status(429, lambda: {"Retry-After": "3"}),
        ("stale", "upstream_status", 429, (3, 3)),
    ),
    "429, Retry-After: a date 4 s ahead": (
        status(429, lambda: {"Retry-After": http_date(4)}),
        ("stale", "upstream_status", 429, (2.9, 4.1)),
    ),
    "503": (status(503), ("stale", "upstream_status", 503, SHORT)),
    "401": (status(401), ("stale", "upstream_status", 401, (60, 60))),
    "404": (status(404), ("gone", "upstream_status", 404, SHORT)),
    "reset": (answer(reset=True), ("stale", "upstream_closed", None, SHORT)),
    "half an answer": (answer(half=True), ("stale", "upstream_closed", 200, SHORT)),
    "redirect to another host": (
        status(302, lambda: {"Location": "http://127.0.0.2:1/x"}),
        ("stale", "upstream_redirect", 302, SHORT),
    ),
}
PATHS = {name: f"/{number}" for number, name in enumerate(FAILURES)}
UNREACHED = {
    "connection refused": ("refused:/x", "stale", "upstream_connect"),
    "wrong certificate": ("untrusted:/x", "error", "upstream_tls"),
    "no such name": ("nowhere:/x", "error", "upstream_dns"),
}


def seconds_ahead(error):
    since, retry_at = (
        datetime.datetime.fromisoformat(error[key]).timestamp()
        for key in ("since", "retry_at")
    )
    return retry_at - since


def test_what_each_failure_is_told_as_and_when_the_next_request_comes(
    start_fleet, tmp_path
):
    def config(fleet):
        fleet.refused = fleet.add_upstream()
        fleet.untrusted = fleet.add_upstream(tls=self_signed(tmp_path))
        urls = {
            "api": fleet.upstream.url,
            "refused": fleet.refused.url,
            "untrusted": fleet.untrusted.url,
            "nowhere": f"http://no.invalid:{free_port()}/x",
        }
        interval = f"{INTERVAL:g}s"
        return {
            "services": {
                name: {"url": url, "raw": True, "interval": interval}
                for name, url in urls.items()
            }
        }

    fleet = start_fleet(gateways=1, pollers=1, config=config)
    uris = [f"api:{path}" for path in PATHS.values()]
    for path in PATHS.values():
        fleet.upstream.set(path, {"n": 1})
    fleet.refused.set("/x", {"n": 1})
    told, asked = {}, {}

    def polls(path, since):
        """Without what libcurl asks again when a kept connection ends without a byte."""
        times = fleet.upstream.asked(path, since)
        return [at for last, at in zip([0, *times], times) if at - last > 0.05]

    async def fail(client):
        for name, path in PATHS.items():
            fleet.upstream.set_answer(path, FAILURES[name][0])
        failing = time.monotonic()
        fleet.refused.refuse()
        for name, path in PATHS.items():
            told[name] = await client.state(f"api:{path}", FAILURES[name][1][0])
        for name, (uri, state, _) in UNREACHED.items():
            told[name] = await client.state(uri, state)
        # Who wants it at once does not get it before its time.
        await client.send({"action": "refresh", "uris": uris[:3]})
        for name, path in PATHS.items():
            if name != "401":
                await until(lambda: len(polls(path, failing)) >= 2, f"again: {name}")
            asked[name] = polls(path, failing)

    async def recover(client):
        for path in PATHS.values():
            fleet.upstream.set(path, {"n": 3})
        fleet.refused.listen()
        fleet.refused.set("/x", {"n": 3})
        # An operator who has mended the password.
        assert len(asked["401"]) == 1
        fleet.redis.client.publish("uricast:wake", f"poll api:{PATHS['401']}")
        for uri in [*uris, "refused:/x"]:
            await client.content(uri, lambda c: c == {"n": 3})

    async def test():
        async with fleet.client() as client:
            for uri in [*uris, "refused:/x"]:
                await client.subscribe(uri)
            for uri in [*uris, "refused:/x"]:
                await client.content(uri)
            for uri in ("untrusted:/x", "nowhere:/x"):
                await client.subscribe(uri)
            await fail(client)
            await recover(client)

    run(test())
    print()
    for name in told:
        check(name, told[name], asked.get(name, []))
    assert fleet.untrusted.requests == []


def check(name, frame, asked):
    state, code, number, ahead = (
        FAILURES[name][1] if name in FAILURES else (*UNREACHED[name][1:], None, SHORT)
    )
    error = frame["error"]
    assert (frame["state"], error["code"]) == (state, code), name
    assert error.get("status") == number, name
    assert ahead[0] - 0.05 <= seconds_ahead(error) <= ahead[1] + 0.05, name
    waited = asked[1] - asked[0] if len(asked) > 1 else None
    if waited is not None:
        # What is waited for counts from the answer, and slots have their own rhythm.
        assert waited >= ahead[0] * 0.95, (name, waited)
        assert waited <= ahead[1] + 2, (name, waited)
    number = f", `status` {number}" if number else ""
    print(
        f"| {name} | `{state}` | `{code}`{number} | {seconds_ahead(error):.1f} s | "
        + (f"{waited:.1f} s |" if waited else "– |")
    )
