"""Subscribing over WebSocket: what is answered, in what shape, and that nothing else is."""

import json

import pytest

from harness import run, until
from upstream import Answer

# White space, member order, number forms and escapes that any re-printing would change.
VERBATIM = (
    '{"z": 1.0e5, "a": [ 12345678901234567890, -0.10, 1E+2 ],\n'
    ' "s": "\\u00e9\\/\\u0000 \\"é\\" \\ud83d\\ude00", "": {}, "empty" : [ ] , "n":null}'
)


def test_a_subscriber_gets_the_upstreams_json_verbatim(small_fleet):
    small_fleet.upstream.set("/nodes", VERBATIM)

    async def test():
        async with small_fleet.client() as client:
            await client.subscribe("/nodes")
            await client.content("/nodes")
            version = client.frames[0]["version"]
            want = f'{{"uri":"/nodes","version":"{version}","content":{VERBATIM}}}'
            assert client.texts == [want]

    run(test())


def test_the_browsers_original_message_is_understood(small_fleet):
    small_fleet.upstream.set("/nodes", [{"id": "node1"}])

    async def test():
        async with small_fleet.client() as client:
            await client.send('{"action": "subscribe", "uri": "/nodes"}')
            assert await client.content("/nodes") == [{"id": "node1"}]

    run(test())


def test_every_change_reaches_subscribers_on_every_gateway(fleet):
    fleet.upstream.set("/nodes", {"n": 0})

    async def test():
        async with fleet.client(0) as one, fleet.client(1) as two:
            await one.subscribe("/nodes")
            await two.subscribe("/nodes")
            for n in range(5):
                fleet.upstream.set("/nodes", {"n": n})
                for client in (one, two):
                    await client.content("/nodes", lambda c: c["n"] == n)
            last = one.held["/nodes"]
            assert two.held["/nodes"] == last

    run(test())


def test_what_means_the_same_is_not_told(small_fleet):
    spellings = ['{"a":1,"b":[1,2]}', '{"b":[1,2],"a":1}', '{ "a" : 1, "b": [1, 2] }\n']

    asked = [0]

    def answer(request):
        asked[0] += 1
        return Answer(spellings[asked[0] % 3])

    small_fleet.upstream.set_answer("/x", answer)

    async def test():
        async with small_fleet.client() as client:
            await client.subscribe("/x")
            await client.content("/x")
            await until(lambda: asked[0] >= 8, "eight polls")
            assert len(client.frames) == 1

    run(test())


def test_an_acknowledgement_comes_before_any_content(small_fleet):
    small_fleet.upstream.set("/nodes", [])

    async def test():
        async with small_fleet.client() as client:
            await client.subscribe("/nodes", id=7, interval=2.5)
            await client.content("/nodes")
            want = {"id": 7, "ok": True, "uri": "/nodes", "interval": 2.5}
            assert client.frames[0] == want
            await client.subscribe("/nodes", id="again")
            answer = await client.frame(lambda f: f.get("id") == "again")
            assert answer["ok"] is True and answer["uri"] == "/nodes"

    run(test())


def test_many_addresses_in_one_message_get_one_answer(small_fleet):
    small_fleet.upstream.set("/a", "1")
    small_fleet.upstream.set("/b", "2")

    async def test():
        async with small_fleet.client() as client:
            uris = ["/a", "/../etc/passwd", "/b"]
            answer = await client.ask({"action": "subscribe", "uris": uris})
            assert answer["ok"] is True
            assert [entry["uri"] for entry in answer["uris"]] == uris
            a, bad, b = answer["uris"]
            client.check_error(bad)
            assert a.get("interval", 1) > 0 and "error" not in a
            assert b.get("interval", 1) > 0 and "error" not in b
            assert await client.content("/a") == 1
            assert await client.content("/b") == 2

    run(test())


