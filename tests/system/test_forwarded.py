"""Whose connections they are, behind proxies and without, and how many one may have."""

import contextlib

import pytest

from client import Refused
from harness import run, until

FROM = "X-Forwarded-For"
REFUSED = 'uricast_gateway_clients_refused_total{reason="address"}'


def config(fleet):
    return {
        "gateway": {"limits": {"clients_per_address": 2}},
        "services": {"a": {"url": fleet.upstream.url, "default": True}},
    }


def from_client(gateway, address):
    return gateway.client(extra_headers={FROM: address})


async def refusal(gateway, address):
    with pytest.raises(Refused) as refused:
        await from_client(gateway, address).__aenter__()
    return refused.value


def test_an_address_has_so_many_connections_behind_a_trusted_proxy(start_fleet):
    fleet = start_fleet(
        gateways=1,
        pollers=1,
        config=config,
        gateway_options=[
            *("--trusted-proxy", "127.0.0.0/8", "--log-level", "debug"),
            *("--origin", "https://panel.example"),
        ],
    )
    fleet.upstream.set("/a", {"n": 1})
    gateway = fleet.gateways[0]

    async def test():
        async with contextlib.AsyncExitStack() as stack:
            one = await stack.enter_async_context(from_client(gateway, "203.0.113.1"))
            headers = {FROM: "9.9.9.9, 203.0.113.1"}
            events = gateway.events("/a", headers=headers)
            await stack.enter_async_context(events)
            refused = await refusal(gateway, "203.0.113.1")
            assert refused.status == 429
            assert refused.headers["Retry-After"] == "10"
            answer = gateway.resource("/a", headers={FROM: "203.0.113.1"})
            assert answer.status == 429
            assert answer.json["error"]["code"] == "too_many_connections"
            assert (
                "status=429 code=too_many_connections client=203.0.113.1" in gateway.log()
            )
            assert gateway.metric(REFUSED) == 2
            # A page of a listed origin may read that it was refused, and why.
            headers = {FROM: "203.0.113.1", "Origin": "https://panel.example"}
            answer = gateway.resource("/a", headers=headers)
            assert answer.status == 429
            assert answer.headers["Access-Control-Allow-Origin"] == headers["Origin"]
            # Others, and who comes from the proxy itself, are not concerned.
            await stack.enter_async_context(from_client(gateway, "203.0.113.2"))
            assert gateway.resource("/a").status == 200
            # Every wire gives its place back.
            await one.close()
            await until(
                lambda: gateway.resource("/a", headers={FROM: "203.0.113.1"}).status == 200,
                "there is room again",
            )
            await stack.enter_async_context(from_client(gateway, "203.0.113.1"))
            await events.close()

            async def comes_in():
                client = from_client(gateway, "203.0.113.1")
                with contextlib.suppress(Refused):
                    await stack.enter_async_context(client)
                    return True

            while not await comes_in():
                pass

    run(test())


def test_nobody_can_pass_for_another_without_a_trusted_proxy(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1, config=config)
    gateway = fleet.gateways[0]

    async def test():
        async with from_client(gateway, "203.0.113.1"), from_client(gateway, "203.0.113.2"):
            assert (await refusal(gateway, "203.0.113.3")).status == 429

    run(test())


def test_the_cap_and_the_proxies_change_with_a_reload(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1, config=config)
    gateway = fleet.gateways[0]
    path = fleet.directory / "uricast.json"

    async def test():
        async with gateway.client(), gateway.client():
            assert (await refusal(gateway, "203.0.113.3")).status == 429
            text = path.read_text()
            proxies = '"gateway": {"trusted_proxies": ["127.0.0.1"],'
            path.write_text(text.replace('"gateway": {', proxies))
            gateway.reload()
            async with from_client(gateway, "203.0.113.3"):
                assert (await refusal(gateway, "127.0.0.1")).status == 429
            path.write_text(text.replace('"clients_per_address": 2', ""))
            gateway.reload()
            async with gateway.client():
                pass

    run(test())
