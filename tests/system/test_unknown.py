"""Addresses that no poller's file knows: they cost little, and go with their viewers."""

import json

from harness import run, until

URI = "young:/x"
POLLERS = 2


def start(start_fleet):
    """A fleet whose gateways know a service that its pollers have not heard of yet."""

    def config(fleet):
        return {"services": {"old": service(fleet)}}

    fleet = start_fleet(gateways=0, pollers=POLLERS, config=config)
    path = fleet.directory / "young.json"
    settings = {"services": {"old": service(fleet), "young": service(fleet)}}
    path.write_text(json.dumps(settings))
    fleet.gateway_options = ["--config", path]
    fleet.new_gateway().await_ready()
    fleet.upstream.set("/x", {"n": 1})
    return fleet


def service(fleet):
    return {"url": fleet.upstream.url, "raw": True, "interval": "500ms"}


def scans(fleet):
    return fleet.redis.client.info("commandstats").get("cmdstat_sscan", {"calls": 0})[
        "calls"
    ]


def renewals(fleet):
    """How many times a second's work was done by all pollers, about."""
    return fleet.redis.client.info("commandstats")["cmdstat_scard"]["calls"]


def unclaimed(fleet):
    return fleet.redis.client.smembers("uricast:unclaimed")


def test_an_address_that_no_poller_knows_is_seldom_looked_at_and_goes_with_interest(
    start_fleet,
):
    fleet = start(start_fleet)

    async def test():
        async with fleet.client() as client:
            await client.subscribe(URI)
            error = await client.state(URI, "error")
            assert error["error"]["code"] == "no_poller"
            assert unclaimed(fleet) == {URI}
            before, counted = scans(fleet), renewals(fleet)
            await until(lambda: renewals(fleet) >= counted + 8 * POLLERS, "some looks")
            assert scans(fleet) - before <= POLLERS

            # What is known is taken as soon as ever, hint or no hint.
            fleet.redis.client.sadd("uricast:unclaimed", "old:/x")
            await client.subscribe("old:/x")
            await client.content("old:/x", deadline=10)

            await client.unsubscribe(URI)
            await until(lambda: not unclaimed(fleet), "not unclaimed", deadline=5)

    run(test())


def test_what_nobody_wants_does_not_stay_unclaimed_though_nobody_knows_it(start_fleet):
    fleet = start(start_fleet)
    fleet.redis.client.sadd("uricast:unclaimed", "nothing:/y")

    async def test():
        await until(lambda: not unclaimed(fleet), "nothing unclaimed")

    run(test())


def test_a_poller_that_learns_of_an_address_takes_it_at_once(start_fleet):
    fleet = start(start_fleet)

    async def test():
        async with fleet.client() as client:
            await client.subscribe(URI)
            await client.state(URI, "error")
            path = fleet.directory / "uricast.json"
            path.write_text((fleet.directory / "young.json").read_text())
            for poller in fleet.pollers:
                poller.reload()
            await client.content(URI, deadline=5)

    run(test())