def test_after_unsubscribing_nothing_more_is_told(small_fleet):
    small_fleet.upstream.set("/gone", {"n": 1})
    small_fleet.upstream.set("/kept", {"n": 1})

    async def test():
        async with small_fleet.client() as client:
            await client.subscribe("/gone")
            await client.subscribe("/kept")
            await client.content("/gone")
            await client.content("/kept")
            answer = await client.ask({"action": "unsubscribe", "uri": "/gone"})
            assert answer["ok"] is True
            mark = client.mark()
            for n in range(2, 6):
                small_fleet.upstream.set("/gone", {"n": n})
                small_fleet.upstream.set("/kept", {"n": n})
                await client.content("/kept", lambda c: c["n"] == n)
            assert all(f["uri"] == "/kept" for f in client.frames[mark:])

    run(test())


def test_subscribing_again_sends_the_content_again(small_fleet):
    small_fleet.upstream.set("/nodes", {"n": 1})

    async def test():
        async with small_fleet.client() as client:
            await client.subscribe("/nodes")
            await client.content("/nodes")
            mark = client.mark()
            await client.subscribe("/nodes")
            again = await client.next_content("/nodes", mark)
            assert again == client.frames[0]
            # One subscription, not two: a change is told once.
            mark = client.mark()
            small_fleet.upstream.set("/nodes", {"n": 2})
            await client.content("/nodes", lambda c: c["n"] == 2)
            small_fleet.upstream.set("/nodes", {"n": 3})
            await client.content("/nodes", lambda c: c["n"] == 3)
            assert len(client.frames) == mark + 2

    run(test())


def test_a_client_that_is_current_is_not_sent_the_content(small_fleet):
    small_fleet.upstream.set("/nodes", {"n": 1})

    async def test():
        async with small_fleet.client() as before, small_fleet.client() as client:
            await before.subscribe("/nodes")
            await before.content("/nodes")
            version = before.held["/nodes"][0]
            since = {"action": "subscribe", "uri": "/nodes", "since": version}
            assert (await client.ask(since))["ok"] is True
            small_fleet.upstream.set("/nodes", {"n": 2})
            await client.content("/nodes", lambda c: c["n"] == 2)
            assert len([f for f in client.frames if "content" in f]) == 1
            # A version of long ago, or of never: the content at once.
            for old in (version, "0", "99999999999999999999", "nonsense"):
                mark = client.mark()
                await client.subscribe("/nodes", since=old)
                assert (await client.next_content("/nodes", mark))["content"] == {"n": 2}

    run(test())


def test_on_a_single_connection_each_subscribe_replaces_the_one_before(small_fleet):
    small_fleet.upstream.set("/a", {"n": 1})
    small_fleet.upstream.set("/b", {"n": 1})

    async def test():
        async with small_fleet.client(path="/ws?single=1") as client:
            await client.subscribe("/a")
            await client.content("/a")
            await client.subscribe("/b")
            await client.content("/b")
            mark = client.mark()
            for n in range(2, 5):
                small_fleet.upstream.set("/a", {"n": n})
                small_fleet.upstream.set("/b", {"n": n})
                await client.content("/b", lambda c: c["n"] == n)
            assert all(f["uri"] == "/b" for f in client.frames[mark:])

    run(test())


def test_a_paused_client_costs_nothing_and_resumes_with_what_it_missed(small_fleet):
    upstream = small_fleet.upstream
    upstream.set("/a", {"n": 1})
    upstream.set("/same", {"n": 1})

    async def test():
        async with small_fleet.client() as client:
            await client.subscribe("/a")
            await client.subscribe("/same")
            await client.content("/a")
            await client.content("/same")
            await client.ask({"action": "pause"})
            interest = "uricast:interest:/a"
            redis = small_fleet.redis.client
            await until(lambda: interest_count(redis, interest) == 0, "no interest left")
            mark = client.mark()
            upstream.set("/a", {"n": 2})
            await client.ask({"action": "resume"})
            await client.content("/a", lambda c: c["n"] == 2)
            told = [f for f in client.frames[mark:] if "content" in f]
            assert [f["content"] for f in told if f["uri"] == "/same"] == []

    run(test())


