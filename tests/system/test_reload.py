"""SIGHUP: services come, go and change, and nobody else notices."""

import asyncio
import itertools
import json
import time

import pytest

from client import Refused
from harness import SANITIZED, run, until
from upstream import Answer, gaps

STILL = [f"keep:/still/{number}" for number in range(20)]


class Catalog:
    """A directory of one file per service, for both programs."""

    def __init__(self, fleet):
        self.path = fleet.directory / "conf.d"
        self.path.mkdir()

    def set(self, name, url, interval=0.5, **more):
        service = {"url": url, "raw": True, "interval": interval, **more}
        self.write(name, {"services": {name: service}})

    def write(self, name, config):
        text = config if isinstance(config, str) else json.dumps(config, indent=1)
        (self.path / f"{name}.json").write_text(text)

    def remove(self, name):
        (self.path / f"{name}.json").unlink()


def start_with(start_fleet, fill, **options):
    """A fleet that reads a directory, which fill(fleet, catalog) has written."""
    made = []

    def config(fleet):
        made.append(Catalog(fleet))
        fill(fleet, made[0])
        return made[0].path

    return start_fleet(config=config, **options), made[0]


def keep_only(fleet, catalog):
    catalog.set("keep", fleet.upstream.url)


def sessions(fleet):
    redis = fleet.redis.client
    kinds = ("uricast:pollers", "uricast:gateways")
    return {session for kind in kinds for session in redis.zrange(kind, 0, -1)}


def locks(fleet, addresses):
    return {address: fleet.redis.owner_session(address) for address in addresses}


async def settled(fleet, upstream, addresses):
    """What must stay, as soon as newcomers among the pollers have taken their share."""

    def now():
        return sessions(fleet), locks(fleet, addresses), upstream.connections

    before = None
    while before != (before := now()):
        await asyncio.sleep(1.5)
    return before


def test_a_service_comes_one_goes_one_changes_and_no_other_subscriber_notices(start_fleet):
    def fill(fleet, catalog):
        # One connection per poller, so that another one would show.
        catalog.set("keep", fleet.upstream.url, limits={"concurrency": 1})
        catalog.set("gone", fleet.add_upstream().url)
        catalog.set("other", fleet.add_upstream().url, interval=20)

    fleet, catalog = start_with(start_fleet, fill)
    kept, gone, former, now, new = *fleet.upstreams, *(
        fleet.add_upstream() for _ in range(2)
    )
    count = itertools.count(1)
    for number in range(len(STILL)):
        kept.set(f"/still/{number}", {"n": number})
    rows = [{"id": number} for number in range(100)]
    kept.set_answer("/busy", lambda request: Answer({"n": next(count), "rows": rows}))
    gone.set("/a", {"from": "gone"})
    former.set("/a", {"from": "former"}, etag=True)
    now.set("/a", {"from": "now"}, etag=True)
    new.set("/a", {"from": "new"})

    async def test():
        async with fleet.client(0) as still, fleet.client(1) as busy:
            async with fleet.client(0) as touched:
                await watch(still, busy, touched)

    async def watch(still, busy, touched):
        await still.send({"action": "subscribe", "uris": STILL})
        await busy.subscribe("keep:/busy", mode="patch")
        for uri in ("gone:/a", "other:/a"):
            await touched.subscribe(uri)
            await touched.content(uri)
        assert (await touched.ask({"action": "subscribe", "uri": "new:/a"}))["error"]
        for uri in STILL:
            await still.content(uri)
        await busy.content("keep:/busy")
        before = await settled(fleet, kept, STILL)
        started, mark, busy_mark = time.monotonic(), still.mark(), busy.mark()
        await asyncio.sleep(1)

        catalog.remove("gone")
        catalog.set("new", new.url)
        catalog.set("other", now.url, interval=0.2)
        for process in fleet.gateways + fleet.pollers:
            process.reload()
        told = await touched.state("gone:/a", "stale")
        assert told["error"]["code"] == "unknown_address"
        await touched.content("other:/a", lambda content: content == {"from": "now"}, 3)
        await touched.subscribe("new:/a")
        await touched.content("new:/a")
        # More of them, with nothing new in them.
        for _ in range(5):
            for process in fleet.gateways + fleet.pollers:
                process.reload()
        touched_mark = touched.mark()
        silent = time.monotonic() + 0.2
        await asyncio.sleep(2)

        assert await settled(fleet, kept, STILL) == before
        assert still.mark() == mark, still.frames[mark:]
        for number in range(len(STILL)):
            times = kept.asked(f"/still/{number}", started)
            # Where a poll is left out, a gap is 1 s; less is a busy machine.
            assert 0.3 < min(gaps(times)) and max(gaps(times)) < 0.95, gaps(times)
        assert 0.3 < min(gaps(kept.asked("/busy", started)))
        assert all("patch" in frame for frame in busy.frames[busy_mark:])
        assert gone.count("/a", silent) == 0
        assert former.count("/a", silent) == 0
        assert len(now.asked("/a", silent)) >= 7
        assert touched.mark() == touched_mark, touched.frames[touched_mark:]
        assert not fleet.redis.client.exists("uricast:interest:gone:/a")
        assert not fleet.redis.client.exists("uricast:lock:gone:/a")
        assert "if-none-match" not in now.requests[0].headers
        assert "if-none-match" in now.last("/a").headers
        for process in fleet.gateways + fleet.pollers:
            assert process.reloads("taken") == 6 and process.reloads("failed") == 0

    run(test())


