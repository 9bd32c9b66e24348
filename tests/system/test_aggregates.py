"""Aggregates: one resource made of the same one in every region, whatever the regions do."""

import asyncio
import itertools
import json
import statistics
import time

import jsonpatch
import pytest

from harness import run, until
from upstream import Answer

REGIONS = ["dfw", "ord", "lon"]
URI = "compute/servers"
PATH = "/servers/detail"
GRACE = 2.0  # seconds that an aggregate waits for the slow, from the first answer on
SLACK = 1.5  # seconds that a loaded machine may take


def three_regions(fleet):
    """An upstream for each region, the first being the fleet's own."""
    while len(fleet.upstreams) < len(REGIONS):
        fleet.add_upstream()
    urls = {name: {"url": fleet.upstreams[i].url} for i, name in enumerate(REGIONS)}
    types = {"servers": {"path": PATH, "interval": "500ms"}}
    limits = {"timeout": "3s"}
    services = {"compute": {"regions": urls, "limits": limits, "resources": types}}
    return {"services": services}


def start(start_fleet, gateways=1):
    return start_fleet(gateways=gateways, pollers=1, config=three_regions)


def set_region(fleet, region, body=None, **more):
    fleet.upstreams[REGIONS.index(region)].set(PATH, body, **more)


def servers(region, count=3):
    return [{"id": f"{region}-{n}", "status": "ACTIVE", "n": n} for n in range(count)]


def states(content):
    return {name: region["state"] for name, region in content["regions"].items()}


def get(fleet, number=0):
    response = fleet.gateways[number].resource(URI)
    assert response.status == 200
    return response


class Applier:
    """A viewer that knows nothing but RFC 6902, and notes what every version looked like."""

    def __init__(self):
        self.versions = {}
        self.patches = 0
        self.seen = 0

    def follow(self, client):
        content = list(self.versions.values())[-1] if self.versions else None
        for frame in client.frames[self.seen :]:
            if frame.get("uri") != URI or "version" not in frame:
                continue
            if "patch" in frame:
                assert list(self.versions)[-1] == frame["base"]
                content = jsonpatch.apply_patch(content, frame["patch"])
                self.patches += 1
            else:
                content = frame["content"]
            self.versions[frame["version"]] = content
        self.seen = len(client.frames)


def etag(response):
    return response.headers["ETag"].strip('"')


def test_an_aggregate_holds_every_region_verbatim(start_fleet):
    fleet = start(start_fleet)
    odd = '{ "a" : 1.0e5, "z":[ ] }'
    for region in REGIONS:
        set_region(fleet, region, odd)

    async def test():
        async with fleet.client() as client:
            await client.subscribe(URI)
            content = await client.content(URI)
            assert list(content["regions"]) == REGIONS
            assert content["complete"] is True
            for region in content["regions"].values():
                assert list(region) == ["version", "state", "content"]
                assert region["state"] == "fresh"
            assert client.texts[0].count(odd) == len(REGIONS)
            assert len(client.frames) == 1
            subscriptions = fleet.gateways[0].metric("uricast_gateway_subscriptions")
            assert subscriptions == 1

    run(test())


def test_a_region_that_hangs_or_fails_delays_nobody_and_is_data(start_fleet):
    fleet = start(start_fleet)
    set_region(fleet, "dfw", silent=True)
    set_region(fleet, "ord", status=503)
    set_region(fleet, "lon", servers("lon"))

    async def test():
        async with fleet.client() as client, fleet.client() as alone:
            await alone.subscribe("compute/lon/servers")
            await alone.content("compute/lon/servers")
            asked_at = time.monotonic()
            await client.subscribe(URI, mode="patch")
            first = await client.content(URI)
            waited = client.times[0] - asked_at
            assert GRACE * 0.9 < waited < GRACE + SLACK
            assert first["complete"] is False
            assert states(first) == {"dfw": "error", "ord": "error", "lon": "fresh"}
            assert first["regions"]["dfw"]["error"]["code"] == "no_content"
            assert list(first["regions"]["dfw"]) == ["state", "error"]
            assert first["regions"]["ord"]["error"]["status"] == 503
            assert first["regions"]["lon"]["content"] == servers("lon")

            # The one that works is told as fast as ever.
            set_region(fleet, "lon", servers("lon", 4))
            changed_at = time.monotonic()
            await client.content(
                URI, lambda c: len(c["regions"]["lon"]["content"]) == 4
            )
            assert time.monotonic() - changed_at < 0.5 + SLACK

            # The one that hangs says why, once its time is up.
            await client.content(
                URI, lambda c: c["regions"]["dfw"]["error"]["code"] != "no_content"
            )

            # Each recovers by itself.
            set_region(fleet, "ord", servers("ord"))
            await client.content(URI, lambda c: states(c)["ord"] == "fresh")
            assert client.held[URI][1]["complete"] is False
            set_region(fleet, "dfw", servers("dfw"))
            content = await client.content(URI, lambda c: c["complete"])
            for region in REGIONS[:2]:
                entry = content["regions"][region]
                assert list(sorted(entry)) == ["content", "state", "version"]
                assert entry["content"] == servers(region)
            assert not [f for f in client.frames if "state" in f]

    run(test())


