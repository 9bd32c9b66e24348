"""Redis that forgets, freezes, cuts connections and loses messages."""

import asyncio
import time

from cli import uricast
from harness import run, through_proxy, until
from upstream import counting, gaps


async def growing(client, uri, by=1):
    """Waits until the content, a counter, has grown."""
    held = client.held[uri][1]["n"]
    await client.content(uri, lambda c: c["n"] >= held + by)


async def subscribed(client, uri):
    await client.subscribe(uri)
    await client.content(uri)


def test_a_redis_that_comes_back_empty_is_filled_again(fleet):
    counting(fleet.upstream, "/nodes")
    counting(fleet.upstream, "/later")

    async def test():
        async with fleet.client(0) as one, fleet.client(1) as two:
            await subscribed(one, "/nodes")
            await subscribed(two, "/nodes")
            for _ in range(2):
                before = int(one.held["/nodes"][0])
                fleet.redis.kill()
                await asyncio.sleep(0.5)
                fleet.redis.start()
                for client in (one, two):
                    await growing(client, "/nodes", 3)
                    assert client.open
                    assert int(client.held["/nodes"][0]) > before
                # It may be on its way to whom it ranks first.
                await until(lambda: fleet.owner("/nodes"), "somebody owns it")
            await subscribed(one, "/later")
            for process in fleet.gateways + fleet.pollers:
                assert process.alive

    run(test())


def test_content_that_does_not_change_survives_an_empty_redis(fleet):
    fleet.upstream.set("/still", {"n": 1}, etag=True)

    async def test():
        async with fleet.client(0) as one, fleet.client(1) as late:
            await subscribed(one, "/still")
            fleet.redis.kill()
            fleet.redis.start()
            await until(
                lambda: fleet.redis.resource("/still").get("content"), "it is back"
            )
            await subscribed(late, "/still")
            assert late.held["/still"][1] == {"n": 1}
            # Nobody was told a lie, and the last word is that all is well.
            states = [f["state"] for f in one.frames if "state" in f]
            assert not states or states[-1] == "fresh" or "content" in one.frames[-1]
            since = time.monotonic()
            await until(
                lambda: fleet.upstream.count("/still", since) >= 3,
                "polls go on as before",
            )

    run(test())


def test_flushed_keys_are_put_back(fleet):
    counting(fleet.upstream, "/nodes")

    async def test():
        async with fleet.client(0) as one:
            await subscribed(one, "/nodes")
            for _ in range(3):
                before = int(one.held["/nodes"][0])
                fleet.redis.client.flushall()
                await until(lambda: fleet.owner("/nodes"), "an owner again")
                await growing(one, "/nodes", 3)
                assert int(one.held["/nodes"][0]) > before
                assert fleet.redis.client.exists("uricast:interest:/nodes")

    run(test())


def test_a_frozen_redis_is_survived(fleet):
    counting(fleet.upstream, "/nodes")

    async def test():
        async with fleet.client(0) as one, fleet.client(1) as two:
            await subscribed(one, "/nodes")
            await subscribed(two, "/nodes")
            fleet.redis.pause()
            paused = time.monotonic()
            stale = await one.state("/nodes", "stale")
            assert stale["error"]["code"] == "redis_unavailable"
            # Who comes meanwhile gets what the gateway has, marked as what it is.
            async with fleet.client(0) as late:
                await late.subscribe("/nodes")
                await late.state("/nodes", "stale")
                assert "/nodes" in late.held
            await asyncio.sleep(10 - (time.monotonic() - paused))
            # A poller that cannot renew stops asking.
            assert fleet.upstream.count("/nodes", since=paused + 5) == 0
            fleet.redis.resume()
            for client in (one, two):
                await growing(client, "/nodes", 3)
                assert client.open
            for process in fleet.gateways + fleet.pollers:
                await until(process.ready, f"{process.name} is ready")
            times = fleet.upstream.asked("/nodes", since=paused + 5)
            # The first is out of turn, the next at its time again.
            early = [gap for gap in gaps(times) if gap < fleet.interval * 0.8]
            assert len(early) <= 1, gaps(times)
            for poller in fleet.pollers:  # a silence buries nobody
                assert poller.metric("uricast_poller_takeovers_total") == 0
                assert poller.metric("uricast_poller_buried_total") == 0

    run(test())


def test_cut_subscriptions_lose_nothing(fleet):
    counting(fleet.upstream, "/nodes")
    fleet.upstream.set("/once", {"n": 1})

    async def test():
        async with fleet.client(0) as one, fleet.client(1) as two:
            for client in (one, two):
                await subscribed(client, "/nodes")
                await subscribed(client, "/once")
            for n in range(2, 6):
                fleet.redis.client.client_kill_filter(_type="pubsub")
                fleet.upstream.set("/once", {"n": n})
                for client in (one, two):
                    await client.content("/once", lambda c: c["n"] == n)
                    await growing(client, "/nodes")

    run(test())


