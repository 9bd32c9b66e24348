"""An owner whose file names another upstream than the former owner's did."""

import json

from harness import run, until
from upstream import Answer

URI = "api:/nodes"


def config(upstream):
    service = {"url": upstream.url, "raw": True, "interval": "20s"}
    return {"services": {"api": service}}


def same_tag(name):
    """One that says 304 to the tag of any other's content."""

    def answer(request):
        if request.headers.get("if-none-match") == '"1"':
            return Answer("", status=304)
        return Answer({"from": name}, headers={"ETag": '"1"'})

    return answer


def start(start_fleet):
    fleet = start_fleet(
        gateways=1, pollers=1, config=lambda fleet: config(fleet.upstream)
    )
    fleet.other = fleet.add_upstream()
    fleet.upstream.set_answer("/nodes", same_tag("former"))
    fleet.other.set_answer("/nodes", same_tag("new"))
    return fleet


def take_over(fleet):
    """Whoever owns it dies, and the next reads the other file."""
    for poller in fleet.pollers:
        poller.kill()
    path = fleet.directory / "moved.json"
    path.write_text(json.dumps(config(fleet.other)))
    fleet.poller_options = ["--config", path]
    fleet.new_poller().await_ready()


def stored(fleet):
    resource = fleet.redis.resource(URI)
    return resource["url"], resource["etag"]


def test_validators_of_another_url_are_not_sent_and_its_content_counts_for_nothing(
    start_fleet,
):
    fleet = start(start_fleet)

    async def test():
        async with fleet.client() as client:
            await client.subscribe(URI)
            await client.content(URI, lambda c: c["from"] == "former")
            assert stored(fleet) == (f"{fleet.upstream.url}/nodes", '"1"')
            take_over(fleet)
            # At once: no interval is waited for.
            await client.content(URI, lambda c: c["from"] == "new", deadline=10)
            assert stored(fleet) == (f"{fleet.other.url}/nodes", '"1"')
            await client.send({"action": "refresh", "uri": URI})
            await until(lambda: fleet.other.count("/nodes") == 2, "the next poll")
            assert fleet.other.last("/nodes").headers["if-none-match"] == '"1"'

    run(test())
    first = fleet.other.requests[0].headers
    assert "if-none-match" not in first and "if-modified-since" not in first


def test_the_same_content_at_another_url_is_noted_as_that_ones(start_fleet):
    fleet = start(start_fleet)
    fleet.other.set_answer("/nodes", same_tag("former"))

    async def test():
        async with fleet.client() as client:
            await client.subscribe(URI)
            await client.content(URI)
            take_over(fleet)
            moved = (f"{fleet.other.url}/nodes", '"1"')
            await until(lambda: stored(fleet) == moved, "the other URL")
            assert [f for f in client.frames if "content" in f] == client.frames[:1]

    run(test())


def test_a_failure_at_another_url_does_not_make_the_validators_its_own(start_fleet):
    fleet = start(start_fleet)
    fleet.other.set("/nodes", {}, status=503)

    async def test():
        async with fleet.client() as client:
            await client.subscribe(URI)
            await client.content(URI)
            take_over(fleet)
            await client.state(URI, "stale")
            assert stored(fleet) == (f"{fleet.other.url}/nodes", "")
            fleet.other.set_answer("/nodes", same_tag("new"))
            take_over(fleet)
            await client.content(URI, lambda c: c["from"] == "new")

    run(test())