def test_without_a_word_from_anybody_there_is_no_content_but_the_reason(start_fleet):
    fleet = start(start_fleet)
    for region in REGIONS:
        set_region(fleet, region, status=503)

    async def test():
        async with fleet.client() as client:
            await client.subscribe(URI)
            content = await client.content(URI)
            assert set(states(content).values()) == {"error"}
            assert not [r for r in content["regions"].values() if "content" in r]
            fleet.pollers[0].kill()
            frame = await client.state(URI, "stale")
            assert frame["error"]["code"] == "no_poller"

    run(test())


def test_patches_applied_by_somebody_else_give_what_get_shows(start_fleet):
    fleet = start(start_fleet, gateways=2)
    for region in REGIONS:
        set_region(fleet, region, servers(region, 20))

    async def test():
        applier, shown = Applier(), {}

        def look():
            for number in range(2):
                response = get(fleet, number)
                shown.setdefault(etag(response), []).append(response.json)

        async with fleet.client(0) as client, fleet.client(1) as other:
            await other.subscribe(URI)
            await client.subscribe(URI, mode="patch")
            await client.content(URI, lambda c: c["complete"])
            for n in range(12):
                region = REGIONS[n % 3]
                mark = client.mark()
                if n % 4 == 3:
                    set_region(fleet, region, status=500)
                else:
                    rows = servers(region, 20 - n)
                    rows[5]["status"] = f"BUILD {n}"
                    set_region(fleet, region, rows)
                await client.frame(
                    lambda f: f.get("uri") == URI and "patch" in f, mark, f"change {n}"
                )
                await asyncio.to_thread(look)
            await until(
                lambda: etag(get(fleet, 0)) == etag(get(fleet, 1)), "the same version"
            )
            await asyncio.to_thread(look)
            last = client.held[URI][0]
            await other.until(lambda: other.held[URI][0] == last, "the last version")
            applier.follow(client)

        assert applier.patches >= 12
        compared = [version for version in applier.versions if version in shown]
        assert len(compared) >= 6
        for version in compared:
            for content in shown[version]:
                assert content == applier.versions[version]
        versions = [int(version) for version in applier.versions]
        assert versions == sorted(versions)

    run(test())


class Steps:
    """A region's list that changes when told to, and when each change was first served."""

    def __init__(self, fleet, region):
        self.region = region
        self.numbers = itertools.count(1)
        self.step = 0
        self.served = {}
        fleet.upstreams[REGIONS.index(region)].set_answer(PATH, self.answer)

    def text(self):
        return f"STEP {self.step}."

    def answer(self, request):
        self.served.setdefault(self.step, time.monotonic())
        rows = servers(self.region, 20)
        rows[7]["status"] = self.text()
        return Answer(rows)

    async def latency(self, client):
        """Seconds from the answer that first shows the next change to the client."""
        mark = client.mark()
        self.step = next(self.numbers)

        def arrival():
            told = zip(client.texts[mark:], client.times[mark:])
            return next((at for text, at in told if self.text() in text), None)

        arrived = await client.until(arrival, f"{self.text()} from {self.region}")
        return arrived - self.served[self.step]


