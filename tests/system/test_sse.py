"""Event streams: the frames of a WebSocket as events, and how they are resumed."""

import asyncio
import http.client
import json
import socket
import struct
import urllib.parse

import pytest

from client import DEADLINE, Refused
from harness import SANITIZED, Response, http_get, others_through_proxy, run, until
from test_subscribe import VERBATIM

STREAM = {"Accept": "text/event-stream"}


def test_an_event_carries_what_a_websockets_frame_does(small_fleet):
    small_fleet.upstream.set("/nodes", VERBATIM)

    async def test():
        gateway = small_fleet.gateways[0]
        async with small_fleet.client() as client, gateway.events("/nodes") as events:
            await client.subscribe("/nodes")
            await client.content("/nodes")
            await events.content("/nodes")
            assert "\n" in VERBATIM
            assert events.texts == client.texts
            small_fleet.upstream.set("/nodes", {}, status=503)
            await client.state("/nodes", "stale")
            await events.state("/nodes", "stale")
            assert events.texts == client.texts

    run(test())


def test_a_stream_says_what_it_is(small_fleet):
    small_fleet.upstream.set("/nodes", [])

    async def test():
        async with small_fleet.gateways[0].events("/nodes") as events:
            assert events.answered["content-type"] == "text/event-stream"
            assert events.answered["cache-control"] == "no-store"
            assert "content-length" not in events.answered
            await events.content("/nodes")
            assert 1000 <= events.retry_ms <= 3000

    run(test())


def test_a_stream_of_events_carries_every_change(small_fleet):
    small_fleet.upstream.set("/nodes", {"n": 0})

    async def test():
        async with small_fleet.gateways[0].events("/nodes") as events:
            for n in range(5):
                small_fleet.upstream.set("/nodes", {"n": n})
                await events.content("/nodes", lambda c: c["n"] == n)
            assert [f["content"]["n"] for f in events.frames] == [0, 1, 2, 3, 4]
            assert events.ids == [f["version"] for f in events.frames]

    run(test())


def test_every_kind_of_line_end_reaches_the_client(small_fleet):
    endings = ["\n", "\r\n", "\r", "\n\r", "\n\n", "\r\r\n\n"]
    body = "[1" + "".join(f",{ending}{n}" for n, ending in enumerate(endings)) + "]\n"
    small_fleet.upstream.set("/nodes", body)

    async def test():
        async with small_fleet.gateways[0].events("/nodes") as events:
            assert await events.content("/nodes") == json.loads(body)
            text = body.replace("\r\n", "\n").replace("\r", "\n")
            assert events.texts[0].endswith(f'"content":{text}}}')

    run(test())


def test_large_content_with_many_lines_arrives_whole(small_fleet):
    big = {"rows": [{"id": n, "text": "abcdefghij" * 20} for n in range(3000)]}
    small_fleet.upstream.set("/big", json.dumps(big, indent=1))

    async def test():
        async with small_fleet.gateways[0].events("/big") as events:
            assert await events.content("/big") == big
            big["rows"][7]["text"] = "changed"
            small_fleet.upstream.set("/big", json.dumps(big, indent=1))
            await events.content("/big", lambda c: c == big)

    run(test())


def test_patches_come_to_who_asks_for_them(small_fleet):
    rows = [{"id": n, "text": "abcdefghij"} for n in range(50)]
    small_fleet.upstream.set("/nodes", rows)

    async def test():
        gateway = small_fleet.gateways[0]
        async with gateway.events("/nodes", mode="patch") as events:
            await events.content("/nodes")
            for n in range(3):
                rows[n]["text"] = "changed"
                small_fleet.upstream.set("/nodes", rows)
                await events.content("/nodes", lambda c: c[n]["text"] == "changed")
            assert ["patch" in f for f in events.frames] == [False, True, True, True]
            assert events.ids == [f["version"] for f in events.frames]

    run(test())


