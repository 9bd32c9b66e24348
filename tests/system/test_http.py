"""Plain HTTP: one state by GET, and the operator's endpoints."""

import asyncio
import json
import re
import time

import pytest

from client import DEADLINE
from harness import http_get, others_through_proxy, run, short_limits, until


def test_a_resource_can_be_had_by_get(small_fleet):
    body = '{"n": 1.0, "text":"ü"}'
    small_fleet.upstream.set("/nodes", body)
    response = small_fleet.gateways[0].resource("/nodes")
    assert response.status == 200
    assert response.text == body
    assert response.headers["Content-Type"].startswith("application/json")
    etag = response.headers["ETag"]
    assert etag.startswith('"') and etag.endswith('"')
    assert int(response.headers["Age"]) >= 0
    assert response.headers["Cache-Status"]


def test_the_etag_is_the_version(small_fleet):
    small_fleet.upstream.set("/nodes", [])

    async def test():
        async with small_fleet.client() as client:
            await client.subscribe("/nodes")
            await client.content("/nodes")
            response = small_fleet.gateways[0].resource("/nodes")
            assert response.headers["ETag"] == f'"{client.held["/nodes"][0]}"'

    run(test())


def test_who_has_it_already_is_told_so(small_fleet):
    small_fleet.upstream.set("/nodes", [])
    gateway = small_fleet.gateways[0]
    etag = gateway.resource("/nodes").headers["ETag"]
    again = gateway.resource("/nodes", headers={"If-None-Match": etag})
    assert again.status == 304
    assert again.body == b""


def poll(gateway, uri, etag, wait):
    headers = {"If-None-Match": etag, "Prefer": f"wait={wait}"}
    return asyncio.to_thread(gateway.resource, uri, headers=headers)


def test_a_long_poll_waits_for_the_next_change(small_fleet):
    small_fleet.upstream.set("/nodes", {"n": 1})

    async def test():
        gateway = small_fleet.gateways[0]
        etag = gateway.resource("/nodes").headers["ETag"]
        for n in range(2, 5):
            waiting = asyncio.ensure_future(poll(gateway, "/nodes", etag, 50))
            subscribers = "uricast_gateway_subscriptions"
            await until(lambda: gateway.metric(subscribers) == 1, "a waiting client")
            small_fleet.upstream.set("/nodes", {"n": n})
            response = await waiting
            assert response.status == 200
            assert response.json == {"n": n}
            assert response.headers["ETag"] != etag
            assert response.headers["Preference-Applied"] == "wait=50"
            etag = response.headers["ETag"]
        assert gateway.metric(subscribers) == 0

    run(test())


def test_a_long_poll_ends_when_nothing_changes(small_fleet):
    small_fleet.upstream.set("/nodes", {"n": 1})
    gateway = small_fleet.gateways[0]
    etag = gateway.resource("/nodes").headers["ETag"]
    begun = time.monotonic()
    response = gateway.resource(
        "/nodes", headers={"If-None-Match": etag, "Prefer": "wait=2"}
    )
    assert response.status == 304
    assert response.body == b""
    assert response.headers["ETag"] == etag
    assert response.headers["Preference-Applied"] == "wait=2"
    assert time.monotonic() - begun >= 1.9


def test_a_long_poll_counts_as_interest_while_it_waits(small_fleet):
    small_fleet.upstream.set("/nodes", {"n": 1})

    async def test():
        gateway = small_fleet.gateways[0]
        etag = gateway.resource("/nodes").headers["ETag"]
        interest = "uricast:interest:/nodes"
        redis = small_fleet.redis.client
        await until(lambda: not redis.exists(interest), "no interest")
        waiting = asyncio.ensure_future(poll(gateway, "/nodes", etag, 3))
        await until(lambda: redis.exists(interest), "interest")
        before = small_fleet.upstream.count("/nodes")
        await until(
            lambda: small_fleet.upstream.count("/nodes") >= before + 3, "three polls"
        )
        assert not waiting.done()
        assert (await waiting).status == 304
        await until(lambda: not redis.exists(interest), "no interest again")

    run(test())