def test_bad_regions_hold_up_nothing_of_the_good_one_and_recover_at_once(start_fleet):
    fleet = start(start_fleet, gateways=2)
    steps = Steps(fleet, "lon")
    medians, recovered, compared = {}, {}, 0

    async def same_as_shown(client):
        """What patches made of it is what GET shows of the same version, anywhere."""
        await asyncio.sleep(0.1)
        shown = [await asyncio.to_thread(get, fleet, number) for number in range(2)]
        held = {client.held[URI][0]: client.held[URI][1]}
        contents = [r.json for r in shown if etag(r) in held]
        assert all(content == held[client.held[URI][0]] for content in contents)
        return len(contents)

    async def phase(name, client):
        nonlocal compared
        latencies = []
        for _ in range(8):
            latencies.append(await steps.latency(client))
            compared += await same_as_shown(client)
        medians[name] = statistics.median(latencies)

    async def recovery(client, region):
        began = time.monotonic()
        set_region(fleet, region, servers(region))
        await client.content(URI, lambda c: states(c)[region] == "fresh")
        recovered[region] = time.monotonic() - began

    async def test():
        for region in REGIONS[:2]:
            set_region(fleet, region, servers(region))
        async with fleet.client() as client, fleet.client(1) as other:
            await other.subscribe(URI)
            await client.subscribe(URI, mode="patch")
            await client.content(URI, lambda c: c["complete"])
            await phase("all well", client)

            set_region(fleet, "dfw", silent=True)
            set_region(fleet, "ord", status=503)
            failing = {"dfw": "stale", "ord": "stale", "lon": "fresh"}
            await client.content(URI, lambda c: states(c) == failing)
            held = client.held[URI][1]
            assert held["regions"]["dfw"]["error"]["code"] == "upstream_timeout"
            assert held["regions"]["ord"]["error"]["status"] == 503
            # They keep what they had.
            for region in REGIONS[:2]:
                assert held["regions"][region]["content"] == servers(region)
            await phase("two bad", client)

            await recovery(client, "ord")
            assert states(client.held[URI][1])["dfw"] == "stale"
            await recovery(client, "dfw")
            await phase("well again", client)
            await other.until(
                lambda: other.held[URI] == client.held[URI], "the same at the other"
            )

    run(test())
    print(
        "latency of a change in lon, ms: "
        + ", ".join(f"{name} {1000 * s:.1f}" for name, s in medians.items())
        + f"; recovered after {recovered} s; {compared} GETs compared"
    )
    assert medians["two bad"] < 3 * medians["all well"] + 0.1
    # 503 backs off to the larger of its interval and 15 s, a timeout takes 3 s more.
    assert recovered["ord"] < 18 + SLACK
    assert recovered["dfw"] < 18 + 3 + SLACK
    assert compared >= 24


def test_who_comes_back_to_another_gateway_with_the_version_gets_nothing(start_fleet):
    fleet = start(start_fleet, gateways=2)
    for region in REGIONS:
        set_region(fleet, region, servers(region))

    async def test():
        async with fleet.client(0) as client:
            await client.subscribe(URI)
            await client.content(URI)
            version, content = client.held[URI]
        async with fleet.client(1) as client:
            client.held[URI] = version, content
            await client.subscribe(URI, since=version, mode="patch")
            await until(
                lambda: etag(get(fleet, 1)) == version, "the version on the other"
            )
            set_region(fleet, "ord", servers("ord", 2))
            frame = await client.frame(lambda f: f.get("uri") == URI, 0, "a change")
            assert frame["base"] == version and "patch" in frame
        response = get(fleet, 1)
        not_modified = fleet.gateways[1].resource(
            URI, headers={"If-None-Match": response.headers["ETag"]}
        )
        assert not_modified.status == 304

    run(test())


def test_large_regions_come_as_patches_and_whole(start_fleet):
    fleet = start(start_fleet)
    for region in REGIONS:
        set_region(fleet, region, servers(region, 3000))

    async def test():
        async with fleet.client() as patched, fleet.client() as full:
            for client, mode in ((patched, "patch"), (full, "full")):
                await client.subscribe(URI, mode=mode)
                await client.content(URI, lambda c: c["complete"])
            for n in range(3):
                rows = servers("ord", 3000)
                rows[7]["status"] = f"BUILD {n}"
                set_region(fleet, "ord", rows)
                for client in (patched, full):
                    await client.content(
                        URI, lambda c: c["regions"]["ord"]["content"] == rows
                    )
            assert patched.held[URI] == full.held[URI]
            last = patched.frames[-1]
            assert "patch" in last and len(patched.texts[-1]) < 1000

    run(test())