def test_a_stream_of_several_addresses_counts_them_all_in_its_ids(small_fleet):
    uris = ["/a", "/b", "/c"]
    for uri in uris[:2]:
        small_fleet.upstream.set(uri, {"n": 1})
    small_fleet.upstream.set("/c", {}, status=503)

    async def test():
        async with small_fleet.gateways[0].events(*uris) as events:
            await events.content("/a")
            await events.content("/b")
            await events.state("/c", "error")
            small_fleet.upstream.set("/b", {"n": 2})
            await events.content("/b", lambda c: c["n"] == 2)
            held = {"/a": "0", "/b": "0", "/c": "0"}
            for frame, ident in zip(events.frames, events.ids):
                held[frame["uri"]] = frame.get("version", held[frame["uri"]])
                if "version" in frame:
                    assert ident == ",".join(held.values())

    run(test())


@pytest.mark.parametrize("wire", ["header", "parameter"])
def test_a_stream_is_resumed_after_the_last_event(fleet, wire):
    upstream = fleet.upstream
    for uri in ("/a", "/b"):
        upstream.set(uri, {"n": 1})

    def resumed(ident):
        if wire == "header":
            return {"headers": {"Last-Event-ID": ident}}
        return {"last_event_id": ident}

    async def test():
        one, other = fleet.gateways
        async with one.events("/a", "/b") as events:
            await events.content("/a")
            await events.content("/b")
            ident = events.last_id
        async with other.events("/a", "/b", **resumed(ident)) as events:
            upstream.set("/a", {"n": 2})
            await events.frame(lambda f: f["uri"] == "/a")
            assert [f["content"] for f in events.frames] == [{"n": 2}]
            newer = events.last_id
            assert newer.split(",")[1] == ident.split(",")[1]
        async with one.events("/a", "/b", **resumed(ident)) as events:
            # One of the two has changed since then.
            await events.frame(lambda f: f["uri"] == "/a")
            upstream.set("/b", {"n": 3})
            await events.frame(lambda f: f["uri"] == "/b")
            assert [f["content"] for f in events.frames] == [{"n": 2}, {"n": 3}]

    run(test())


def test_a_resumed_stream_goes_on_with_patches(small_fleet):
    rows = [{"id": n, "text": "abcdefghij"} for n in range(50)]
    small_fleet.upstream.set("/nodes", rows)

    async def test():
        gateway = small_fleet.gateways[0]
        async with gateway.events("/nodes", mode="patch") as kept:
            await kept.content("/nodes")
            held = kept.held["/nodes"]
            rows[0]["text"] = "changed"
            small_fleet.upstream.set("/nodes", rows)
            await kept.content("/nodes", lambda c: c == rows)
            resume = {"Last-Event-ID": held[0]}
            stream = gateway.events("/nodes", headers=resume, mode="patch")
            stream.held["/nodes"] = held
            async with stream:
                await stream.content("/nodes", lambda c: c == rows)
                assert "patch" in stream.frames[0]

    run(test())


def test_the_header_of_a_browser_that_comes_back_is_the_newer_one(small_fleet):
    small_fleet.upstream.set("/a", {"n": 1})

    async def test():
        gateway = small_fleet.gateways[0]
        async with gateway.events("/a") as events:
            await events.content("/a")
            ident = events.last_id
        again = {"headers": {"Last-Event-ID": ident}, "last_event_id": "17"}
        async with gateway.events("/a", **again) as events:
            small_fleet.upstream.set("/a", {"n": 2})
            assert (await events.frame(lambda f: True))["content"] == {"n": 2}

    run(test())


@pytest.mark.parametrize("ident", ["", "nonsense", ",", "0", "1,2,3", "9" * 40, "-1"])
def test_an_id_that_is_none_of_ours_gets_the_content(shared_fleet, ident):
    async def test():
        gateway = shared_fleet.gateways[0]
        async with gateway.events("/a", last_event_id=ident) as events:
            assert await events.content("/a") == {"n": 1}

    run(test())


