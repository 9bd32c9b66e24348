"""Addresses that try to leave the upstream's base, or to become another request."""

import json
import random
import socket
import threading
import urllib.parse

from harness import Fleet, free_port, run, until

import pytest


class Trap:
    """A port that only notes whether anything connects to it."""

    def __init__(self):
        self.port = free_port()
        self.visits = 0
        self.socket = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.visits += 1
            connection.close()


def refused_addresses(port):
    """Must be answered with an error each."""
    dots = [".", "%2e", "%2E"]
    parents = [a + b for a in dots for b in dots]
    slashes = ["/", "%2f", "%2F", "\\", "%5c", "%5C"]
    for parent in parents:
        for slash in slashes:
            yield f"/{parent}{slash}secret"
            yield f"/a{slash}{parent}{slash}secret"
            yield f"/a/b{slash}{parent}"
        yield f"/a/{parent};x=1/secret"
        yield f"/a/{parent}%3bx/secret"
        yield f"/a/{parent}?x=1"
    for dot in dots:
        yield f"/{dot}/secret"
        yield f"/a/{dot}"
        yield f"/a/{dot};v=1/b"
    host = f"127.0.0.1:{port}"
    yield from [
        f"//{host}/x",
        f"///{host}/x",
        f"//user@{host}/x",
        f"/\\{host}/x",
        f"\\\\{host}\\x",
        f"\\/{host}/x",
        f"http://{host}/x",
        f"HTTP://{host}/x",
        f"https:{host}/x",
        f"ftp://{host}/x",
        "file:///etc/passwd",
        "gopher://127.0.0.1/_x",
        f"@{host}/x",
        f":x@{host}/",
        f":{port}/x",
        f".{host}/x",
        f"%2f%2f{host}/x",
        f"{host}/x",
        "javascript:alert(1)",
        "..",
        ".",
        "../secret",
        "./secret",
        "",
        " ",
        " /a",
        "/a ",
        "/a b",
        "*",
        "?x=1",
        "#x",
        "/a#x",
        "/a?b#x",
        "/%",
        "/%1",
        "/%g0",
        "/%%32e%%32e/x",
        "/a?x=%",
        "/a?x=%zz",
        '/a"b',
        "/a<b>",
        "/a|b",
        "/a^b",
        "/a`b",
        "/a{b}",
        "/" + "a" * 2048,
        "/?" + "b" * 2048,
        "/ü",
        "/\u2025/x",
        "/\uff0e\uff0e/x",
        "/\u2215x",
        "/\ufeff",
        "/\u202e",
        "/%c0%ae%c0%ae%00/x",
    ]
    for code in [*range(0x00, 0x20), 0x7F]:
        yield f"/a{chr(code)}b"
        yield f"/a%{code:02x}b"
        yield f"/a?b=%{code:02X}"
    for injected in [
        " HTTP/1.1\r\nHost: x\r\n\r\n",
        "\r\nX-Injected: 1",
        "%0d%0aX-Injected:%201",
        "\nx",
        "\u010d\u010aX-Injected: 1",  # the low bytes of these are CR and LF
    ]:
        yield f"/a{injected}"
        yield f"/a?x={injected}"


def harmless_addresses(port):
    """May be asked, below the base, or be refused; must not reach anything else."""
    yield from [
        f"/@127.0.0.1:{port}/x",
        f"/a@127.0.0.1:{port}",
        f"/http://127.0.0.1:{port}/x",
        f"/a//127.0.0.1:{port}/x",
        f"/:{port}/x",
        f"/?url=http://127.0.0.1:{port}/x",
        "/?x=../../secret",
        "/?../../secret",
        "/a?b=%2e%2e/%2e%2e/secret",
        "/...",
        "/..a/b",
        "/a../b",
        "/%252e%252e/secret",
        "/a;..;/b",
        "/;",
        "/;/",
        "/~root",
        "/api/queues/%2F/q",
        "/%25",
        "/a%3Ab",
        "/*",
        "/$(id)",
        "/'or'1'='1",
        "/a?x=1&x=2&x",
    ]


@pytest.fixture(scope="module")
def hostile_fleet(tmp_path_factory):
    """Without a cap on messages per second in the way: the default is bursts of 50."""
    fleet = Fleet(tmp_path_factory.mktemp("hostile"))
    fleet.start(gateways=1, pollers=1, interval=1)
    fleet.upstream.set("/a", {"n": 1})
    yield fleet
    wrong = fleet.close()
    assert not wrong, "\n".join(wrong)


def batches(items, size):
    items = list(items)
    return [items[start : start + size] for start in range(0, len(items), size)]