def test_interest_interval_pause_and_refresh_reach_every_region(start_fleet):
    fleet = start(start_fleet)
    for region in REGIONS:
        set_region(fleet, region, servers(region))

    def interest():
        return [
            list(
                fleet.redis.client.hgetall(
                    f"uricast:interest:compute/{region}/servers"
                ).values()
            )
            for region in REGIONS
        ]

    async def test():
        async with fleet.client() as client:
            answer = await client.ask(
                {"action": "subscribe", "uri": URI, "interval": 3600}
            )
            assert answer["interval"] == 3600
            await client.content(URI)
            assert interest() == [["1 3600000"]] * 3
            counts = [u.count(PATH) for u in fleet.upstreams]
            await client.ask({"action": "refresh", "uri": URI})
            await until(
                lambda: [u.count(PATH) > n for u, n in zip(fleet.upstreams, counts)]
                == [True] * 3,
                "a poll of every region",
            )
            await client.ask({"action": "pause"})
            await until(lambda: interest() == [[]] * 3, "no interest while paused")
            await client.ask({"action": "resume"})
            await until(lambda: interest() == [["1 3600000"]] * 3, "interest again")
        await until(lambda: interest() == [[]] * 3, "no interest")

    run(test())


def test_an_aggregate_has_no_items_and_only_the_types_of_its_service(start_fleet):
    fleet = start(start_fleet)
    for uri in ("compute/servers/1", "compute/flavors", "nothing/servers"):
        assert fleet.gateways[0].resource(uri).status == 404


def test_no_poller_takes_an_aggregate(start_fleet):
    fleet = start(start_fleet)
    set_region(fleet, "dfw", servers("dfw"))
    redis = fleet.redis.client
    gateway = redis.zrange("uricast:gateways", 0, 0)[0]
    redis.hset(f"uricast:interest:{URI}", gateway, "1 0")
    redis.sadd("uricast:unclaimed", URI)
    redis.publish("uricast:wake", f"claim {URI}")
    redis.publish("uricast:wake", f"poll {URI}")
    assert fleet.gateways[0].resource("compute/dfw/servers").status == 200
    assert fleet.redis.owner_session(URI) is None
    assert set(fleet.upstream.targets()) == {fleet.upstream.base + PATH}


# ---- another file ----


def rewrite(fleet, change, processes=None):
    """Both programs, or @processes, read the file again after @change(services)."""
    path = fleet.directory / "uricast.json"
    config = json.loads(path.read_text())
    change(config["services"])
    path.write_text(json.dumps(config))
    for process in processes or fleet.pollers + fleet.gateways:
        process.reload()


def start_with(start_fleet, *regions):
    def config(fleet):
        settings = three_regions(fleet)
        all_regions = settings["services"]["compute"]["regions"]
        for region in set(REGIONS) - set(regions):
            del all_regions[region]
        settings["services"]["other"] = {"url": fleet.upstream.url, "raw": True}
        return settings

    fleet = start_fleet(gateways=2, pollers=1, config=config)
    for region in REGIONS:
        set_region(fleet, region, servers(region))
    return fleet


def add_region(fleet, region):
    url = fleet.upstreams[REGIONS.index(region)].url

    def change(services):
        services["compute"]["regions"][region] = {"url": url}

    rewrite(fleet, change)


def remove_region(fleet, region, processes=None):
    change = lambda services: services["compute"]["regions"].pop(region)
    rewrite(fleet, change, processes)


def check_versions(client):
    versions = [int(f["version"]) for f in client.frames if "version" in f]
    assert versions == sorted(set(versions))


@pytest.mark.parametrize("mode", ["full", "patch"])
def test_a_region_that_is_added_comes_with_the_next_content(start_fleet, mode):
    fleet = start_with(start_fleet, "dfw", "ord")

    async def test():
        async with fleet.client(0) as client, fleet.client(1) as other:
            for viewer in (client, other):
                await viewer.subscribe(URI, mode=mode)
                await viewer.content(URI, lambda c: c["complete"])
            mark = client.mark()
            await asyncio.to_thread(add_region, fleet, "lon")
            frame = await client.next_content(URI, mark)
            assert list(frame["content"]["regions"]) == REGIONS
            assert frame["content"]["complete"] is True
            assert frame["content"]["regions"]["lon"]["content"] == servers("lon")
            # And is one of them: its changes come, too, the same on every gateway.
            set_region(fleet, "lon", servers("lon", 4))
            for viewer in (client, other):
                await viewer.content(
                    URI, lambda c: len(c["regions"]["lon"]["content"]) == 4
                )
            # Also on one that never knew it without.
            fleet.new_gateway().await_ready()
            await until(
                lambda: len({etag(get(fleet, number)) for number in range(3)}) == 1,
                "the same version",
            )
            assert not [f for f in client.frames if "state" in f]
        check_versions(client)

    run(test())