def test_an_address_that_comes_back_is_served_again(start_fleet):
    fleet, catalog = start_with(start_fleet, keep_only, gateways=1, pollers=1)
    fleet.upstream.set("/a", {"n": 1})
    everybody = fleet.gateways + fleet.pollers

    async def test():
        async with fleet.client() as client, fleet.client() as again:
            await client.subscribe("keep:/a")
            await client.content("keep:/a")
            await again.subscribe("keep:/a")
            await again.content("keep:/a")
            catalog.set("another", fleet.upstream.url)
            catalog.remove("keep")
            for process in everybody:
                process.reload()
            await client.state("keep:/a", "stale")
            await again.state("keep:/a", "stale")
            refused = await again.ask({"action": "subscribe", "uri": "keep:/a"})
            assert refused["error"]["code"] == "unknown_address"
            assert fleet.gateways[0].resource("keep:/a").status == 404
            fleet.upstream.set("/a", {"n": 2})
            mark = client.mark()
            catalog.set("keep", fleet.upstream.url)
            for process in everybody:
                process.reload()
            await client.content("keep:/a", lambda content: content == {"n": 2})
            await client.state("keep:/a", "fresh", after=mark)
            assert client.mark() - mark == 2, client.frames[mark:]

    run(test())


def test_a_mistake_is_logged_and_the_old_configuration_stays(start_fleet):
    fleet, catalog = start_with(start_fleet, keep_only, gateways=1, pollers=1)
    fleet.upstream.set("/a", {"n": 1})

    async def test():
        async with fleet.client() as client:
            await client.subscribe("keep:/a")
            await client.content("keep:/a")
            catalog.set("keep", fleet.upstream.url, interval="often")
            for process in fleet.gateways + fleet.pollers:
                process.reload("failed")
                assert f"{catalog.path}/keep.json:6:" in process.log()
                assert '$.services.keep.interval: "often" is no duration' in process.log()
                assert "stays in force" in process.log()
            catalog.set("keep", fleet.upstream.url)
            catalog.set("a", fleet.upstream.url)
            catalog.write("b", {"services": {"a": {"url": fleet.upstream.url}}})
            for process in fleet.gateways + fleet.pollers:
                process.reload("failed")
                assert f"$.services.a: stands in {catalog.path}/a.json" in process.log()
            since = time.monotonic()
            fleet.upstream.set("/a", {"n": 2})
            await client.content("keep:/a", lambda content: content == {"n": 2})
            assert fleet.upstream.count("/a", since) >= 1

    run(test())


def test_what_needs_a_restart_is_said(start_fleet):
    fleet, catalog = start_with(start_fleet, keep_only, gateways=1, pollers=1)
    before = sessions(fleet)
    catalog.write("process", {"lease": "7s", "prefix": "other", "log_level": "debug"})
    for process in fleet.gateways + fleet.pollers:
        process.reload()
        assert 'setting=lease running="3s" configured="7s"' in process.log()
        assert 'setting=prefix running="uricast" configured="other"' in process.log()
    assert sessions(fleet) == before
    for process in fleet.gateways + fleet.pollers:
        process.reload()
        assert process.log().count("setting=lease") == 2


