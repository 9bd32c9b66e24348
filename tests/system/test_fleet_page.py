"""GET /fleet: the fleet as JSON, for people to look at."""

import concurrent.futures
import contextlib
import datetime
import re
import socket
import time

from cli import Watching, uricast
from harness import until_now


def watch(fleet, *addresses):
    for address in addresses:
        fleet.upstream.set(address, {"of": address})
        fleet.gateways[0].resource(address)


def addresses(picture):
    return sorted(resource["address"] for resource in picture["resources"])


def seconds_between(*instants):
    one, other = map(datetime.datetime.fromisoformat, instants)
    return abs((other - one).total_seconds())


def test_the_fleet_and_what_it_watches_are_told(start_fleet):
    fleet = start_fleet(gateways=2, pollers=2, interval=0.5)
    watch(fleet, "/a", "/b")
    fleet.upstream.set("/bad", {}, status=500)
    fleet.gateways[0].resource("/bad")

    def told():
        picture = fleet.gateways[1].get("/fleet").json
        bad = [r for r in picture["resources"] if r["address"] == "/bad"]
        return picture if bad and "error" in bad[0] else None

    picture = until_now(told, "/bad has an error")
    assert len(picture["gateways"]) == len(picture["pollers"]) == 2
    sessions = {poller["session"]: poller for poller in picture["pollers"]}
    pids = {poller["pid"] for poller in picture["pollers"]}
    assert pids == {poller.pid for poller in fleet.pollers}
    for session in picture["gateways"] + picture["pollers"]:
        assert session["life"] == "alive"
        assert 0 < session["lease_left_ms"] <= 3000
        assert session["version"] == "0.1.0"
    resources = {resource["address"]: resource for resource in picture["resources"]}
    assert set(resources) == {"/a", "/b", "/bad"}
    for address in ("/a", "/b"):
        assert resources[address]["state"] == "fresh"
        assert resources[address]["owner"] in sessions
        assert resources[address]["interval"] == 0.5
        assert seconds_between(resources[address]["checked_at"], picture["now"]) < 30
    assert resources["/bad"]["error"]["status"] == 500
    assert picture["providers"][0]["name"] == "default"
    assert picture["summary"]["resources"] == 3
    assert picture["more"] is False


def test_a_provider_that_is_down_as_a_whole_is_told(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1, interval=0.2)
    gateway = fleet.gateways[0]

    def down():
        (provider,) = gateway.get("/fleet").json["providers"]
        return provider["down"]

    with contextlib.ExitStack() as stack:
        for address in ("/a", "/b", "/c"):
            fleet.upstream.set(address, {"of": address})
            url = f"http://127.0.0.1:{gateway.port}"
            watching = stack.enter_context(Watching(address, "--gateway", url))
            watching.line(0)
        assert down() == 0
        fleet.upstream.refuse()
        until_now(lambda: down() == 1, "the poller finds it down")
        told = uricast("status", "--redis", fleet.redis.url).stdout
        assert re.search(r"^default +3 +3 +1 poller ", told, re.MULTILINE), told
        fleet.upstream.listen()
        until_now(lambda: down() == 0, "it is back")


def test_a_fleet_picture_is_bounded_and_says_that_there_is_more(small_fleet):
    watch(small_fleet, "/a", "/b", "/c")
    gateway = small_fleet.gateways[0]
    picture = gateway.get("/fleet?limit=2").json
    assert len(picture["resources"]) == 2
    assert picture["summary"]["resources"] == 3
    assert picture["more"] is True


def test_a_fleet_picture_may_be_of_addresses_that_begin_so(small_fleet):
    watch(small_fleet, "/a/1", "/a/2", "/b*", "/bc")
    gateway = small_fleet.gateways[0]
    assert addresses(gateway.get("/fleet?prefix=%2Fa").json) == ["/a/1", "/a/2"]
    assert addresses(gateway.get("/fleet?prefix=/b*").json) == ["/b*"]
    assert addresses(gateway.get("/fleet?prefix=nothing").json) == []


def test_bad_questions_about_the_fleet_are_refused(shared_fleet):
    gateway = shared_fleet.gateways[0]
    for query in (
        "limit=x",
        "limit=1001",
        "limit=-1",
        "prefix=%zz",
        "prefix=%00",
        "a=b",
    ):
        response = gateway.get(f"/fleet?{query}")
        assert response.status == 400, query
        assert response.json["error"]["code"] == "bad_request"


def test_however_many_ask_redis_is_read_once_a_second(small_fleet):
    watch(small_fleet, "/a")
    gateway = small_fleet.gateways[0]
    begun = time.monotonic()
    pictures = []
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        while time.monotonic() - begun < 2.5:
            pictures += pool.map(lambda _: gateway.get("/fleet").json["now"], range(20))
    took = time.monotonic() - begun
    assert 2 <= len(set(pictures)) <= took + 2
    assert len(pictures) > 10 * len(set(pictures))


def test_different_questions_about_the_fleet_take_turns(small_fleet):
    gateway = small_fleet.gateways[0]
    pictures = [gateway.get(f"/fleet?prefix=/{name}").json["now"] for name in "abc"]
    for one, next_one in zip(pictures, pictures[1:]):
        assert seconds_between(one, next_one) > 0.9


def test_who_asks_for_the_fleet_and_leaves_costs_no_more(small_fleet):
    """Many different questions whose askers have gone do not hold up the next one."""
    gateway = small_fleet.gateways[0]
    gone = []
    for number in range(50):
        client = socket.create_connection(("127.0.0.1", gateway.port))
        head = f"GET /fleet?prefix=/{number} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        client.sendall(head.encode())
        gone.append(client)
    clients = 'uricast_gateway_clients{wire="http"}'
    until_now(lambda: gateway.metric(clients) >= 40, "all have come")
    for client in gone:
        client.close()
    until_now(lambda: gateway.metric(clients) == 0, "all have gone")
    begun = time.monotonic()
    assert gateway.get("/fleet").status == 200
    assert time.monotonic() - begun < 10


def test_without_redis_the_fleet_is_refused(start_fleet):
    fleet = start_fleet(gateways=1, pollers=0)
    fleet.redis.kill()
    gateway = fleet.gateways[0]

    def refused():
        response = gateway.get("/fleet")
        return response if response.status == 503 else None

    response = until_now(refused, "the fleet is refused")
    assert response.json["error"]["code"] == "redis_unavailable"


def test_the_fleet_is_told_to_who_shows_a_token_only(start_fleet, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("a-token-of-the-panel\n")
    options = ["--token-file", tokens]
    gateway = start_fleet(gateways=1, pollers=0, gateway_options=options).gateways[0]
    assert gateway.get("/fleet").status == 401
    right = {"Authorization": "Bearer a-token-of-the-panel"}
    assert gateway.get("/fleet", right).status == 200
    evil = {**right, "Origin": "https://evil.example"}
    assert gateway.get("/fleet", evil).status == 403