def assert_only_the_base(fleet, trap):
    for target in fleet.upstream.targets():
        assert target.startswith(fleet.upstream.base + "/"), target
        path = target.partition("?")[0]
        for _ in range(2):
            segments = path.replace("\\", "/").split("/")
            names = [segment.partition(";")[0] for segment in segments]
            assert "." not in names and ".." not in names, target
            path = urllib.parse.unquote(path)
    for request in fleet.upstream.requests:
        assert "x-injected" not in request.headers
        assert request.headers["host"] == f"127.0.0.1:{fleet.upstream.port}"
    assert trap.visits == 0


def test_every_escaping_address_gets_its_error_and_is_never_asked(hostile_fleet):
    fleet = hostile_fleet
    trap = Trap()
    addresses = list(dict.fromkeys(refused_addresses(trap.port)))
    assert len(addresses) > 300

    async def test():
        for some in batches(addresses, 40):
            async with fleet.client() as client:
                answer = await client.ask({"action": "subscribe", "uris": some})
                assert [entry["uri"] for entry in answer["uris"]] == [
                    a[:2048] for a in some
                ]
                for entry in answer["uris"]:
                    assert "error" in entry, entry
                    client.check_error(entry)
                await client.subscribe("/a")
                assert await client.content("/a") == {"n": 1}

    run(test())
    assert set(fleet.upstream.targets()) == {fleet.upstream.base + "/a"}
    assert_only_the_base(fleet, trap)


def test_addresses_that_only_look_like_it_stay_below_the_base(hostile_fleet):
    fleet = hostile_fleet
    trap = Trap()
    addresses = list(harmless_addresses(trap.port))

    async def test():
        async with fleet.client() as client:
            answer = await client.ask({"action": "subscribe", "uris": addresses})
            taken = [e["uri"] for e in answer["uris"] if "error" not in e]
            for uri in taken:
                await client.frame(
                    lambda f: f.get("uri") == uri and "id" not in f, what=f"word of {uri}"
                )
            base = fleet.upstream.base
            assert {base + uri for uri in taken} <= set(fleet.upstream.targets())
            assert "/api/queues/%2F/q" in taken

    run(test())
    assert_only_the_base(fleet, trap)


def test_plain_http_refuses_the_same_addresses(hostile_fleet):
    fleet = hostile_fleet
    trap = Trap()
    gateway = fleet.gateways[0]
    before = len(fleet.upstream.targets())
    for address in list(refused_addresses(trap.port))[::7]:
        response = gateway.resource(address)
        assert response.status == 400, address
        assert response.json["error"]["message"]
    targets = fleet.upstream.targets()[before:]
    assert set(targets) <= {fleet.upstream.base + "/a"}
    assert_only_the_base(fleet, trap)


def test_random_bytes_do_no_harm(hostile_fleet):
    fleet = hostile_fleet
    dice = random.Random(4711)
    trap = Trap()
    pieces = r"/ \ . .. %2e %2F %5c ; ? # @ : % a // %00 %0a & = ~ ü 127.0.0.1".split()
    pieces += [" ", "\u0000", "\r\n"]

    async def test():
        for _ in range(10):
            async with fleet.client() as client:
                uris = [
                    "".join(dice.choice(pieces) for _ in range(dice.randint(1, 12)))
                    for _ in range(50)
                ]
                answer = await client.ask({"action": "subscribe", "uris": uris})
                for entry in answer["uris"]:
                    assert "error" in entry or entry.get("interval", 1) > 0
                await client.subscribe("/a")
                assert await client.content("/a") == {"n": 1}

    run(test())
    assert_only_the_base(fleet, trap)


def test_raw_garbage_on_the_port_does_no_harm(hostile_fleet):
    fleet = hostile_fleet
    gateway = fleet.gateways[0]
    dice = random.Random(815)
    beginnings = [
        b"",
        b"GET /ws HTTP/1.1\r\n",
        b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n",
        b"GET /resource?uri=/a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ]
    for beginning in beginnings * 3:
        with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
            connection.sendall(beginning + dice.randbytes(dice.randint(0, 4000)))

    async def test():
        async with fleet.client() as client:
            await client.subscribe("/a")
            assert await client.content("/a") == {"n": 1}

    run(test())
    assert gateway.alive


def test_a_flood_of_messages_is_slowed_or_refused_but_hurts_nobody_else(hostile_fleet):
    fleet = hostile_fleet

    async def test():
        async with fleet.client() as noisy, fleet.client() as quiet:
            await quiet.subscribe("/a")
            await quiet.content("/a")
            message = json.dumps({"action": "subscribe", "uri": "/nonsense/../x"})
            for _ in range(2000):
                if not noisy.open:
                    break
                try:
                    await noisy.send(message)
                except Exception:
                    break
            mark = quiet.mark()
            await quiet.subscribe("/a")
            await quiet.next_content("/a", mark)
            await until(lambda: noisy.frames or not noisy.open, "word or an end")
        async with fleet.client() as fresh:
            await fresh.subscribe("/a")
            await fresh.content("/a")

    run(test())
