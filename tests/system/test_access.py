"""Who may connect, and how much one connection may ask for."""

import asyncio
import json

import pytest

from client import Refused
from harness import SANITIZED, run, until, until_now
from upstream import Answer


def test_a_page_of_the_gateways_own_origin_may_connect(shared_fleet):
    async def test():
        origin = f"http://127.0.0.1:{shared_fleet.gateways[0].port}"
        async with shared_fleet.client(origin=origin) as client:
            await client.subscribe("/a")
            assert await client.content("/a") == {"n": 1}

    run(test())


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example.com",
        "https://127.0.0.1",
        "http://127.0.0.1:1",
        "http://127.0.0.1.evil.example.com",
        "null",
        "nonsense",
        "http://",
    ],
)
def test_a_page_of_another_origin_is_refused(shared_fleet, origin):
    async def test():
        with pytest.raises(Refused) as refused:
            async with shared_fleet.client(origin=origin):
                pass
        assert refused.value.status == 403

    run(test())


def test_plain_http_has_the_same_rule(shared_fleet):
    gateway = shared_fleet.gateways[0]
    own = {"Origin": f"http://127.0.0.1:{gateway.port}"}
    foreign = {"Origin": "http://evil.example.com"}
    assert gateway.resource("/a").status == 200
    assert gateway.resource("/a", headers=own).status == 200
    refused = gateway.resource("/a", headers=foreign)
    assert refused.status == 403
    assert "Access-Control-Allow-Origin" not in refused.headers


def test_listed_origins_may_connect(start_fleet):
    def config(fleet):
        return {
            "gateway": {"origins": ["https://panel.example.com"]},
            "services": {
                "api": {"url": fleet.upstream.url, "default": True, "raw": True}
            },
        }

    fleet = start_fleet(gateways=1, pollers=1, config=config)
    fleet.upstream.set("/a", {"n": 1})

    async def test():
        async with fleet.client(origin="https://panel.example.com") as client:
            await client.subscribe("/a")
            assert await client.content("/a") == {"n": 1}
        for origin in ("http://panel.example.com", "https://panel.example.com.evil.org"):
            with pytest.raises(Refused):
                async with fleet.client(origin=origin):
                    pass

    run(test())


def test_a_page_of_a_listed_origin_may_read_all_that_it_is_told(start_fleet):
    page = {"Origin": "https://panel.example.com"}
    fleet = start_fleet(
        gateways=1, pollers=1, gateway_options=["--origin", page["Origin"]]
    )
    fleet.upstream.set("/a", {"n": 1})
    gateway = fleet.gateways[0]
    simple = {"Cache-Control", "Content-Length", "Content-Type"}  # Fetch, 2.2.2
    for path in ("/uricast.js", "/fleet", "/resource?uri=/a", "/nothing"):
        headers = gateway.get(path, page).headers
        assert headers["Access-Control-Allow-Origin"] == page["Origin"], path
    until_now(
        lambda: gateway.resource("/a").headers.get("Uricast-Interval"),
        "the answer has all of its headers",
    )
    headers = gateway.resource("/a", headers=page).headers
    readable = set(headers["Access-Control-Expose-Headers"].split(", ")) | simple
    told = {name for name in headers if name in ("Age", "Cache-Status", "ETag")}
    told |= {name for name in headers if name.startswith("Uricast-")}
    assert len(told) == 6
    assert told <= readable


def test_a_name_that_was_made_to_point_here_is_refused(shared_fleet):
    """DNS rebinding: the page's own host now resolves to 127.0.0.1, so Origin is Host."""
    port = shared_fleet.gateways[0].port
    host = f"evil.example.com:{port}"
    response = shared_fleet.gateways[0].resource(
        "/a", headers={"Host": host, "Origin": f"http://{host}"}
    )
    assert response.status == 403


def test_a_websocket_elsewhere_than_ws_is_refused(shared_fleet):
    async def test():
        for path in ("/", "/wsx", "/ws/x", "/resource", "/metrics"):
            with pytest.raises(Refused):
                async with shared_fleet.client(path=path):
                    pass

    run(test())


TOKEN = "correct-horse-battery-staple"