def test_a_region_that_hangs_as_it_is_added_is_data_like_any(start_fleet):
    fleet = start_with(start_fleet, "dfw", "ord")
    set_region(fleet, "lon", silent=True)

    async def test():
        async with fleet.client() as client:
            await client.subscribe(URI)
            await client.content(URI, lambda c: c["complete"])
            mark = client.mark()
            await asyncio.to_thread(add_region, fleet, "lon")
            frame = await client.next_content(URI, mark)
            assert frame["content"]["complete"] is False
            assert frame["content"]["regions"]["lon"]["error"]["code"] == "no_content"
            # The others go on meanwhile.
            set_region(fleet, "ord", servers("ord", 1))
            await client.content(
                URI, lambda c: len(c["regions"]["ord"]["content"]) == 1
            )
            set_region(fleet, "lon", servers("lon"))
            await client.content(URI, lambda c: c["complete"])
            fleet.new_gateway().await_ready()
            await until(
                lambda: etag(get(fleet, 0)) == etag(get(fleet, 2)), "the same version"
            )
        check_versions(client)

    run(test())


@pytest.mark.parametrize("mode", ["full", "patch"])
def test_a_region_that_is_removed_goes_from_the_content_and_is_polled_no_more(
    start_fleet, mode
):
    fleet = start_with(start_fleet, *REGIONS)

    async def test():
        async with fleet.client(0) as client, fleet.client(1) as other:
            for viewer in (client, other):
                await viewer.subscribe(URI, mode=mode)
                await viewer.content(URI, lambda c: c["complete"])
            mark = client.mark()
            await asyncio.to_thread(remove_region, fleet, "ord")
            frame = await client.next_content(URI, mark)
            assert list(frame["content"]["regions"]) == ["dfw", "lon"]
            assert frame["content"]["complete"] is True
            redis = fleet.redis.client
            await until(
                lambda: not redis.exists("uricast:interest:compute/ord/servers"),
                "no interest in it",
            )
            await until(lambda: not fleet.upstreams[1].writers, "no connection to it")
            set_region(fleet, "lon", servers("lon", 4))
            for viewer in (client, other):
                await viewer.content(
                    URI, lambda c: len(c["regions"]["lon"]["content"]) == 4
                )
            await until(
                lambda: etag(get(fleet, 0)) == etag(get(fleet, 1)), "the same version"
            )
            assert not [f for f in client.frames if "state" in f]
        check_versions(client)

    run(test())


def test_a_version_means_the_same_where_reloads_were_fewer(start_fleet):
    """One gateway hears of each removal, the other of both at once."""
    fleet = start_with(start_fleet, *REGIONS)

    async def test():
        async with fleet.client(0) as client, fleet.client(1) as other:
            for viewer in (client, other):
                await viewer.subscribe(URI)
                await viewer.content(URI, lambda c: c["complete"])
            same = lambda: etag(get(fleet, 0)) == etag(get(fleet, 1))
            await until(same, "the same version")
            await asyncio.to_thread(remove_region, fleet, "lon", fleet.gateways[:1])
            await client.content(URI, lambda c: "lon" not in c["regions"])
            between = client.held[URI][0]
            await asyncio.to_thread(remove_region, fleet, "ord")
            await other.content(URI, lambda c: list(c["regions"]) == ["dfw"])
            async with fleet.client(1) as late:
                await late.subscribe(URI, since=between)
                content = await late.content(URI)
                assert list(content["regions"]) == ["dfw"]

    run(test())


def test_a_region_that_was_broken_and_is_removed_makes_it_complete(start_fleet):
    fleet = start_with(start_fleet, *REGIONS)
    set_region(fleet, "ord", status=503)

    async def test():
        async with fleet.client() as client:
            await client.subscribe(URI)
            await client.content(URI, lambda c: states(c)["ord"] == "error")
            await asyncio.to_thread(remove_region, fleet, "ord")
            content = await client.content(URI, lambda c: c["complete"])
            assert list(content["regions"]) == ["dfw", "lon"]

    run(test())