def interest_count(redis, key):
    return sum(int(value.split()[0]) for value in redis.hvals(key))


def test_a_refresh_asks_the_upstream_now(start_fleet):
    fleet = start_fleet(interval=60)
    fleet.upstream.set("/slow", {"n": 1})

    async def test():
        async with fleet.client(0) as one, fleet.client(1) as two:
            await one.subscribe("/slow")
            await two.subscribe("/slow")
            await one.content("/slow")
            await two.content("/slow")
            fleet.upstream.set("/slow", {"n": 2})
            await one.ask({"action": "refresh", "uri": "/slow"})
            await one.content("/slow", lambda c: c["n"] == 2)
            await two.content("/slow", lambda c: c["n"] == 2)
            assert fleet.upstream.count("/slow") == 2

    run(test())


def test_unknown_members_are_ignored(small_fleet):
    small_fleet.upstream.set("/nodes", [])

    async def test():
        async with small_fleet.client() as client:
            extra = {"color": "blue", "nested": {"a": [1, {"b": None}]}}
            await client.subscribe("/nodes", **extra)
            assert await client.content("/nodes") == []

    run(test())


def test_the_subprotocol_is_spoken_if_offered(small_fleet):
    async def test():
        async with small_fleet.client(subprotocols=["uricast.v1"]) as client:
            assert client.socket.subprotocol == "uricast.v1"
        async with small_fleet.client() as client:
            assert client.socket.subprotocol is None

    run(test())


def test_text_is_carried_as_a_string(small_fleet):
    text = 'line "one"\n\tzwei ü \\ \u2028 \x01 end'
    small_fleet.upstream.set("/motd", text, content_type="text/plain; charset=utf-8")

    async def test():
        async with small_fleet.client() as client:
            await client.subscribe("/motd")
            assert await client.content("/motd") == text

    run(test())


def test_json_is_json_by_its_content_type(small_fleet):
    types = ["application/json; charset=utf-8", "application/problem+json", ""]
    for number, content_type in enumerate(types):
        small_fleet.upstream.set(f"/{number}", {"n": number}, content_type=content_type)

    async def test():
        async with small_fleet.client() as client:
            for number in range(len(types)):
                await client.subscribe(f"/{number}")
                assert await client.content(f"/{number}") == {"n": number}

    run(test())


def test_no_patch_leads_from_a_text_to_json_or_back(small_fleet):
    rest = '"pad":"' + "x" * 200 + '"}'

    async def serve(clients, body, **more):
        marks = [client.mark() for client in clients]
        small_fleet.upstream.set("/a", body, **more)
        for client, mark in zip(clients, marks):
            yield await client.frame(lambda f: "version" in f, mark)

    async def test():
        async with small_fleet.client() as patched, small_fleet.client() as whole:
            clients = [patched, whole]
            small_fleet.upstream.set("/a", '{"n":1,' + rest, content_type="text/plain")
            for client, mode in zip(clients, ("patch", "full")):
                await client.subscribe("/a", mode=mode)
                await client.content("/a")

            # Another content, then the same one in other words, as JSON.
            for body in ('{"n":2,' + rest, '{ "n":2,' + rest):
                async for frame in serve(clients, body):
                    assert frame["content"] == json.loads(body)
                    assert "type" not in frame
                async for frame in serve(clients, body + " ", content_type="text/plain"):
                    assert frame["content"] == body + " "
                    assert frame["type"] == "text/plain"

    run(test())


