"""Upstreams that fail: the last good state stands, is marked, and is taken back."""

import json
import time

import pytest

from harness import free_port, run, short_limits, until
from upstream import Answer, self_signed

BODY_LIMIT = 64 * 1024


BAD = {
    "status 503": Answer({"error": "down"}, status=503),
    "status 500 with a page": Answer(
        "<h1>oops</h1>", status=500, content_type="text/html"
    ),
    "status 418": Answer({"error": "who?"}, status=418),
    "a redirect to elsewhere": Answer(
        "", status=302, headers={"Location": "http://127.0.0.1:1/x"}
    ),
    "no answer in time": Answer({"n": 9}, silent=True),
    "too late an answer": Answer({"n": 9}, delay=5),
    "a reset": Answer({"n": 9}, reset=True),
    "half an answer": Answer({"text": "x" * 1000}, half=True),
    "bad JSON": Answer('{"n": 9,}'),
    "nothing": Answer(""),
    "a page that says it is JSON": Answer("<html></html>"),
    "two values": Answer('{"n":9} {"n":10}'),
    "duplicate names": Answer('{"n":9,"n":10}'),
    "too deep": Answer("[" * 600 + "]" * 600),
    "invalid UTF-8": Answer(b'{"n": "\xff\xfe"}'),
    "overlong UTF-8": Answer(b'{"n": "\xc0\xaf"}'),
    "a lone surrogate": Answer('{"n": "\\ud800"}'),
    "invalid UTF-8 as text": Answer(b"caf\xe9", content_type="text/plain"),
    "NaN": Answer('{"n": NaN}'),
    "too large": Answer({"text": "x" * (BODY_LIMIT + 1)}),
    "too large in pieces": Answer({"text": "x" * (BODY_LIMIT + 1)}, chunked=True),
    "too large unpacked": Answer({"text": "x" * (BODY_LIMIT * 50)}, gzipped=True),
    "endless": Answer(b"[1,2,3,4,5,6,7,8,9,10," * 3000, endless=True),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_failure_is_told_once_and_taken_back(start_fleet, bad):
    fleet = start_fleet(gateways=2, pollers=1, config=short_limits)
    fleet.upstream.set("/nodes", {"n": 1})

    async def test():
        async with fleet.client(0) as client, fleet.client(1) as late:
            await client.subscribe("/nodes")
            await client.content("/nodes")
            version = client.held["/nodes"][0]

            fleet.upstream.set_answer("/nodes", bad)
            stale = await client.state("/nodes", "stale")
            client.check_error(stale)
            assert stale["error"]["since"]
            failed = time.monotonic()
            await until(
                lambda: fleet.upstream.count("/nodes", since=failed) >= 2, "more failures"
            )

            # Who comes now gets the last content and the state, in this order.
            await late.subscribe("/nodes")
            told = await late.state("/nodes", "stale")
            assert told["error"]["code"] == stale["error"]["code"]
            assert late.held["/nodes"] == (version, {"n": 1})

            assert [f.get("state") for f in client.frames] == [None, "stale"]

            # The same content again: confirmed, nothing sent twice.
            fleet.upstream.set("/nodes", {"n": 1})
            await client.state("/nodes", "fresh")
            assert await late.state("/nodes", "fresh") == {
                "uri": "/nodes",
                "state": "fresh",
            }
            assert [f.get("state") for f in client.frames] == [None, "stale", "fresh"]
            assert client.held["/nodes"] == (version, {"n": 1})

            # And life goes on.
            fleet.upstream.set("/nodes", {"n": 2})
            await client.content("/nodes", lambda c: c["n"] == 2)

    run(test())


def test_a_status_is_told_with_its_number(small_fleet):
    small_fleet.upstream.set("/nodes", {"n": 1})

    async def test():
        async with small_fleet.client() as client:
            await client.subscribe("/nodes")
            await client.content("/nodes")
            small_fleet.upstream.set("/nodes", {}, status=503)
            stale = await client.state("/nodes", "stale")
            assert stale["error"]["code"] == "upstream_status"
            assert stale["error"]["status"] == 503
            assert "503" in stale["error"]["message"]

    run(test())


def test_refused_connections_are_told_and_taken_back(small_fleet):
    small_fleet.upstream.set("/nodes", {"n": 1})

    async def test():
        async with small_fleet.client() as client:
            await client.subscribe("/nodes")
            await client.content("/nodes")
            small_fleet.upstream.refuse()
            client.check_error(await client.state("/nodes", "stale"))
            small_fleet.upstream.set("/nodes", {"n": 2})
            small_fleet.upstream.listen()
            await client.content("/nodes", lambda c: c["n"] == 2)
            # New content is its own good news: the state is not left at stale.
            last = [f for f in client.frames if "state" in f][-1]
            after = client.frames[client.frames.index(last) + 1 :]
            assert last["state"] == "fresh" or any("content" in f for f in after)

    run(test())


def test_without_content_a_failure_is_an_error_until_there_is_some(small_fleet):
    small_fleet.upstream.set("/nodes", {}, status=503)

    async def test():
        async with small_fleet.client() as client:
            await client.subscribe("/nodes")
            error = await client.state("/nodes", "error")
            client.check_error(error)
            assert not client.held
            small_fleet.upstream.set("/nodes", {"n": 1})
            assert await client.content("/nodes") == {"n": 1}
            assert [f.get("state") for f in client.frames][:1] == ["error"]

    run(test())


def test_what_the_upstream_has_no_more_is_gone_and_may_come_back(small_fleet):
    small_fleet.upstream.set("/nodes/n1", {"n": 1})

    async def test():
        async with small_fleet.client() as client, small_fleet.client() as late:
            await client.subscribe("/nodes/n1")
            await client.content("/nodes/n1")
            small_fleet.upstream.set("/nodes/n1", {"error": "no such node"}, status=404)
            gone = await client.state("/nodes/n1", "gone")
            client.check_error(gone)
            await late.subscribe("/nodes/n1")
            await late.state("/nodes/n1", "gone")
            mark = client.mark()
            small_fleet.upstream.set("/nodes/n1", {"n": 2})
            await client.frame(
                lambda f: f.get("content") == {"n": 2}, mark, "content after the return"
            )
            await late.content("/nodes/n1", lambda c: c == {"n": 2})

    run(test())


def test_what_never_was_there_is_an_error_not_gone(small_fleet):
    async def test():
        async with small_fleet.client() as client:
            await client.subscribe("/never")
            error = await client.state("/never", "error")
            assert error["error"]["status"] == 404

    run(test())


def test_failures_are_asked_about_less_and_less_often(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1, interval=0.2)
    fleet.upstream.set("/nodes", {}, status=503)

    async def test():
        async with fleet.client() as client:
            await client.subscribe("/nodes")
            await client.state("/nodes", "error")
            await until(lambda: fleet.upstream.count("/nodes") >= 6, "six tries")
            times = fleet.upstream.asked("/nodes")
            gaps = [after - before for before, after in zip(times, times[1:])]
            assert gaps[4] > gaps[0] * 3, f"no backing off: {gaps}"

    run(test())


def test_one_failing_resource_holds_up_no_other(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1, config=short_limits)
    for number in range(30):
        fleet.upstream.set(f"/hangs/{number}", silent=True)
    numbers = iter(range(10**6))
    fleet.upstream.set_answer("/fine", lambda request: Answer({"n": next(numbers)}))

    async def test():
        async with fleet.client() as client:
            await client.subscribe("/fine")
            await client.content("/fine")
            hanging = [f"/hangs/{number}" for number in range(30)]
            await client.send({"action": "subscribe", "uris": hanging})
            mark = (await client.content("/fine"))["n"]
            await client.content("/fine", lambda c: c["n"] > mark + 10)
            for uri in hanging:
                client.check_error(await client.state(uri, "error"))

    run(test())


def test_an_upstream_with_an_unknown_certificate_is_refused_unless_told_otherwise(
    start_fleet, tmp_path
):
    tls = self_signed(tmp_path)
    careful = start_fleet(gateways=1, pollers=1, upstream_tls=tls)
    careful.upstream.set("/nodes", {"n": 1})
    careless = start_fleet(
        gateways=1, pollers=1, upstream_tls=tls, poller_options=["--insecure"]
    )
    careless.upstream.set("/nodes", {"n": 1})

    async def test():
        async with careless.client() as client:
            await client.subscribe("/nodes")
            assert await client.content("/nodes") == {"n": 1}
        async with careful.client() as client:
            await client.subscribe("/nodes")
            client.check_error(await client.state("/nodes", "error"))
            assert careful.upstream.count("/nodes") == 0

    run(test())


def test_a_redirect_within_the_upstream_never_leaves_it(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1, interval=0.2)
    elsewhere = fleet.add_upstream()
    elsewhere.set("/nodes", {"from": "elsewhere"})
    away = {"Location": f"{elsewhere.url}/nodes"}
    fleet.upstream.set("/nodes", "", status=302, headers=away)

    async def test():
        async with fleet.client() as client:
            await client.subscribe("/nodes")
            client.check_error(await client.state("/nodes", "error"))
            await until(lambda: fleet.upstream.count("/nodes") >= 2, "two polls")
            assert elsewhere.targets() == []

    run(test())


def test_a_proxy_of_the_environment_is_not_used(start_fleet, monkeypatch):
    """A poller asks its upstream itself, unless the configuration names a proxy."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    fleet = start_fleet(gateways=1, pollers=1)
    fleet.upstream.set("/nodes", {"n": 1})

    async def test():
        async with fleet.client() as client:
            await client.subscribe("/nodes")
            assert await client.content("/nodes") == {"n": 1}

    run(test())


def test_secrets_of_the_configuration_go_to_the_upstream_and_nowhere_else(
    start_fleet, tmp_path
):
    secret = "s3cret-token-4711"
    token = tmp_path / "token"
    token.write_text(secret + "\n")

    def config(fleet):
        settings = short_limits(fleet)
        settings["services"]["api"]["headers"] = {"X-Auth-Token": f"file:{token}"}
        return settings

    fleet = start_fleet(gateways=1, pollers=1, config=config)
    fleet.upstream.set("/nodes", {"n": 1})

    async def test():
        async with fleet.client() as client:
            await client.subscribe("/nodes")
            await client.content("/nodes")
            assert fleet.upstream.last("/nodes").headers["x-auth-token"] == secret

            # A new token is read when the file changes.
            token.write_text("another-4712\n")
            await until(
                lambda: fleet.upstream.last("/nodes").headers["x-auth-token"]
                == "another-4712",
                "the new token in use",
            )
            for text in client.texts:
                assert secret not in text

    run(test())
    assert_nowhere(fleet, secret)


def assert_nowhere(fleet, secret):
    for process in fleet.processes:
        assert secret not in process.log(), process.name
    for process in fleet.gateways + fleet.pollers:
        assert secret not in process.monitor("/metrics").text
    redis = fleet.redis.client
    for key in fleet.redis.keys():
        kind = redis.type(key)
        value = redis.hgetall(key) if kind == "hash" else ""
        value = redis.get(key) if kind == "string" else value
        assert secret not in json.dumps([key, value])