def test_a_service_that_is_removed_and_added_again(start_fleet):
    fleet = start_with(start_fleet, *REGIONS)
    kept = {}

    async def test():
        async with fleet.client() as client, fleet.client(1) as late:
            await client.subscribe(URI)
            await client.content(URI, lambda c: c["complete"])
            mark = client.mark()
            await asyncio.to_thread(
                rewrite, fleet, lambda services: kept.update(services.pop("compute"))
            )
            stale = await client.state(URI, "stale", mark)
            assert stale["error"]["code"] == "unknown_address"
            refused = await late.ask({"action": "subscribe", "uri": URI})
            assert refused["error"]["code"] == "unknown_address"
            redis = fleet.redis.client
            for region in REGIONS:
                name = f"uricast:interest:compute/{region}/servers"
                await until(lambda: not redis.exists(name), f"no interest in {region}")
            asked = [upstream.count(PATH) for upstream in fleet.upstreams]

            set_region(fleet, "lon", servers("lon", 5))
            mark = client.mark()
            await asyncio.to_thread(
                rewrite, fleet, lambda services: services.update(compute=kept)
            )
            await client.state(URI, "fresh", mark)
            await client.content(
                URI, lambda c: len(c["regions"]["lon"]["content"]) == 5
            )
            await late.subscribe(URI)
            await late.content(URI, lambda c: c["complete"])
            assert [u.count(PATH) > n for u, n in zip(fleet.upstreams, asked)]
        check_versions(client)

    run(test())


def is_whole(content):
    return isinstance(content, dict) and content["complete"]


@pytest.mark.parametrize("regional_first", [True, False])
def test_a_service_that_gets_or_loses_its_regions_goes_on(start_fleet, regional_first):
    """The same address means something else; nobody has to ask for it again."""
    fleet = start_with(start_fleet, *REGIONS)
    path = fleet.directory / "uricast.json"
    regional = json.loads(path.read_text())["services"]["compute"]
    plain = {"url": fleet.upstream.url, "resources": regional["resources"]}
    ways = [regional, plain] if regional_first else [plain, regional]
    mean = {True: is_whole, False: lambda content: content == servers("dfw")}
    if not regional_first:
        rewrite(fleet, lambda services: services.update(compute=plain))

    async def test():
        first, then = mean[regional_first], mean[not regional_first]
        async with fleet.client() as client, fleet.client(1) as other:
            async with fleet.gateways[0].events(URI) as events:
                viewers = (client, other, events)
                for viewer, mode in zip(viewers[:2], ("patch", "full")):
                    await viewer.subscribe(URI, mode=mode)
                for viewer in viewers:
                    await viewer.content(URI, first)
                change = lambda services: services.update(compute=ways[1])
                await asyncio.to_thread(rewrite, fleet, change)
                for viewer in viewers:
                    await viewer.content(URI, then)
                    assert not [f for f in viewer.frames if "state" in f]
                assert get(fleet).json == client.held[URI][1]

                # It is alive: changes come, and what came before costs nothing.
                set_region(fleet, "dfw", servers("dfw", 5))
                changed = lambda c: len(c) == 5 or "dfw-4" in json.dumps(c)
                for viewer in viewers:
                    await viewer.content(URI, changed)
                assert (await client.ask({"action": "unsubscribe", "uri": URI}))["ok"]

                # And back.
                change = lambda services: services.update(compute=ways[0])
                await asyncio.to_thread(rewrite, fleet, change)
                kind = dict if regional_first else list
                for viewer in (other, events):
                    await viewer.content(URI, lambda c: isinstance(c, kind))
                for viewer in viewers:
                    viewer.wrong.clear()  # versions begin anew where sums are no more
        interest = fleet.redis.client.keys("uricast:interest:*")
        gone = lambda: not fleet.redis.client.keys("uricast:interest:*")
        await until(gone, f"no interest: {interest}")

    run(test())


def test_a_service_that_is_added_can_be_watched_at_once(start_fleet):
    fleet = start_with(start_fleet, *REGIONS)

    async def test():
        async with fleet.client() as client:
            ask = {"action": "subscribe", "uri": "storage/servers"}
            assert (await client.ask(ask))["error"]["code"] == "unknown_address"

            def change(services):
                services["storage"] = services["compute"]

            await asyncio.to_thread(rewrite, fleet, change)
            assert (await client.ask(ask))["ok"] is True
            content = await client.content("storage/servers", lambda c: c["complete"])
            assert list(content["regions"]) == REGIONS

    run(test())