def test_origins_tokens_and_limits_count_for_what_comes_after(start_fleet, tmp_path):
    def fill(fleet, catalog):
        catalog.set("keep", fleet.upstream.url, limits={"raw_addresses": 1})

    fleet, catalog = start_with(start_fleet, fill, gateways=1, pollers=1)
    gateway = fleet.gateways[0]
    tokens = tmp_path / "tokens"
    origin = "https://panel.example.com"
    for path in ("/a", "/b", "/c"):
        fleet.upstream.set(path, {"path": path})

    def say(**more):
        catalog.write("gateway", {"gateway": more})

    async def connect(**options):
        async with fleet.client(**options) as client:
            await client.settle()

    async def test():
        async with fleet.client() as early:
            await early.subscribe("keep:/a")
            await early.content("keep:/a")
            full = await early.ask({"action": "subscribe", "uri": "keep:/b"})
            assert full["error"]["code"] == "too_many_addresses"
            with pytest.raises(Refused):
                await connect(origin=origin)
            say(origins=[origin], limits={"subscriptions": 2})
            catalog.set("keep", fleet.upstream.url, limits={"raw_addresses": 3})
            gateway.reload()
            await connect(origin=origin)
            await early.subscribe("keep:/b")
            await early.content("keep:/b")
            full = await early.ask({"action": "subscribe", "uri": "keep:/c"})
            assert full["error"]["code"] == "too_many_subscriptions"

            say(token_file=str(tokens))
            gateway.reload("failed")
            assert f"token file {tokens}" in gateway.log()
            await connect(origin=origin)
            tokens.write_text("sesame\n")
            tokens.chmod(0o600)
            gateway.reload()
            assert gateway.resource("keep:/a").status == 401
            bearer = {"Authorization": "Bearer sesame"}
            assert gateway.resource("keep:/a", headers=bearer).status == 200
            await early.subscribe("keep:/c")
            await early.content("keep:/c")

    run(test())


def test_a_gateway_without_a_file_grants_what_the_poller_does(start_fleet):
    def fill(fleet, catalog):
        catalog.set("api", fleet.upstream.url, interval=0.7, default=True)

    fleet, catalog = start_with(start_fleet, fill, gateways=0, pollers=1)
    fleet.gateway_options = []
    gateway = fleet.new_gateway().await_ready()
    fleet.upstream.set("/a", {"n": 1})

    def granted(asked=None):
        async def ask():
            async with gateway.client() as client:
                message = {"action": "subscribe", "uri": "/a"}
                if asked:
                    message["interval"] = asked
                return (await client.ask(message))["interval"]

        return ask()

    async def test():
        while await granted() != 0.7:
            await asyncio.sleep(0.05)
        gateway.reload()
        assert await granted() == 0.7
        pace = {"default": 2, "min": 0.5, "max": 3}
        catalog.set("api", fleet.upstream.url, interval=pace, default=True)
        fleet.pollers[0].reload()
        while await granted() != 2:
            await asyncio.sleep(0.1)
        assert await granted(0.1) == 0.5
        assert await granted(60) == 3

    run(test(), deadline=30)


def test_a_process_that_leaves_ignores_it(start_fleet):
    fleet, _ = start_with(start_fleet, keep_only, gateways=1, pollers=1)
    for process in fleet.gateways + fleet.pollers:
        process.terminate()
        while process.alive:
            process.hang_up()
            time.sleep(0.01)
        assert process.wait() == 0


@pytest.mark.skipif(SANITIZED, reason="the sanitizer keeps freed memory, and finds leaks")
def test_a_hundred_times_costs_no_memory(start_fleet):
    fleet, catalog = start_with(start_fleet, keep_only, gateways=1, pollers=1)
    for number in range(200):
        catalog.set(f"service-{number}", fleet.upstream.url)

    def resident_kib(process):
        with open(f"/proc/{process.pid}/status") as status:
            line = next(line for line in status if line.startswith("VmRSS"))
        return int(line.split()[1])

    for process in fleet.gateways + fleet.pollers:
        for _ in range(20):
            process.reload()
        before = resident_kib(process)
        for _ in range(100):
            process.reload()
        assert resident_kib(process) - before < 3072  # one kept each time is above 6000


def test_what_a_poller_no_longer_knows_is_given_up_while_viewers_still_want_it(
    start_fleet,
):
    fleet, catalog = start_with(start_fleet, keep_only, gateways=1, pollers=1)
    fleet.upstream.set("/a", {"n": 1})
    redis = fleet.redis.client

    async def test():
        async with fleet.client() as client:
            await client.subscribe("keep:/a")
            await client.content("keep:/a")
            catalog.set("another", fleet.upstream.url)
            catalog.remove("keep")
            fleet.pollers[0].reload()
            await until(
                lambda: redis.sismember("uricast:unclaimed", "keep:/a"), "released", 2
            )
            assert not redis.exists("uricast:lock:keep:/a")
            since = time.monotonic() + 0.2
            await asyncio.sleep(1.5)
            assert fleet.upstream.count("/a", since) == 0
            fleet.gateways[0].reload()
            await client.state("keep:/a", "stale")
            await until(
                lambda: not redis.sismember("uricast:unclaimed", "keep:/a"), "settled"
            )
            assert not redis.exists("uricast:interest:keep:/a")

    run(test())
