"""The fastest interval wins, for all, and every answer says which one it is."""

import asyncio

from harness import run, until

URI = "/nodes"


def subscribe(client, **more):
    return client.ask({"action": "subscribe", "uri": URI, **more})


async def told(client):
    return (await client.ask({"action": "status", "uri": URI})).get("interval")


async def is_told(client, seconds):
    while await told(client) != seconds:
        await asyncio.sleep(0.05)


def stored_ms(fleet):
    return int(fleet.redis.resource(URI).get("interval_ms", 0))


def test_whoever_asks_is_told_the_interval_of_the_whole_fleet(start_fleet):
    fleet = start_fleet(gateways=2, pollers=1, interval=5)
    fleet.upstream.set(URI, {"n": 1})

    async def test():
        async with fleet.client(0) as slow, fleet.client(1) as fast:
            assert (await subscribe(slow, interval=3600))["interval"] == 3600
            await is_told(slow, 3600)
            assert (await subscribe(fast, interval=1.5))["interval"] == 1.5
            # Nothing comes unasked; whoever asks again is told what holds now.
            await is_told(slow, 1.5)
            await is_told(fast, 1.5)
            assert (await subscribe(slow, interval=3600))["interval"] == 1.5
            assert stored_ms(fleet) == 1500
            for gateway in fleet.gateways:
                assert gateway.resource(URI).headers["Uricast-Interval"] == "1.5"
            asked = [frame for frame in slow.frames if "id" not in frame]
            assert [f for f in asked if "content" not in f] == []

            await fast.unsubscribe(URI)
            await is_told(slow, 3600)
            await until(lambda: stored_ms(fleet) == 3_600_000, "the slow one's")

    run(test(), deadline=60)


def test_a_faster_subscriber_of_the_same_gateway_is_heard_at_once(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1, interval=3600)
    fleet.upstream.set(URI, {"n": 1})

    async def test():
        async with fleet.client() as slow, fleet.client() as fast:
            await subscribe(slow)
            await slow.content(URI)
            await is_told(slow, 3600)
            await subscribe(fast, interval=1)
            await until(lambda: fleet.upstream.count(URI) >= 4, "polls", deadline=7)
            assert await told(slow) == 1

    run(test())


def test_the_default_that_is_told_is_the_pollers_and_else_none(start_fleet):
    fleet = start_fleet(gateways=1, pollers=0, interval=1)
    fleet.upstream.set(URI, {"n": 1})

    async def test():
        async with fleet.client() as client:
            assert "interval" not in await subscribe(client)
            assert (await subscribe(client, interval=7))["interval"] == 7
            fleet.new_poller().await_ready()
            await client.content(URI)
            await is_told(client, 7)
            answer = await subscribe(client)
            while answer.get("interval") != 1:
                await asyncio.sleep(0.05)
                answer = await subscribe(client)
            await is_told(client, 1)

    run(test())


def test_an_owner_that_takes_over_tells_its_own_interval(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1, interval=2)
    fleet.upstream.set(URI, {"n": 1})

    async def test():
        async with fleet.client() as client:
            await subscribe(client)
            await is_told(client, 2)
            await client.content(URI)
            fleet.pollers[0].kill()
            fleet.poller_options[fleet.poller_options.index("--interval") + 1] = "1"
            fleet.new_poller()
            await is_told(client, 1)
            version = client.held[URI][0]
            assert (await client.ask({"action": "status", "uri": URI}))[
                "version"
            ] == version

    run(test())


def test_an_aggregate_tells_the_interval_of_its_slowest_region(start_fleet):
    def config(fleet):
        regions = {name: {"url": fleet.upstream.url} for name in ("dfw", "ord")}
        types = {"servers": {"path": "/servers", "interval": "1s"}}
        return {"services": {"compute": {"regions": regions, "resources": types}}}

    fleet = start_fleet(gateways=1, pollers=1, config=config)
    fleet.upstream.set("/servers", [])

    async def test():
        async with fleet.client() as client, fleet.client() as other:
            ask = {"action": "subscribe", "uri": "compute/servers", "interval": 4}
            await client.ask(ask)
            await client.content("compute/servers", lambda c: c["complete"])
            await other.ask({**ask, "uri": "compute/dfw/servers", "interval": 2})
            status = {"action": "status", "uri": "compute/dfw/servers"}
            while (await other.ask(status))["interval"] != 2:
                await asyncio.sleep(0.05)
            status["uri"] = "compute/servers"
            assert (await client.ask(status))["interval"] == 4

    run(test())