@pytest.fixture
def token_fleet(start_fleet, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text(TOKEN + "\n")
    tokens.chmod(0o600)
    fleet = start_fleet(
        gateways=1, pollers=1, gateway_options=["--token-file", str(tokens)]
    )
    fleet.upstream.set("/a", {"n": 1})
    return fleet


def test_a_token_in_the_header_opens(token_fleet):
    async def test():
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with token_fleet.client(extra_headers=headers) as client:
            await client.subscribe("/a")
            assert await client.content("/a") == {"n": 1}

    run(test())
    gateway = token_fleet.gateways[0]
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert gateway.resource("/a", headers=headers).status == 200


def test_a_token_in_the_first_message_opens(token_fleet):
    async def test():
        async with token_fleet.client() as client:
            wrong = {"action": "authenticate", "token": "wrong"}
            client.check_error(await client.ask(wrong))
            answer = await client.ask({"action": "subscribe", "uri": "/a"})
            client.check_error(answer)
            right = {"action": "authenticate", "token": TOKEN}
            assert (await client.ask(right))["ok"] is True
            await client.subscribe("/a")
            assert await client.content("/a") == {"n": 1}

    run(test())


def test_a_wrong_token_is_refused(token_fleet):
    async def test():
        for wrong in ("Bearer wrong", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer "):
            with pytest.raises(Refused) as refused:
                async with token_fleet.client(extra_headers={"Authorization": wrong}):
                    pass
            assert refused.value.status == 401, wrong

    run(test())
    gateway = token_fleet.gateways[0]
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        assert gateway.resource("/a", headers=headers).status == 401


def test_without_a_token_nothing_is_told(token_fleet):
    async def test():
        try:
            async with token_fleet.client() as client:
                await client.subscribe("/a")
                await until(lambda: client.frames or not client.open, "a refusal")
                assert not client.held
        except Refused as refused:
            assert refused.status == 401

    run(test())
    assert token_fleet.upstream.count("/a") == 0


def test_a_token_is_never_logged(token_fleet):
    async def test():
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with token_fleet.client(extra_headers=headers) as client:
            await client.subscribe("/a")
            await client.content("/a")

    run(test())
    for process in token_fleet.processes:
        assert TOKEN not in process.log()


def test_too_many_subscriptions_of_one_connection_are_refused(shared_fleet):
    async def test():
        async with shared_fleet.client() as client:
            uris = [f"/many/{number}" for number in range(140)]
            answers = []
            for start in range(0, 140, 20):
                message = {"action": "subscribe", "uris": uris[start : start + 20]}
                answers += (await client.ask(message))["uris"]
            refused = [entry for entry in answers if "error" in entry]
            assert [entry["uri"] for entry in refused] == uris[128:]
            for entry in refused:
                client.check_error(entry)
            # Room again after unsubscribing.
            await client.ask({"action": "unsubscribe", "uri": uris[0]})
            answer = await client.ask({"action": "subscribe", "uri": "/a"})
            assert answer["ok"] is True
            assert await client.content("/a") == {"n": 1}

    run(test())


def test_too_many_raw_addresses_of_one_provider_are_refused(start_fleet):
    def config(fleet):
        api = {"url": fleet.upstream.url, "default": True, "raw": True}
        api["limits"] = {"raw_addresses": 10}
        return {"services": {"api": api}}

    fleet = start_fleet(gateways=1, pollers=1, config=config)

    async def test():
        async with fleet.client() as one, fleet.client() as two:
            uris = [f"/r/{number}" for number in range(12)]
            answer = await one.ask({"action": "subscribe", "uris": uris})
            refused = [e["uri"] for e in answer["uris"] if "error" in e]
            assert refused == uris[10:]
            # Somebody else may watch what is watched already, and nothing new.
            assert (await two.ask({"action": "subscribe", "uri": "/r/0"}))["ok"] is True
            answer = await two.ask({"action": "subscribe", "uri": "/r/11"})
            two.check_error(answer)
            await one.ask({"action": "unsubscribe", "uri": "/r/5"})
            # Room again, as soon as the gateway has given the other one up.
            while "error" in (await two.ask({"action": "subscribe", "uri": "/r/11"})):
                await asyncio.sleep(0.05)

    run(test())


def test_a_slow_reader_gets_the_newest_and_holds_up_nobody(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1, interval=0.1)
    text = "x" * 200_000
    numbers = iter(range(10**6))

    def answer(request):
        return Answer({"n": next(numbers), "text": text})

    fleet.upstream.set_answer("/big", answer)

    async def test():
        async with fleet.client() as quick:
            await quick.subscribe("/big")
            await quick.content("/big")
            slow = await asyncio.open_connection("127.0.0.1", fleet.gateways[0].port)
            await raw_subscribe(*slow, "/big")
            held = quick.held["/big"][1]["n"]
            await quick.content("/big", lambda c: c["n"] > held + 40, deadline=60)
            gateway = fleet.gateways[0]
            assert resident_bytes(gateway.pid) < (400e6 if SANITIZED else 100e6)
            assert gateway.metric("uricast_gateway_conflated_total") > 0
            slow[1].transport.abort()

    run(test())


async def raw_subscribe(reader, writer, uri):
    """A WebSocket by hand that subscribes and then reads nothing any more."""
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    payload = json.dumps({"action": "subscribe", "uri": uri}).encode()
    assert len(payload) < 126
    writer.write(bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload)
    writer.transport.pause_reading()


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * 4096
