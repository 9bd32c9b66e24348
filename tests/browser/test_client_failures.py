"""The browser's data layer when gateways, transports and frames fail."""

import socket
import time

import pytest

from browser import milliseconds_since
from harness import until_now
from page import connect, is_in, numbers_told, padded, shows, states_told, watch


def test_states_reach_the_page(small, open_page):
    small.upstream.set("/nodes", padded(1))
    for transport in ["websocket", "sse", "longpoll"]:
        page = open_page()
        connect(page, small.urls, transports=[transport], timing={"wait": 1000})
        watch(page, "/nodes")
        watch(page, "/none")
        page.until(shows(1))
        page.until(is_in("error", "upstream_status", "/none"))
        small.upstream.set("/nodes", status=503)
        page.until(is_in("stale", "upstream_status"))
        assert page.run("return c.peek('/nodes').value.n") == 1
        small.upstream.set("/nodes", status=404)
        page.until(is_in("gone", "upstream_status"))
        small.upstream.set("/nodes", padded(1))
        page.until(shows(1))


def test_a_killed_gateway_is_replaced_by_another(start, open_page):
    fleet = start(gateways=2, pollers=2)
    fleet.upstream.set("/nodes", padded(1))
    page = open_page()
    connect(page, [fleet.balancer.url])
    watch(page, "/nodes")
    page.until(shows(1))
    serving = next(g for g in fleet.gateways if g.clients() > 0)
    serving.kill()
    killed_at = time.monotonic()
    fleet.upstream.set("/nodes", padded(2))
    page.until(shows(2))
    print(f"gateway killed: current again after {milliseconds_since(killed_at)} ms")
    assert states_told(page) == ["fresh"]
    assert numbers_told(page) == [1, 2]


def test_a_gateway_that_is_stopped_hands_its_pages_over(start, open_page):
    fleet = start(gateways=2, pollers=1)
    fleet.upstream.set("/nodes", padded(1))
    for n, transport in enumerate(["websocket", "sse", "longpoll"]):
        page = open_page()
        connect(page, fleet.urls, transports=[transport])
        watch(page, "/nodes")
        page.until(shows(n + 1))
        serving = page.run("return c.status.url")
        gateway = fleet.gateways[fleet.urls.index(serving)]
        gateway.terminate()
        gateway.wait()
        fleet.upstream.set("/nodes", padded(n + 2))
        page.until(shows(n + 2))
        assert page.run("return c.status.url") != serving
        assert states_told(page) == ["fresh"]
        gateway.start().await_ready()


def stay_for_a_while(gateway):
    """A WebSocket that does not go when told to: a gateway drains 2 s longer for it."""
    client = socket.create_connection(("127.0.0.1", gateway.port))
    head = "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    head += "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    client.sendall(f"{head}Sec-WebSocket-Key: {'A' * 22}==\r\n\r\n".encode())
    assert client.recv(4096).startswith(b"HTTP/1.1 101")
    return client


@pytest.mark.parametrize("transport", ["sse", "longpoll"])
def test_a_gateway_that_drains_is_passed_by(start, open_page, transport):
    fleet = start(gateways=2, pollers=1)
    fleet.upstream.set("/nodes", padded(1))
    page = open_page()
    with stay_for_a_while(fleet.gateways[0]):
        fleet.gateways[0].terminate()
        until_now(lambda: fleet.gateways[0].get("/").status == 503, "it drains")
        connect(page, fleet.urls, transports=[transport])
        assert page.run("return c.get('/nodes')") == padded(1)
        for _ in range(5):
            page.run("c.close()")
            connect(page, fleet.urls, transports=[transport])
            watch(page, "/nodes")
            page.until(shows(1))
    assert set(states_told(page)) == {"fresh"}


def test_without_any_gateway_what_is_held_is_stale_until_one_is_back(start, open_page):
    fleet = start(gateways=1, pollers=1)
    fleet.upstream.set("/nodes", padded(1))
    page = open_page()
    connect(page, fleet.urls, timing={"grace": 300, "retryMost": 500})
    watch(page, "/nodes")
    page.until(shows(1))
    fleet.gateways[0].kill()
    page.until(is_in("stale", "disconnected"))
    assert page.run("return c.status.state") == "disconnected"
    watch(page, "/new")
    page.until(is_in("error", "disconnected", "/new"))
    fleet.upstream.set("/new", padded(7))
    fleet.gateways[0].start().await_ready()
    page.until(shows(1))
    page.until(shows(7, "/new"))
    assert page.run("return c.status.state") == "connected"
    told = page.run(
        "return told.filter((t) => t.address === '/nodes' && t.state).map((t) => t.state)"
    )
    assert told == ["fresh", "stale", "fresh"]


