"""deploy/haproxy.cfg carries every wire, and knows which gateways to send clients to."""

import http.client
import json
import re
import time
import urllib.parse

import pytest

from client import Client
from load_balancer import HAProxy
from harness import TOP, run, until, until_now


@pytest.fixture
def fronted(start_fleet, tmp_path):
    fleet = start_fleet()
    fleet.upstream.set("/a", {"n": 1})
    return fleet, fleet.add(HAProxy(tmp_path, fleet.gateways)).start()


def through(haproxy, **options):
    """A WebSocket client as a page of this very origin would be."""
    url = f"wss://localhost:{haproxy.port}/ws"
    origin = f"https://localhost:{haproxy.port}"
    return Client(url, ssl=haproxy.context(), origin=origin, **options)


def get_path(haproxy, path, headers=None):
    connection = http.client.HTTPSConnection(
        "localhost", haproxy.port, timeout=90, context=haproxy.context()
    )
    connection.request("GET", path, headers=headers or {})
    return connection.getresponse()


def get(haproxy, uri, headers=None):
    path = "/resource?" + urllib.parse.urlencode({"uri": uri})
    return get_path(haproxy, path, headers)


def clients_of(gateway):
    metrics = gateway.metrics()
    return sum(
        value
        for name, value in metrics.items()
        if name.startswith("uricast_gateway_clients{")
    )


def test_every_wire_gets_changes_through_haproxy(fronted):
    fleet, haproxy = fronted

    async def scenario():
        async with through(haproxy) as client:
            await client.subscribe("/a", mode="patch")
            await client.content("/a", lambda content: content["n"] == 1)
            stream = get(haproxy, "/a", {"Accept": "text/event-stream"})
            assert stream.status == 200
            first = get(haproxy, "/a")
            assert json.loads(first.read()) == {"n": 1}
            fleet.upstream.set("/a", {"n": 2})
            later = get(
                haproxy,
                "/a",
                {"If-None-Match": first.headers["ETag"], "Prefer": "wait=60"},
            )
            assert (later.status, json.loads(later.read())) == (200, {"n": 2})
            await client.content("/a", lambda content: content["n"] == 2)
            seen = ""
            while '"n":2' not in seen:
                line = stream.readline().decode()
                assert line, f"the stream ended: {seen}"
                seen += line
            stream.close()

    run(scenario())


@pytest.mark.parametrize("path", ["/", "/uricast.js", "/assets/dashboard.css"])
def test_a_page_comes_through_haproxy_and_is_not_sent_again_to_who_has_it(
    fronted, path
):
    fleet, haproxy = fronted
    first = get_path(haproxy, path, {"Accept-Encoding": "gzip"})
    assert (first.status, first.headers["Content-Encoding"]) == (200, "gzip")
    assert first.headers["Cache-Control"] == "no-cache"
    has = {"Accept-Encoding": "gzip", "If-None-Match": first.headers["ETag"]}
    again = get_path(haproxy, path, has)
    assert (again.status, again.read()) == (304, b"")


def test_the_fleet_is_told_through_haproxy(fronted):
    fleet, haproxy = fronted
    picture = json.loads(get_path(haproxy, "/fleet").read())
    assert len(picture["gateways"]) == 2 and picture["pollers"]


def test_a_stream_that_is_silent_stays_open(fronted):
    fleet, haproxy = fronted
    text = (TOP / "deploy/haproxy.cfg").read_text()
    timeouts = re.findall(r"timeout (?:client|server|tunnel) (\d+)s", text)
    # 25 s between pings, 15 s between heartbeats, 60 s of a long poll.
    assert len(timeouts) == 3 and min(map(int, timeouts)) > 60
    stream = get(haproxy, "/a", {"Accept": "text/event-stream"})
    start = time.monotonic()
    while not stream.readline().startswith(b":"):
        assert time.monotonic() - start < 60
    fleet.upstream.set("/a", {"n": 9})
    seen = b""
    while b'"n":9' not in seen:
        seen = stream.readline()
        assert seen
    stream.close()


def test_new_clients_are_spread_and_none_goes_to_a_gateway_that_is_gone(fronted):
    fleet, haproxy = fronted

    async def scenario():
        clients = [through(haproxy) for _ in range(6)]
        for client in clients[:4]:
            await client.__aenter__()
            await client.subscribe("/a")
            await client.content("/a")
        assert [clients_of(gateway) for gateway in fleet.gateways] == [2, 2]
        fleet.gateways[0].kill()
        for client in clients[4:]:
            await client.__aenter__()
            await client.subscribe("/a")
            await client.content("/a")
        assert clients_of(fleet.gateways[1]) == 4
        await until(lambda: haproxy.ready() == 1, "HAProxy knows")
        fleet.gateways[0].start()
        fleet.gateways[0].await_ready()
        await until(lambda: haproxy.ready() == 2, "HAProxy takes it back")
        for client in clients:
            await client.close()

    run(scenario())


def test_while_redis_is_away_newcomers_get_what_gateways_hold(fronted):
    fleet, haproxy = fronted

    async def scenario():
        async with through(haproxy) as one, through(haproxy) as other:
            for client in (one, other):
                await client.subscribe("/a")
                await client.content("/a")
            fleet.redis.pause()
            await until(lambda: haproxy.ready() == 0, "no gateway is ready")
            async with through(haproxy) as late:
                await late.subscribe("/a")
                await late.content("/a", lambda content: content["n"] == 1)
                await late.state("/a", "stale")
                mark = late.mark()
                fleet.redis.resume()
                await late.state("/a", "fresh", mark)
            until_now(lambda: haproxy.ready() == 2, "all are ready again")

    run(scenario())