def test_a_long_poll_of_who_is_not_current_is_answered_at_once(shared_fleet):
    gateway = shared_fleet.gateways[0]
    etag = gateway.resource("/a").headers["ETag"]
    for old in ('"17"', '"nonsense"', 'W/"3", "5"', ""):
        headers = {"If-None-Match": old, "Prefer": "wait=60"}
        response = gateway.resource("/a", headers=headers, deadline=20)
        assert (response.status, response.headers["ETag"]) == (200, etag)
    headers = {"Prefer": "wait=60"}
    assert gateway.resource("/a", headers=headers, deadline=20).status == 200


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("wait=0", "wait=0"),
        ('respond-async, Wait = "7" ;strict; x=y', "wait=7"),
        ("wait=5, wait=9", "wait=5"),
        ("wait=86400", "wait=60"),
        ("wait=9999999999999999999999, wait=4", "wait=4"),
        ("wait", None),
        ("wait=-1", None),
        ("wait=soon", None),
        ("return=minimal", None),
    ],
)
def test_the_preference_that_counts_is_told(shared_fleet, prefer, applied):
    headers = {"Prefer": prefer}
    response = shared_fleet.gateways[0].resource("/a", headers=headers)
    assert response.status == 200
    assert response.headers["Preference-Applied"] == applied


def test_a_long_poll_for_what_never_had_content_ends_in_an_error(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1, config=short_limits)
    fleet.upstream.set("/nodes", silent=True)
    headers = {"If-None-Match": '"1"', "Prefer": "wait=1"}
    response = fleet.gateways[0].resource("/nodes", headers=headers)
    assert response.status in (502, 504)
    assert response.json["error"]["code"]


def test_a_tag_newer_than_the_gateway_is_read_in_redis_first(start_fleet):
    fleet = start_fleet(gateway_redis_url=others_through_proxy)
    fleet.upstream.set("/a", {"n": 1})

    async def test():
        ahead, behind = fleet.gateways
        async with ahead.client() as client, behind.client() as witness:
            await client.subscribe("/a")
            await witness.subscribe("/a")
            await witness.content("/a")
            fleet.proxy.lose = lambda channel: "change:/a" in channel
            for n, wait in ((2, 0), (3, 1)):
                fleet.upstream.set("/a", {"n": n})
                await client.content("/a", lambda c: c["n"] == n)
                assert witness.held["/a"][1] == {"n": n - 1}
                etag = f'"{client.held["/a"][0]}"'
                response = await poll(behind, "/a", etag, wait)
                assert (response.status, response.headers["ETag"]) == (304, etag)
                await witness.content("/a", lambda c: c["n"] == n)

    run(test())


def test_a_tag_that_redis_never_knew_gets_the_content(shared_fleet):
    headers = {"If-None-Match": f'"{2**62}"', "Prefer": "wait=50"}
    response = shared_fleet.gateways[0].resource("/a", headers=headers, deadline=20)
    assert response.status == 200
    assert response.json == {"n": 1}


def test_a_query_must_be_percent_encoded(small_fleet):
    small_fleet.upstream.set("/nodes?bulk=1&x=2", {"bulk": True})
    gateway = small_fleet.gateways[0]
    assert gateway.resource("/nodes?bulk=1&x=2").json == {"bulk": True}
    mistake = gateway.get("/resource?uri=/nodes?bulk=1&x=2")
    assert mistake.status == 400
    assert "x" in mistake.json["error"]["message"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/resource", 400),
        ("/resource?uri=", 400),
        ("/resource?uri=/../x", 400),
        ("/resource?uri=/%2e%2e/x", 400),
        ("/resource?uri=%2F%2E%2E%2Fx", 400),
        ("/resource?uri=/a&color=blue", 400),
        ("/resource?uri=%zz", 400),
        ("/resource?uri=compute/dfw/servers", 404),
        ("/nothing/here", 404),
    ],
)
def test_what_cannot_be_answered_says_why(shared_fleet, path, status):
    response = shared_fleet.gateways[0].get(path)
    assert response.status == status
    if path.startswith("/resource"):
        error = response.json["error"]
        assert error["code"] and error["message"]