def test_the_same_bytes_as_another_type_are_another_content(small_fleet):
    types = ["text/plain", "application/json", "text/html; charset=utf-8", ""]
    said = ["text/plain", None, "text/html", None]

    async def test():
        async with small_fleet.client() as client:
            for content_type, kind in zip(types, said):
                mark = client.mark()
                small_fleet.upstream.set("/a", "[1]", content_type=content_type)
                if mark == 0:
                    await client.subscribe("/a")
                frame = await client.next_content("/a", mark)
                assert frame.get("type") == kind
                assert frame["content"] == ("[1]" if kind else [1])
            # Parameters, and another word for JSON, change nothing.
            mark = client.mark()
            asked = small_fleet.upstream.count("/a")
            more = "application/vnd.x+json; charset=utf-8"
            small_fleet.upstream.set("/a", "[1]", content_type=more)
            await until(lambda: small_fleet.upstream.count("/a") > asked + 3, "polls")
            assert client.mark() == mark

    run(test())


def test_compressed_and_chunked_answers_are_read(small_fleet):
    big = {"rows": [{"id": n, "text": "abc" * n} for n in range(300)]}
    small_fleet.upstream.set("/zipped", big, gzipped=True)
    small_fleet.upstream.set("/chunked", big, chunked=True)

    async def test():
        async with small_fleet.client() as client:
            for uri in ("/zipped", "/chunked"):
                await client.subscribe(uri)
                assert await client.content(uri) == big

    run(test())


def test_large_content_arrives_whole_and_changes_do(small_fleet):
    big = {"rows": [{"id": n, "text": "abcdefghij" * 20} for n in range(4000)]}
    assert len(json.dumps(big)) > 800_000
    small_fleet.upstream.set("/big", big)

    async def test():
        async with small_fleet.client() as client:
            await client.subscribe("/big")
            assert await client.content("/big") == big
            for step in range(3):
                big["rows"][step]["text"] = "changed"
                small_fleet.upstream.set("/big", big)
                want = json.loads(json.dumps(big))
                await client.content("/big", lambda c: c == want)

    run(test())


def test_each_small_change_of_large_content_is_one_small_patch(small_fleet):
    """From the second on they are looked for only where the bodies differ."""
    rows = [{"id": n, "text": "abcdefghij" * 20} for n in range(2000)]
    steps = [
        lambda: rows[1000].update(text="changed"),
        lambda: rows[1999].update(text="changed, too"),
        lambda: rows.insert(500, {"id": 5000}),
        lambda: rows.pop(700),
        lambda: rows[0].update(text="\u00e9", more=[1, {"a": None}]),
        lambda: rows[0]["more"][1].update(a="}],["),
    ]
    small_fleet.upstream.set("/big", {"rows": rows})

    async def test():
        async with small_fleet.client() as client:
            await client.subscribe("/big", mode="patch")
            await client.content("/big", lambda c: c == {"rows": rows})
            for change in steps:
                told = len(client.frames)
                change()
                small_fleet.upstream.set("/big", {"rows": rows})
                await client.content("/big", lambda c: c == {"rows": rows})
                assert not any("content" in frame for frame in client.frames[told:])
                assert all(len(text) < 500 for text in client.texts[told:])
            broken = json.dumps({"rows": rows}).replace('"id": 900,', '"id": 0900,')
            small_fleet.upstream.set("/big", broken)
            frame = await client.frame(lambda f: f.get("state") == "stale")
            assert "bad number at byte" in frame["error"]["message"]

    run(test())


def test_the_upstream_is_asked_whether_anything_changed(small_fleet):
    small_fleet.upstream.set("/nodes", {"n": 1}, etag=True)

    async def test():
        async with small_fleet.client() as client:
            await client.subscribe("/nodes")
            await client.content("/nodes")
            await until(lambda: small_fleet.upstream.count("/nodes") >= 3, "three polls")
            assert "if-none-match" in small_fleet.upstream.last("/nodes").headers
            small_fleet.upstream.set("/nodes", {"n": 2}, etag=True)
            await client.content("/nodes", lambda c: c["n"] == 2)
            assert len(client.frames) == 2

    run(test())


