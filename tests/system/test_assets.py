"""The dashboard's files, as the gateway serves them."""

import gzip
import socket

import pytest

from harness import BUILD, Gateway, SANITIZED, http_get, until_now

PATHS = {
    "/": "text/html; charset=utf-8",
    "/uricast.js": "text/javascript; charset=utf-8",
    "/assets/dashboard.js": "text/javascript; charset=utf-8",
    "/assets/dashboard.css": "text/css; charset=utf-8",
    "/assets/icon.svg": "image/svg+xml",
    "/assets/licences.txt": "text/plain; charset=utf-8",
}
GZIP = {"Accept-Encoding": "gzip, deflate, br"}


@pytest.fixture(scope="module")
def gateway(shared_fleet):
    return shared_fleet.gateways[0]


@pytest.mark.parametrize("path", PATHS)
def test_assets_have_their_type_and_may_load_nothing_from_elsewhere(gateway, path):
    response = gateway.get(path)
    assert response.status == 200
    assert response.headers["Content-Type"] == PATHS[path]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-cache"
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert response.body


@pytest.mark.parametrize("path", PATHS)
def test_assets_that_a_browser_has_are_not_sent_again(gateway, path):
    for headers in ({}, GZIP):
        first = gateway.get(path, headers)
        tag = first.headers["ETag"]
        for held in (tag, f'"other", W/{tag}', "*"):
            again = gateway.get(path, {**headers, "If-None-Match": held})
            assert again.status == 304
            assert again.body == b""
            assert again.headers["ETag"] == tag
        other = gateway.get(path, {**headers, "If-None-Match": '"other"'})
        assert other.status == 200
        assert other.body == first.body


def test_assets_are_compressed_for_who_can_read_it(gateway):
    plain = gateway.get("/assets/dashboard.js")
    packed = gateway.get("/assets/dashboard.js", GZIP)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) < len(plain.body) / 2
    assert packed.headers["ETag"] != plain.headers["ETag"]
    for response in (plain, packed):
        assert response.headers["Vary"] == "Accept-Encoding"
    refused = gateway.get("/assets/dashboard.js", {"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in refused.headers


def test_head_tells_of_an_asset_without_sending_it(gateway):
    got = gateway.get("/uricast.js")
    head = http_get(gateway.port, "/uricast.js", method="HEAD")
    assert head.status == 200
    assert head.body == b""
    for name in ("ETag", "Content-Length", "Content-Type"):
        assert head.headers[name] == got.headers[name]


def test_only_what_was_built_in_is_served(gateway):
    for path in (
        "/assets/",
        "/assets/../assets/icon.svg",
        "/assets/main.js",
        "/index.html",
    ):
        assert gateway.get(path).status == 404


def test_the_licences_of_what_is_bundled_go_with_it(gateway):
    text = gateway.get("/assets/licences.txt").text
    assert "@tanstack/virtual-core" in text
    assert "MIT" in text
    assert "Permission is hereby granted" in text


def test_assets_need_no_token_and_data_does(start_fleet, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("a-token-of-the-panel\n")
    options = ["--token-file", tokens]
    fleet = start_fleet(gateways=1, pollers=0, gateway_options=options)
    gateway = fleet.gateways[0]
    assert gateway.get("/").status == 200
    assert gateway.get("/uricast.js").status == 200
    assert gateway.get("/fleet").status == 401
    assert gateway.get("/resource?uri=/a").status == 401


def resident_kb(process):
    with open(f"/proc/{process.pid}/status") as status:
        for line in status:
            if line.startswith("VmRSS"):
                return int(line.split()[1])


def test_who_takes_an_asset_slowly_costs_no_copy_and_holds_nobody_up(gateway):
    """As many copies of the script as there are clients would be 40 MB."""
    request = b"GET /assets/dashboard.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    slow = []
    before = resident_kb(gateway)
    for _ in range(400):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", gateway.port))
        client.sendall(request)
        slow.append(client)
    until_now(
        lambda: gateway.metric('uricast_gateway_clients{wire="http"}') >= 400,
        "all have come",
    )
    assert gateway.get("/assets/dashboard.js").status == 200
    assert gateway.get("/resource?uri=/a").status == 200
    if not SANITIZED:
        assert resident_kb(gateway) - before < 15_000
    received = b""
    while len(received) < 60_000:
        received += slow[0].recv(65536)
    assert received.startswith(b"HTTP/1.1 200 OK")
    for client in slow:
        client.close()


class BareGateway(Gateway):
    """One that was built without node."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.command[0] = str(BUILD / "tests/system/gateway_without_dashboard")


def test_a_gateway_without_a_dashboard_says_so_and_works(shared_fleet):
    gateway = BareGateway("bare", shared_fleet.directory, shared_fleet.redis.url)
    shared_fleet.add(gateway)
    gateway.start().await_ready()
    front = gateway.get("/")
    assert front.status == 200
    assert front.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "There is no dashboard: node was not there." in front.text
    assert "/resource?uri=/nodes" in front.text
    assert gateway.get("/uricast.js").status == 404
    assert gateway.resource("/a").json == {"n": 1}