def test_other_methods_are_refused(shared_fleet):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        port = shared_fleet.gateways[0].port
        response = http_get(port, "/resource?uri=/a", method=method)
        assert response.status in (405, 501), method


def test_a_failing_upstream_with_nothing_cached_is_a_502(small_fleet):
    small_fleet.upstream.set("/nodes", {}, status=503)
    response = small_fleet.gateways[0].resource("/nodes")
    assert response.status == 502
    assert response.json["error"]["code"] == "upstream_status"


def test_stale_content_is_a_200_that_says_so(small_fleet):
    small_fleet.upstream.set("/nodes", {"n": 1})

    async def test():
        async with small_fleet.client() as client:
            await client.subscribe("/nodes")
            await client.content("/nodes")
            small_fleet.upstream.set("/nodes", {}, status=503)
            await client.state("/nodes", "stale")
            gateway = small_fleet.gateways[0]
            response = await asyncio.to_thread(gateway.resource, "/nodes")
            assert response.status == 200
            assert response.json == {"n": 1}
            assert "stale" in json.dumps(dict(response.headers)).lower()

    run(test())


def test_without_a_poller_nothing_cached_is_a_503(start_fleet):
    fleet = start_fleet(gateways=1, pollers=0)
    response = fleet.gateways[0].resource("/nodes")
    assert response.status == 503
    assert response.json["error"]["code"] == "no_poller"


def test_without_redis_nothing_cached_is_a_503(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1)
    fleet.redis.kill()
    response = fleet.gateways[0].resource("/nodes")
    assert response.status == 503
    assert response.json["error"]["code"] == "redis_unavailable"


def test_an_upstream_that_never_answers_ends_in_an_error(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1, config=short_limits)
    fleet.upstream.set("/nodes", silent=True)
    response = fleet.gateways[0].resource("/nodes")
    assert response.status in (502, 504)
    assert response.json["error"]["code"]


def test_the_operators_endpoints_answer(fleet):
    fleet.upstream.set("/nodes", {"n": 1})

    async def test():
        async with fleet.client() as client:
            await client.subscribe("/nodes")
            await client.content("/nodes")
            for process in fleet.gateways + fleet.pollers:
                assert process.monitor("/healthz").status == 200
                assert process.monitor("/readyz").status == 200
                assert process.monitor("/nothing").status == 404
                assert process.metric("uricast_redis_up") == 1
                assert process.metric("process_start_time_seconds") > 1.6e9
            gateway = fleet.gateways[0]
            assert gateway.metric('uricast_gateway_clients{wire="websocket"}') == 1
            assert gateway.clients() == 1
            assert gateway.metric("uricast_gateway_subscriptions") == 1
            assert gateway.metric("uricast_gateway_resources") == 1
            owned = [p.metric("uricast_poller_resources") for p in fleet.pollers]
            assert sorted(owned) == [0, 1]

    run(test())


def test_the_metrics_are_not_on_the_clients_port(shared_fleet):
    gateway = shared_fleet.gateways[0]
    assert gateway.get("/metrics").status == 404


def test_metrics_are_what_prometheus_reads(shared_fleet):
    sample = re.compile(r'^[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [-+.0-9eE]+$')
    for process in shared_fleet.gateways + shared_fleet.pollers:
        response = process.monitor("/metrics")
        assert response.headers["Content-Type"].startswith("text/plain")
        described = set()
        for line in response.text.splitlines():
            if line.startswith("# TYPE "):
                name, kind = line.split()[2:]
                parts = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
                described |= {name + part for part in parts}
            elif not line.startswith("#"):
                assert sample.match(line), line
                assert re.match(r"[a-z_]+", line).group() in described, line


def test_readyz_says_why_not(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1)
    fleet.redis.kill()
    for process in fleet.gateways + fleet.pollers:
        until_unready(process)
        response = process.monitor("/readyz")
        assert response.status == 503
        assert response.text.strip()
        assert process.monitor("/healthz").status == 200


def until_unready(process):
    end = time.monotonic() + DEADLINE
    while process.ready():
        assert time.monotonic() < end, f"{process.name} stays ready without Redis"
        time.sleep(0.05)