def test_cut_connections_of_every_kind_are_replaced(fleet):
    counting(fleet.upstream, "/nodes")

    async def test():
        async with fleet.client(0) as one, fleet.client(1) as two:
            for client in (one, two):
                await subscribed(client, "/nodes")
            for _ in range(3):
                for kind in ("pubsub", "normal"):
                    fleet.redis.client.client_kill_filter(_type=kind, skipme=True)
                for client in (one, two):
                    await growing(client, "/nodes", 2)
            await until(lambda: fleet.owner("/nodes"), "somebody owns it")

    run(test())


def test_forgotten_scripts_are_sent_again(fleet):
    counting(fleet.upstream, "/nodes")
    counting(fleet.upstream, "/later")

    async def test():
        async with fleet.client(0) as one:
            await subscribed(one, "/nodes")
            for _ in range(3):
                fleet.redis.client.script_flush()
                await growing(one, "/nodes", 2)
            fleet.redis.client.script_flush()
            await subscribed(one, "/later")
            assert not [f for f in one.frames if "state" in f]

    run(test())


def reconnected(processes):
    return all(process.log().count("connected to Redis") >= 2 for process in processes)


def test_a_redis_that_cannot_save_is_read_on_and_polled_for_again_when_it_can(fleet):
    counting(fleet.upstream, "/nodes")
    fleet.upstream.set("/new", {"n": 1})
    processes = fleet.gateways + fleet.pollers

    async def test():
        async with fleet.client(0) as one:
            await subscribed(one, "/nodes")
            fleet.redis.break_disk()
            broken = time.monotonic()
            stale = await one.state("/nodes", "stale")
            assert stale["error"]["code"] == "redis_unavailable"
            # It stores no lease, so nobody may ask the upstream.
            assert fleet.upstream.count("/nodes", since=broken + 5) == 0
            # Connections are replaced, and a gateway that starts now reads what is stored.
            fleet.gateways[1].kill()
            fleet.gateways[1].start()
            for kind in ("pubsub", "normal"):
                fleet.redis.client.client_kill_filter(_type=kind, skipme=True)
            await until(lambda: reconnected(processes), "all are connected again")
            async with fleet.client(1) as late:
                await late.subscribe("/nodes")
                await late.content("/nodes", lambda c: c == one.held["/nodes"][1])
                await late.state("/nodes", "stale")
                await late.subscribe("/new")
                nothing = await late.state("/new", "error")
                assert nothing["error"]["code"] == "redis_unavailable"
                stored = fleet.gateways[1].resource("/nodes")
                assert stored.json == one.held["/nodes"][1]
                assert "redis_unavailable" in str(stored.headers)
                status = uricast("status", "--redis", fleet.redis.url)
                assert status.returncode == 0 and "/nodes" in status.stdout
                doctor = uricast("doctor", "--redis", fleet.redis.url)
                assert "MISCONF" in doctor.stdout
                assert "cannot be reached" not in doctor.stdout + doctor.stderr
                assert fleet.upstream.count("/nodes", since=broken + 5) == 0

                fleet.redis.mend_disk()
                mended = time.monotonic()
                for client in (one, late):
                    await growing(client, "/nodes", 3)
                await late.content("/new")
            times = fleet.upstream.asked("/nodes", since=mended)
            early = [gap for gap in gaps(times) if gap < fleet.interval * 0.8]
            assert len(early) <= 1, gaps(times)
            for process in [fleet.gateways[0], *fleet.pollers]:
                assert process.log().count("Redis refuses to store") == 1
            for poller in fleet.pollers:  # nobody is taken for dead
                assert poller.metric("uricast_poller_takeovers_total") == 0
                assert poller.metric("uricast_poller_buried_total") == 0

    run(test())


def test_a_lost_message_is_noticed(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1, gateway_redis_url=through_proxy)
    fleet.upstream.set("/once", {"n": 1})

    async def test():
        async with fleet.client() as client:
            await subscribed(client, "/once")
            fleet.proxy.lose = lambda channel: channel == "uricast:change:/once"
            fleet.upstream.set("/once", {"n": 2})
            await until(
                lambda: fleet.proxy.lost["uricast:change:/once"], "a lost message"
            )
            # Nothing else happens: only the sweep can find it.
            await client.content("/once", lambda c: c["n"] == 2)
            assert fleet.gateways[0].metric("uricast_gateway_resyncs_total") >= 1

    run(test())