def test_a_silent_connection_is_noticed_and_replaced(start, open_page):
    fleet = start(gateways=1, pollers=1)
    fleet.upstream.set("/nodes", padded(1))
    page = open_page()
    timing = {"silence": 500, "answer": 500, "streamSilence": 500, "retry": 100}
    connect(page, [fleet.balancer.url], timing=timing)
    watch(page, "/nodes")
    page.until(shows(1))
    checked_at = page.run("return s['/nodes'].checkedAt")
    page.until(f"s['/nodes'].checkedAt > {checked_at}")
    fleet.balancer.silent = True
    page.until("c.status.state !== 'connected'")
    fleet.balancer.silent = False
    fleet.upstream.set("/nodes", padded(2))
    page.until(shows(2))


def is_websocket(head):
    return head.startswith(b"GET /ws")


def is_stream(head):
    return b"text/event-stream" in head.lower()


def test_where_websockets_are_blocked_there_are_event_streams(start, open_page):
    fleet = start(gateways=2, pollers=1)
    fleet.balancer.blocked = is_websocket
    fleet.upstream.set("/nodes", padded(1))
    page = open_page()
    at = time.monotonic()
    connect(page, [fleet.balancer.url])
    watch(page, "/nodes")
    page.until(shows(1))
    took = milliseconds_since(at)
    assert page.run("return c.status.transport") == "sse"
    fleet.upstream.set("/nodes", padded(2))
    page.until(shows(2))
    fleet.upstream.set("/more", padded(3))
    watch(page, "/more")
    page.until(shows(3, "/more"))
    fleet.balancer.cut()
    fleet.upstream.set("/nodes", padded(4))
    page.until(shows(4))
    assert numbers_told(page) == [1, 2, 3, 4]
    print(f"WebSocket blocked: sse after {took} ms")


def test_where_streams_are_blocked_too_there_are_long_polls(start, open_page):
    fleet = start(gateways=2, pollers=1)
    fleet.balancer.blocked = lambda head: is_websocket(head) or is_stream(head)
    for n in range(8):
        fleet.upstream.set(f"/{n}", padded(n))
    page = open_page()
    at = time.monotonic()
    connect(page, [fleet.balancer.url])
    watch(page, "/0")
    page.until(shows(0, "/0"))
    took = milliseconds_since(at)
    assert page.run("return c.status.transport") == "longpoll"
    fleet.upstream.set("/0", padded(100))
    page.until(shows(100, "/0"))
    for n in range(1, 8):
        watch(page, f"/{n}")
    for n in range(1, 8):
        page.until(shows(n, f"/{n}"))
    fleet.upstream.set("/7", padded(107))
    page.until(shows(107, "/7"))
    print(f"both blocked: longpoll after {took} ms")


def test_a_better_transport_is_taken_when_it_is_there_again(start, open_page):
    fleet = start(gateways=1, pollers=1)
    fleet.balancer.blocked = is_websocket
    fleet.upstream.set("/nodes", padded(1))
    page = open_page()
    connect(page, [fleet.balancer.url], timing={"upgrade": 300, "retry": 100})
    watch(page, "/nodes")
    page.until(shows(1))
    page.until("c.status.transport === 'sse' && c.status.state === 'connected'")
    fleet.balancer.blocked = lambda head: False
    page.until("c.status.transport === 'websocket' && c.status.state === 'connected'")
    fleet.upstream.set("/nodes", padded(2))
    page.until(shows(2))


def test_a_frame_that_does_not_fit_makes_it_subscribe_again(small, open_page):
    small.upstream.set("/nodes", padded(1))
    page = open_page()
    page.run(
        """globalThis.sent = [];
        const send = WebSocket.prototype.send;
        WebSocket.prototype.send = function (text) {
            sent.push(JSON.parse(text));
            send.call(this, text);
        };
        /* A patch of another base, as a page would get it that has missed one. */
        const parse = JSON.parse;
        globalThis.breakNext = () => {
            JSON.parse = (text) => {
                const frame = parse(text);
                if (frame.patch) {
                    frame.base = "1";
                    JSON.parse = parse;
                }
                return frame;
            };
        };"""
    )
    connect(page, small.urls)
    watch(page, "/nodes")
    page.until(shows(1))
    page.run("breakNext();")
    small.upstream.set("/nodes", padded(2))
    page.until(shows(2))
    subscribes = page.run("return sent.filter((m) => m.action === 'subscribe')")
    assert len(subscribes) == 2
    assert "since" not in subscribes[1]
    small.upstream.set("/nodes", padded(3))
    page.until(shows(3))


def test_a_token_is_shown_over_every_transport(start, open_page, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("right\n")
    tokens.chmod(0o600)
    fleet = start(gateways=1, pollers=1, gateway_options=["--token-file", str(tokens)])
    fleet.upstream.set("/nodes", padded(1))
    for transport in ["websocket", "sse", "longpoll"]:
        page = open_page()
        connect(page, fleet.urls, transports=[transport], token="right")
        watch(page, "/nodes")
        page.until(shows(1))
        assert page.run("return (await c.get('/nodes')).n") == 1
        connect(page, fleet.urls, transports=[transport], token="wrong")
        watch(page, "/nodes")
        page.until(is_in("error", "unauthorized"))