def test_an_id_newer_than_the_gateway_is_read_in_redis_first(start_fleet):
    fleet = start_fleet(gateway_redis_url=others_through_proxy)
    fleet.upstream.set("/a", {"n": 1})

    async def test():
        ahead, behind = fleet.gateways
        async with ahead.events("/a") as events, behind.client() as witness:
            await witness.subscribe("/a")
            await witness.content("/a")
            fleet.proxy.lose = lambda channel: "change:/a" in channel
            fleet.upstream.set("/a", {"n": 2})
            await events.content("/a", lambda c: c["n"] == 2)
            assert witness.held["/a"][1] == {"n": 1}
            async with behind.events("/a", last_event_id=events.last_id) as resumed:
                await witness.content("/a", lambda c: c["n"] == 2)
                fleet.proxy.lose = lambda channel: False
                fleet.upstream.set("/a", {"n": 3})
                await resumed.frame(lambda f: True)
                assert [f["content"]["n"] for f in resumed.frames] == [3]

    run(test())


def test_a_state_told_before_its_content_does_not_stand_for_it(small_fleet):
    """The gateway has a large content's version only, and cannot read it for now."""
    uri, large = "/large", {"n": 1, "pad": "x" * 100_000}
    small_fleet.upstream.set(uri, large)

    async def test():
        gateway = small_fleet.gateways[0]
        async with gateway.client() as patched:
            await patched.subscribe(uri, mode="patch")
            await patched.content(uri)
            small_fleet.upstream.set(uri, {**large, "n": 2})
            await patched.content(uri, lambda content: content["n"] == 2)
            small_fleet.redis.pause()
            await patched.state(uri, "stale")

            async with gateway.events(uri) as events:
                await events.state(uri, "error")
                assert events.ids == [""]
            small_fleet.redis.resume()
            async with gateway.events(uri, last_event_id=events.last_id) as resumed:
                assert (await resumed.content(uri))["n"] == 2
                assert resumed.last_id == patched.held[uri][0]

    run(test())


def test_text_is_a_string_with_its_type(small_fleet):
    text = 'line "one"\n\tzwei ü \\ \u2028 \x01 end\r\n'
    small_fleet.upstream.set("/motd", text, content_type="text/plain; charset=utf-8")

    async def test():
        async with small_fleet.gateways[0].events("/motd") as events:
            assert await events.content("/motd") == text
            assert events.frames[0]["type"] == "text/plain"

    run(test())


def test_the_interval_of_a_stream_is_interest_like_any_other(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1, interval=60)
    fleet.upstream.set("/slow", {"n": 1})

    async def test():
        async with fleet.gateways[0].events("/slow", interval=2) as events:
            await events.content("/slow")
            fleet.upstream.set("/slow", {"n": 2})
            await events.content("/slow", lambda c: c["n"] == 2)
        key = "uricast:interest:/slow"
        await until(lambda: not fleet.redis.client.exists(key), "no interest left")

    run(test())