def test_lost_messages_among_others_do_not_show(start_fleet):
    fleet = start_fleet(
        gateways=1, pollers=1, interval=0.3, gateway_redis_url=through_proxy
    )
    rows = [{"id": f"n{n}", "text": "x" * 100, "n": 0} for n in range(50)]
    fleet.upstream.set("/rows", rows)

    async def test():
        async with fleet.client() as client:
            await client.subscribe("/rows")
            await client.content("/rows")
            for step in range(1, 10):
                lost = sum(fleet.proxy.lost.values())
                if step % 3 == 0:
                    fleet.proxy.lose = lambda channel: channel.startswith(
                        "uricast:change:"
                    )
                rows[step]["n"] = step
                fleet.upstream.set("/rows", rows)
                if step % 3 == 0:
                    await until(lambda: sum(fleet.proxy.lost.values()) > lost, "a loss")
                    fleet.proxy.lose = lambda channel: False
                else:
                    await client.content("/rows", lambda c: c[step]["n"] == step)
            # The last one was lost: the sweep finds it.
            await client.content("/rows", lambda c: c == rows)

    run(test())


def test_a_silent_subscription_is_replaced(start_fleet):
    """Even the gateway's own probes get lost: the connection stands, but carries nothing."""
    fleet = start_fleet(gateways=1, pollers=1, gateway_redis_url=through_proxy)
    counting(fleet.upstream, "/nodes")

    async def test():
        async with fleet.client() as client:
            await subscribed(client, "/nodes")
            before = fleet.gateways[0].metric("uricast_redis_reconnects_total")
            fleet.proxy.lose = lambda channel: True
            await until(
                lambda: fleet.gateways[0].metric("uricast_redis_reconnects_total")
                > before,
                "the connection is replaced",
            )
            fleet.proxy.lose = lambda channel: False
            await growing(client, "/nodes", 3)

    run(test())


def test_a_fleet_starts_before_its_redis(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1)
    counting(fleet.upstream, "/nodes")
    for process in fleet.gateways + fleet.pollers:
        process.kill()
    fleet.redis.kill()
    for process in fleet.gateways + fleet.pollers:
        process.start()

    async def test():
        gateway = fleet.gateways[0]
        await until(lambda: answers(gateway), "the monitor port answers")
        assert gateway.monitor("/readyz").status == 503
        assert gateway.monitor("/healthz").status == 200
        fleet.redis.start()
        for process in fleet.gateways + fleet.pollers:
            await until(process.ready, f"{process.name} is ready")
        async with fleet.client() as client:
            await subscribed(client, "/nodes")

    run(test())


def answers(process):
    try:
        return process.monitor("/healthz").status == 200
    except OSError:
        return False


def test_a_content_that_redis_forgot_is_asked_for_in_peace(start_fleet):
    """Changes of a large one bring the patch alone: its content has to be read."""
    fleet = start_fleet(gateways=1, pollers=1, interval=0.2)
    large = {"n": 1, "padding": "x" * 70_000}
    fleet.upstream.set("/large", large)

    async def test():
        async with fleet.client(0) as one, fleet.client(0) as late:
            await one.subscribe("/large", mode="patch")
            await one.content("/large")
            fleet.upstream.set("/large", {**large, "n": 2})
            await one.content("/large", lambda c: c["n"] == 2)
            fleet.redis.client.delete("uricast:resource:/large")
            before = fleet.redis.client.info("commandstats")["cmdstat_hmget"]["calls"]
            began = time.monotonic()
            await subscribed(late, "/large")
            passed = time.monotonic() - began
            after = fleet.redis.client.info("commandstats")["cmdstat_hmget"]["calls"]
            assert late.held["/large"][1]["n"] == 2
            assert after - before < 30 * (passed + 1)

    run(test())


def test_nothing_is_left_in_redis_for_ever(fleet):
    for number in range(20):
        counting(fleet.upstream, f"/r/{number}")

    async def test():
        async with fleet.client(0) as one, fleet.client(1) as two:
            for client in (one, two):
                for number in range(20):
                    await subscribed(client, f"/r/{number}")
            sets = {"uricast:pollers", "uricast:gateways", "uricast:unclaimed"}
            redis = fleet.redis.client
            forever = [
                k for k in fleet.redis.keys() if redis.ttl(k) < 0 and k not in sets
            ]
            assert not forever
            assert all(key.startswith("uricast:") for key in fleet.redis.keys())
        for process in fleet.gateways + fleet.pollers:
            process.terminate()
        for process in fleet.gateways + fleet.pollers:
            assert await asyncio.to_thread(process.wait) == 0
        for key in fleet.redis.keys():
            kind = key.split(":")[1]
            assert kind in ("resource", "provider"), key
            longest = 60_000 if kind == "resource" else 3_600_000
            assert 0 < fleet.redis.client.pttl(key) <= longest, key

    run(test())
