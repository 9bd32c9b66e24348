"""Freshness as data: when a content was last confirmed and when it came to be what it is."""

import datetime
import time

from harness import run, until


def instant(text):
    assert text.endswith("Z")
    return datetime.datetime.fromisoformat(text).timestamp()


def test_a_subscriber_may_ask_how_fresh_a_resource_is(small_fleet):
    small_fleet.upstream.set("/nodes", [1])

    async def test():
        async with small_fleet.client() as client:
            ask = {"action": "status", "uri": "/nodes"}
            refused = await client.ask(ask)
            assert refused["error"]["code"] == "not_subscribed"
            begun_at = time.time()
            await client.subscribe("/nodes")
            await client.content("/nodes")
            status = await client.ask(ask)
            assert list(status) == [
                "id",
                "ok",
                "uri",
                "state",
                "version",
                "interval",
                "checked_at",
                "changed_at",
            ]
            assert status["state"] == "fresh"
            assert status["interval"] == small_fleet.interval
            assert status["version"] == client.held["/nodes"][0]
            stored = small_fleet.redis.resource("/nodes")
            changed_at = instant(status["changed_at"])
            assert abs(changed_at - int(stored["changed_at"]) / 1000) < 0.1
            assert begun_at - 0.1 < changed_at < time.time() + 0.1

            mark = client.mark()
            small_fleet.upstream.set("/nodes", status=503)
            await client.state("/nodes", "stale", mark)
            small_fleet.upstream.set("/nodes", [1])
            await client.state("/nodes", "fresh", mark)
            later = await client.ask(ask)
            assert later["changed_at"] == status["changed_at"]
            assert instant(later["checked_at"]) > instant(status["checked_at"])

    run(test())


def test_get_says_when_it_was_checked_and_changed(small_fleet):
    small_fleet.upstream.set("/nodes", [1])
    response = small_fleet.gateways[0].resource("/nodes")
    checked_at = instant(response.headers["Uricast-Checked-At"])
    changed_at = instant(response.headers["Uricast-Changed-At"])
    now = time.time()
    assert now - 5 < checked_at <= now + 0.1
    assert abs(changed_at * 1e6 - int(response.headers["ETag"].strip('"'))) <= 1000


def test_what_was_not_answered_yet_has_no_instants(small_fleet):
    small_fleet.upstream.set("/slow", [1], silent=True)

    async def test():
        async with small_fleet.client() as client:
            await client.subscribe("/slow")
            await until(lambda: small_fleet.upstream.count("/slow"), "a request")
            status = await client.ask({"action": "status", "uri": "/slow"})
            assert set(status) <= {"id", "ok", "uri", "state", "interval"}

    run(test())