def ask_for_stream(gateway, query):
    """The answer, without the body of one that has no end."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=DEADLINE)
    try:
        connection.request("GET", f"/resource?{query}", headers=STREAM)
        answer = connection.getresponse()
        body = answer.read() if answer.length is not None else b""
        return Response(answer.status, answer.headers, body)
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("query", "status", "code", "named"),
    [
        ("", 400, "bad_request", None),
        ("uri=/a&uri=/../x", 400, "bad_address", "/../x"),
        ("uri=/a&uri=%zz", 400, "bad_address", "%zz"),
        ("uri=/a&uri=%2Fb%3F", 400, "not_canonical", "/b?"),
        ("uri=/a&uri=compute/dfw/servers", 404, "unknown_address", "compute/dfw/servers"),
        ("uri=/a&uri=/b&uri=/a", 400, "bad_request", "/a"),
        ("uri=/a&mode=loud", 400, "unsupported_mode", None),
        ("uri=/a&interval=fast", 400, "bad_request", None),
        ("uri=/a&interval=0", 400, "bad_request", None),
        ("uri=/a&interval=0x10", 400, "bad_request", None),
        ("uri=/a&last-event-id=%g", 400, "bad_request", None),
        ("uri=/a&color=blue", 400, "unknown_parameter", None),
    ],
)
def test_a_stream_has_all_it_asks_for_or_is_refused(
    shared_fleet, query, status, code, named
):
    gateway = shared_fleet.gateways[0]
    response = ask_for_stream(gateway, query)
    assert response.status == status
    error = response.json["error"]
    assert error["code"] == code and error["message"]
    assert response.json.get("uri") == named
    assert gateway.metric("uricast_gateway_subscriptions") == 0


def test_a_stream_has_no_more_addresses_than_any_connection(shared_fleet):
    gateway = shared_fleet.gateways[0]
    uris = [f"/many/{n}" for n in range(129)]
    query = urllib.parse.urlencode([("uri", uri) for uri in uris])
    response = ask_for_stream(gateway, query)
    assert response.status == 400
    assert response.json["error"]["code"] == "too_many_subscriptions"
    assert response.json["uri"] == uris[-1]


@pytest.mark.parametrize("parameter", ["mode=patch", "interval=1", "last-event-id=1"])
def test_what_is_for_streams_is_for_streams_only(shared_fleet, parameter):
    response = shared_fleet.gateways[0].get(f"/resource?uri=/a&{parameter}")
    assert response.status == 400
    assert parameter.partition("=")[0] in response.json["error"]["message"]


@pytest.mark.parametrize(
    "accept",
    [
        "text/event-stream",
        "text/event-stream;q=0.9, */*;q=0.1",
        "application/json, Text/Event-Stream",
    ],
)
def test_who_accepts_events_gets_them(shared_fleet, accept):
    async def test():
        gateway = shared_fleet.gateways[0]
        async with gateway.events("/a", headers={"Accept": accept}) as events:
            await events.content("/a")

    run(test())


def test_a_head_request_is_no_stream(shared_fleet):
    gateway = shared_fleet.gateways[0]
    response = http_get(gateway.port, "/resource?uri=/a", STREAM, method="HEAD")
    assert response.status == 200 and response.body == b""
    assert response.headers["Content-Type"] == "application/json"


def test_a_page_of_another_site_gets_no_stream(shared_fleet):
    async def test():
        gateway = shared_fleet.gateways[0]
        with pytest.raises(Refused) as refused:
            async with gateway.events("/a", headers={"Origin": "https://evil.example"}):
                pass
        assert refused.value.status == 403

    run(test())


def test_a_silent_stream_has_a_heart_beat(shared_fleet):
    async def test():
        async with shared_fleet.gateways[0].events("/a") as events:
            await events.content("/a")
            await until(lambda: events.comments > 0, "a comment")
            assert len(events.frames) == 1

    run(test())


def leave_with_fin(connection):
    connection.close()


def leave_with_half_close(connection):
    connection.shutdown(socket.SHUT_WR)


def leave_with_reset(connection):
    linger = struct.pack("ii", 1, 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.close()


def begin_streams(gateway, count):
    request = f"GET /resource?uri=/a HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\n"
    connections = []
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", gateway.port))
        connection.sendall(request.encode() + b"Accept: text/event-stream\r\n\r\n")
        connections.append(connection)
    for connection in connections:
        received = b""
        while b"data: " not in received:
            received += connection.recv(65536)
    return connections


def cpu_s(process):
    """Seconds of CPU it has had, in hundredths."""
    with open(f"/proc/{process.pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.parametrize("count", [1, 1000])
@pytest.mark.parametrize(
    "leave", [leave_with_fin, leave_with_half_close, leave_with_reset]
)
def test_who_leaves_is_gone_within_two_seconds_and_costs_nothing(
    shared_fleet, count, leave
):
    gateway = shared_fleet.gateways[0]

    async def test():
        connections = begin_streams(gateway, count)
        assert gateway.clients() >= count
        for connection in connections:
            leave(connection)
        await until(
            lambda: gateway.clients() == 0,
            "all of them gone",
            deadline=20 if SANITIZED else 2,
        )
        assert gateway.metric("uricast_gateway_subscriptions") == 0
        # What spins takes all of a core.
        before = cpu_s(gateway)
        await asyncio.sleep(1)
        assert cpu_s(gateway) - before < 0.5
        for connection in connections:
            connection.close()

    run(test())


def test_streams_end_with_their_gateway(small_fleet):
    small_fleet.upstream.set("/a", {"n": 1})

    async def test():
        gateway = small_fleet.gateways[0]
        async with gateway.events("/a") as events:
            await events.content("/a")
            gateway.terminate()
            await until(lambda: not events.open, "its end")
            assert await asyncio.to_thread(gateway.wait) == 0

    run(test())