BAD_MESSAGES = [
    "",
    "nonsense",
    "{",
    "[]",
    "null",
    "1",
    '"subscribe"',
    "{}",
    '{"action":null}',
    '{"action":1,"uri":"/a"}',
    '{"action":"dance","uri":"/a"}',
    '{"uri":"/a"}',
    '{"action":"subscribe"}',
    '{"action":"subscribe","uri":null}',
    '{"action":"subscribe","uri":7}',
    '{"action":"subscribe","uri":["/a"]}',
    '{"action":"subscribe","uris":"/a"}',
    '{"action":"subscribe","uris":[1]}',
    '{"action":"subscribe","uris":{"a":1}}',
    '{"action":"subscribe","uri":"/a","mode":"loud"}',
    '{"action":"subscribe","uri":"/a","interval":"fast"}',
    '{"action":"subscribe","uri":"/a","interval":-1}',
    '{"action":"subscribe","uri":"/a","since":5}',
    '{"action":"subscribe","uri":"/a"} trailing',
    '{"action":"subscribe","uri":"/a"}{"action":"subscribe","uri":"/b"}',
    "{'action':'subscribe','uri':'/a'}",
    '{"action":"subscribe","uri":"/a","x":NaN}',
    "[" * 5000 + "]" * 5000,
    '{"a":' * 2000 + "1" + "}" * 2000,
]


@pytest.mark.parametrize("message", BAD_MESSAGES, ids=range(len(BAD_MESSAGES)))
def test_a_bad_message_is_answered_and_the_connection_stays(shared_fleet, message):
    async def test():
        async with shared_fleet.client() as client:
            await client.send(message)
            await client.error()
            await client.subscribe("/a")
            assert await client.content("/a") == {"n": 1}
            assert len([f for f in client.frames if "error" in f]) == 1

    run(test())


def test_a_binary_message_does_no_harm(shared_fleet):
    async def test():
        async with shared_fleet.client() as client:
            await client.send(b"\x00\xff\xfe")
            await client.error()
            await client.subscribe("/a")
            assert await client.content("/a") == {"n": 1}

    run(test())


BAD_ADDRESSES = [
    "",
    "nodes?",
    "//host/x",
    "/a/../b",
    "/a/%2e%2E/b",
    "/a\\b",
    "/a b",
    "/a%",
    "/a%zz",
    "/a%00",
    "/a\u0007",
    "/a#fragment",
    "http://127.0.0.1/x",
    "/ü",
    "/" + "x" * 3000,
]


@pytest.mark.parametrize("uri", BAD_ADDRESSES, ids=range(len(BAD_ADDRESSES)))
def test_a_bad_address_is_answered_with_the_address_as_sent(shared_fleet, uri):
    async def test():
        async with shared_fleet.client() as client:
            await client.subscribe(uri)
            frame = await client.error()
            assert frame["uri"] == uri[:2048]  # of longer ones no more is repeated
            answer = await client.ask({"action": "subscribe", "uri": uri})
            client.check_error(answer)
            assert answer.get("ok") is not True
            await client.subscribe("/a")
            assert await client.content("/a") == {"n": 1}

    run(test())


@pytest.mark.parametrize(
    ("sent", "canonical"),
    [
        ("/a%7Eb", "/a~b"),
        ("/a%2fb", "/a%2Fb"),
        ("/%61", "/a"),
        ("/a?", "/a"),
    ],
)
def test_another_spelling_is_refused_with_the_canonical_one_named(
    shared_fleet, sent, canonical
):
    async def test():
        async with shared_fleet.client() as client:
            await client.subscribe(sent)
            frame = await client.error()
            assert frame["uri"] == sent
            assert canonical in json.dumps(frame["error"])

    run(test())


def test_a_too_large_message_is_refused(shared_fleet):
    async def test():
        async with shared_fleet.client() as client:
            await client.send(
                json.dumps({"action": "subscribe", "uri": "/" + "y" * 200_000})
            )
            # In a frame or by closing; never ignored, never waited for.
            await until(lambda: client.frames or not client.open, "a refusal")
            assert not client.frames or "error" in client.frames[0]

    run(test())
