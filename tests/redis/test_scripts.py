"""The Lua scripts against a real Redis: what each of them does, and what stays true."""

import json
import os
import random
import re
import time

import pytest
import redis as redis_client

from shard import INDEX_TTL, FOR_EVER, PREFIX, RETENTION, TTL, TOP
from shard import Server, Shard, parse_change, script_texts

HOUR_US = 3600 * 1000000


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def shard(server):
    client = server.client()
    client.flushall()
    yield Shard(client)
    client.close()


@pytest.fixture
def heard(shard):
    with shard.listening() as heard:
        yield heard


def changes(messages, address):
    return [parse_change(text) for name, text in messages if name == "change:" + address]


# ---- sessions ----


def test_enter_begins_a_lease_and_describes_the_session(shard):
    before = shard.now_ms()
    answer = shard.run("enter", "poller", "p", 3000, "host", "h1", "pid", 17)
    assert answer[0] == "entered" and before <= int(answer[1]) <= shard.now_ms()
    assert shard.get("pollers") == {"p": int(answer[1]) + 3000}
    assert shard.get("poller:p") == {"started": answer[1], "host": "h1", "pid": "17"}


def test_entering_twice_does_no_harm(shard):
    shard.own("p", "/a")
    shard.enter("poller", "p")
    assert shard.get("pollers").keys() == {"p"} and shard.owned("p").keys() == {"/a"}


def test_a_buried_session_cannot_enter_again(shard):
    shard.own("p", "/a")
    shard.bury("poller", "p")
    assert shard.run("enter", "poller", "p", 3000) == ["lost"]
    assert shard.get("pollers") == {"p": 0}


def test_renew_extends_the_lease_and_stores_facts(shard):
    shard.enter("poller", "p")
    shard.lapse("poller", "p")
    answer = shard.renew("poller", "p", facts={"resources": 7, "polls": 8}, lease_ms=5000)
    assert answer[0] == "renewed"
    assert shard.get("pollers") == {"p": int(answer[1]) + 5000}
    assert shard.get("poller:p").items() >= {"resources": "7", "polls": "8"}.items()


def test_renew_tells_of_all_pollers_and_of_gateways_that_ran_out(shard):
    shard.enter("poller", "p1", "p2", "p3")
    shard.enter("gateway", "g1", "g2", "g3")
    shard.bury("poller", "p2")
    shard.lapse("poller", "p3")
    shard.bury("gateway", "g2")
    shard.lapse("gateway", "g3")
    _, _, pollers, gateways, _, _ = shard.renew("poller", "p1")
    pollers = dict(zip(pollers[::2], map(int, pollers[1::2])))
    assert pollers == {name: int(end) for name, end in shard.get("pollers").items()}
    assert pollers["p2"] == 0 and 0 < pollers["p3"] < shard.now_ms() < pollers["p1"]
    assert gateways == ["g2", "g3"]


def test_renew_tells_how_much_a_session_holds_and_how_many_sessions_there_are(shard):
    shard.own("p", "/a", "/b")
    shard.enter("poller", "q")
    shard.interest("g", "/c")
    assert shard.renew("poller", "p")[4:] == [2, 3]
    assert shard.renew("poller", "q")[4:] == [0, 3]
    assert shard.renew("gateway", "g")[4:] == [3, 3]


def test_renew_notes_what_was_checked_where_the_session_is_known_to_own_it(shard):
    shard.own("p", "/mine", "/unlocked")
    shard.redis.delete(PREFIX + "lock:/unlocked")
    at = shard.now_ms()
    shard.renew("poller", "p", {"/mine": at, "/unlocked": at})
    assert shard.owned("p") == {"/mine": str(at), "/unlocked": str(at)}


def test_renew_notes_what_the_lock_names_the_session_for_where_its_index_was_lost(shard):
    shard.own("p", "/mine")
    shard.redis.delete(PREFIX + "owned:p")
    at = shard.now_ms()
    shard.renew("poller", "p", {"/mine": at})
    assert shard.owned("p") == {"/mine": str(at)}


def test_renew_gives_up_what_was_checked_and_is_not_owned(shard, heard):
    shard.own("p", "/mine", "/unlocked")
    shard.own("q", "/theirs", gateway="g")
    shard.redis.delete(PREFIX + "lock:/unlocked")
    at = shard.now_ms()
    heard()
    noted = ["/mine", "/unlocked", "/theirs", "/unwanted"]
    shard.renew("poller", "p", dict.fromkeys(noted, at))
    assert shard.owned("p") == {"/mine": str(at)}
    assert shard.owned("q") == {"/theirs": "0"}
    assert shard.lock("/theirs") == "q"
    assert shard.unclaimed() == {"/unlocked"}
    assert heard() == [("wake", "claim /unlocked")]


def test_renew_notes_thousands_of_addresses_at_once(shard):
    addresses = [f"/{i}" for i in range(5003)]
    shard.enter("gateway", "g")
    shard.enter("poller", "p")
    for i in range(0, len(addresses), 500):
        shard.interest("g", *addresses[i : i + 500])
        shard.claim("p", *addresses[i : i + 500])
    shard.renew("poller", "p", dict.fromkeys(addresses, 123), {"resources": 5003})
    assert shard.owned("p") == dict.fromkeys(addresses, "123")


@pytest.mark.parametrize("kind", ["poller", "gateway"])
def test_renew_of_a_buried_or_unknown_session_is_lost(shard, kind):
    shard.enter(kind, "s")
    shard.bury(kind, "s")
    assert shard.renew(kind, "s") == ["lost"]
    assert shard.renew(kind, "never-entered") == ["lost"]
    assert shard.get(kind + "s") == {"s": 0}


def test_a_session_past_its_lease_is_alive_until_it_is_buried(shard):
    shard.own("p", "/a")
    shard.lapse("poller", "p")
    assert shard.committed("p", "/a", content="1")
    assert shard.renew("poller", "p")[0] == "renewed"


def test_leave_buries_the_session_and_tells_the_pollers(shard, heard):
    shard.own("p", "/a")
    heard()
    assert shard.run("leave", "poller", "p") == "left"
    assert shard.get("pollers") == {"p": 0} and shard.lock("/a") == "p"
    assert heard() == [("wake", "left p")]


def test_leaving_twice_or_unknown_does_no_harm_and_gateways_leave_quietly(shard, heard):
    shard.enter("gateway", "g")
    for session in ("g", "g", "unknown"):
        assert shard.run("leave", "gateway", session) == "left"
    assert shard.get("gateways") == {"g": 0}
    assert heard() == []


@pytest.mark.parametrize("buried", [True, False])
def test_every_script_that_acts_for_a_session_answers_lost_and_changes_nothing(
    shard, heard, buried
):
    shard.own("p", "/a")
    revision, _ = shard.committed("p", "/a", content="1")
    for kind, session in (("poller", "p"), ("gateway", "g")):
        if buried:
            shard.bury(kind, session)
        else:
            shard.redis.zrem(f"{PREFIX}{kind}s", session)
    heard()
    before = shard.values()
    assert shard.claim("p", "/a", "/b") == ["lost"]
    assert shard.commit("p", "/a", revision, "2") == ["lost"]
    assert shard.run("release", "p", "/a", 1) == "lost"
    assert shard.interest("g", "/a", "/b") == ["lost"]
    assert shard.run("uninterest", "g", "/a") == "lost"
    assert shard.run("touch", "poller", "p", "/a") == "lost"
    assert shard.run("touch", "gateway", "g", "/a") == "lost"
    assert shard.renew("poller", "p", {"/a": 99}, {"resources": 1}) == ["lost"]
    assert shard.renew("gateway", "g", facts={"clients": 1}) == ["lost"]
    assert shard.run("budget", "p", "api", 0, 1, 20) == ["lost"]
    assert shard.values() == before
    assert heard() == []


# ---- budget ----

WHOLE = 2**20


def next_second(shard):
    """Not asked for by anybody before, and not over within a test."""
    return shard.now_ms() // 1000 + 1


def parts(*answers):
    assert all(answer[0] == "part" for answer in answers)
    return [(int(second), int(start), int(end)) for _, second, start, end in answers]


def test_budget_parts_of_a_second_never_overlap_however_many_come(shard):
    pollers = [f"p{number}" for number in range(6)]
    shard.enter("poller", *pollers)
    second = next_second(shard)
    given = parts(*(shard.run("budget", p, "api", second, 10, 20) for p in pollers))
    latest = max(of for of, _, _ in given)
    given = [(start, end) for of, start, end in given if of == latest]
    assert given[0][0] == 0 and given[-1][1] <= WHOLE
    for (_, end), (start, _) in zip(given, given[1:]):
        assert end <= start
    assert all(end > start for start, end in given)


def test_budget_asked_for_again_is_the_same_part(shard):
    shard.enter("poller", "p")
    second = next_second(shard)
    first = shard.run("budget", "p", "api", second, 5, 20)
    assert shard.run("budget", "p", "api", second, 50, 20) == first


def test_budget_is_parted_by_demand_among_those_who_asked_last(shard):
    shard.enter("poller", "p", "q")
    second = next_second(shard)
    key = f"{PREFIX}provider:api"
    shard.redis.hset(key, mapping={
        "part:q": f"{second - 1} 30 {second - 1} 0 500",
        "part:dead": f"{second - 3} 30 {second - 3} 0 500",
        "parted": second - 1, "given": 500, "interval_ms": 1000,
    })  # fmt: skip
    (_, start, end), = parts(shard.run("budget", "p", "api", second, 10, 20))
    (_, q_start, q_end), = parts(shard.run("budget", "q", "api", second, 30, 20))
    assert abs((q_end - q_start) - 3 * (end - start)) <= 3
    # Some is left for who comes new, more where there is little to do.
    assert 0.94 < (end - start + q_end - q_start) / WHOLE <= 0.95
    assert not shard.redis.hexists(key, "part:dead")
    assert shard.redis.hget(key, "interval_ms") == "1000"
    assert 0 < shard.redis.ttl(key) <= TTL


def test_budget_of_a_clock_that_was_ahead_holds_nobody_up(shard):
    shard.enter("poller", "p")
    now = shard.now_ms() // 1000
    shard.redis.hset(f"{PREFIX}provider:api", mapping={
        "parted": now + 900, "given": WHOLE, "part:p": f"{now + 900} 1 {now + 900} 0 1",
    })  # fmt: skip
    (second, start, end), = parts(shard.run("budget", "p", "api", now, 10, 20))
    assert now <= second <= now + 2 and end > start


# ---- claim ----


def test_claim_takes_a_free_lock(shard):
    shard.enter("gateway", "g")
    shard.enter("poller", "p")
    shard.interest("g", "/a")
    answer = shard.claim("p", "/a")
    assert answer == ["ok", ["claimed", *[""] * 10, "0", "1", "1", "", "0", "", "", "", None]]
    assert shard.lock("/a") == "p" and shard.owned("p") == {"/a": "0"}
    assert shard.unclaimed() == set()


def test_claim_answers_what_is_stored_in_the_order_the_poller_reads_it(shard):
    shard.own("p", "/a")
    fields = {"digest": "d", "type": "text", "etag": '"e"', "last_modified": "then"}
    fields["not_before"] = 7
    error = json.dumps({"code": "x"})
    first = shard.committed("p", "/a", content="body", fields=fields, checked_at=5)
    second = shard.committed(
        "p", "/a", first[0], state="stale", error=error, checked_at=6, polls=12
    )
    shard.interest("g", "/a", held=second[0] + 7)
    stored = [str(second[0]), str(first[1]), str(second[0] + 7), "d", "text", "stale"]
    stored += ['"e"', "then", "6", error, "0", "1", "1", "", "12", "5000", "http://u//a", "7"]
    assert shard.claim("p", "/a") == ["ok", ["claimed", *stored, None]]
    assert shard.claim("p", "/a", content=True) == ["ok", ["claimed", *stored, "body"]]


def test_claiming_what_one_owns_keeps_it_so_that_a_lost_reply_does_no_harm(shard):
    shard.own("p", "/a")
    shard.renew("poller", "p", {"/a": 77})
    for _ in range(2):
        assert shard.claim("p", "/a")[1][0] == "claimed"
    assert shard.lock("/a") == "p" and shard.owned("p") == {"/a": "77"}


def test_an_owner_keeps_what_nobody_wants_and_is_told_so(shard):
    shard.own("p", "/a")
    shard.run("uninterest", "g", "/a")
    entry = shard.claim("p", "/a")[1]
    assert entry[0] == "claimed" and entry[13] == "0" and shard.lock("/a") == "p"


def test_an_owner_whose_index_entry_is_missing_adopts_the_address(shard):
    shard.own("p", "/a")
    shard.committed("p", "/a", content="1", checked_at=55)
    shard.redis.delete(PREFIX + "owned:p")
    shard.claim("p", "/a")
    assert shard.owned("p") == {"/a": "55"}


def test_claim_leaves_what_a_living_session_holds(shard):
    shard.own("p", "/a")
    shard.enter("poller", "q")
    assert shard.claim("q", "/a", may_bury=True) == ["ok", ["held", "p"]]
    assert shard.lock("/a") == "p" and "/a" not in shard.owned("q")


def test_a_stray_entry_of_unclaimed_goes_when_a_living_session_holds_it(shard):
    shard.own("p", "/a")
    shard.enter("poller", "q")
    shard.redis.sadd(PREFIX + "unclaimed", "/a")
    shard.claim("q", "/a")
    assert shard.unclaimed() == set()


def test_claim_takes_from_an_unknown_holder(shard):
    shard.own("p", "/a")
    shard.redis.zrem(PREFIX + "pollers", "p")
    shard.enter("poller", "q")
    entry = shard.claim("q", "/a")[1]
    assert entry[0] == "claimed" and entry[14] == "p"
    assert shard.lock("/a") == "q" and shard.owned("p") == {}


def test_claim_takes_from_a_buried_holder(shard):
    shard.own("p", "/a", "/b")
    shard.bury("poller", "p")
    shard.enter("poller", "q")
    entry = shard.claim("q", "/a")[1]
    assert entry[0] == "claimed" and entry[14] == "p"
    assert shard.lock("/a") == "q" and shard.owned("p").keys() == {"/b"}


def test_who_may_not_bury_leaves_a_holder_past_its_lease_alone(shard):
    shard.own("p", "/a")
    shard.lapse("poller", "p")
    shard.enter("poller", "q")
    assert shard.claim("q", "/a") == ["ok", ["held", "p"]]
    assert shard.get("pollers")["p"] > 0 and shard.lock("/a") == "p"


def test_who_may_bury_buries_a_holder_past_its_lease_in_the_same_step(shard):
    shard.own("p", "/a", "/b")
    shard.lapse("poller", "p")
    shard.enter("poller", "q")
    assert shard.claim("q", "/a", may_bury=True)[1][0] == "claimed"
    assert shard.get("pollers")["p"] == 0
    assert shard.commit("p", "/b", content="1") == ["lost"]


def test_a_buried_session_leaves_the_set_when_nothing_of_it_is_left(shard):
    shard.own("p", "/a", "/b")
    shard.bury("poller", "p")
    shard.enter("poller", "q")
    shard.claim("q", "/a")
    assert "p" in shard.get("pollers") and shard.get("poller:p")
    shard.claim("q", "/b")
    assert "p" not in shard.get("pollers") and not shard.get("poller:p")


def test_a_living_session_stays_in_the_set_though_nothing_is_left_of_it(shard):
    shard.own("p", "/a")
    shard.run("uninterest", "g", "/a")
    shard.run("release", "p", "/a", 1)
    assert shard.get("pollers").keys() == {"p"} and shard.get("poller:p")
    assert shard.get("gateways").keys() == {"g"} and shard.get("gateway:g")


def test_claiming_what_nobody_wants_cleans_up_and_sets_the_retention(shard):
    shard.own("p", "/a")
    shard.committed("p", "/a", content="1")
    shard.bury("poller", "p")
    shard.interest("g", "/a")  # the owner is buried: back to unclaimed
    assert shard.unclaimed() == {"/a"}
    shard.run("uninterest", "g", "/a")
    shard.enter("poller", "q")
    assert shard.claim("q", "/a") == ["ok", ["unwanted"]]
    assert shard.lock("/a") is None and shard.owned("p") == shard.owned("q") == {}
    assert shard.unclaimed() == set() and shard.get("pollers").keys() == {"q"}
    assert 0 < shard.ttl("resource:/a") <= RETENTION


def test_claim_carries_over_what_the_former_owner_checked_last(shard):
    shard.own("p", "/a", "/b")
    for address in ("/a", "/b"):
        shard.committed("p", address, content="1", checked_at=1000)
    shard.renew("poller", "p", {"/a": 2000, "/b": 500})
    shard.bury("poller", "p")
    shard.enter("poller", "q")
    entries = shard.claim("q", "/a", "/b")[1:]
    assert [entry[9] for entry in entries] == ["2000", "1000"]
    assert shard.owned("q") == {"/a": "2000", "/b": "1000"}


def test_claim_answers_per_address_in_order(shard):
    shard.own("p", "/held")
    shard.enter("poller", "q")
    shard.interest("g", "/free")
    answer = shard.claim("q", "/held", "/unwanted", "/free")
    assert [entry[0] for entry in answer[1:]] == ["held", "unwanted", "claimed"]


@pytest.mark.parametrize(
    "shares, wished, default_wanted",
    [
        ([0], "0", "1"),
        ([2000], "2000", "0"),
        ([2000, 500, 9000], "500", "0"),
        ([2000, 0], "2000", "1"),
    ],
)
def test_claim_tells_the_fastest_interval_asked_for(
    shard, shares, wished, default_wanted
):
    shard.enter("poller", "p")
    for i, interval_ms in enumerate(shares):
        shard.enter("gateway", f"g{i}")
        shard.interest(f"g{i}", "/a", interval_ms=interval_ms)
    entry = shard.claim("p", "/a")[1]
    assert entry[11:13] == [wished, default_wanted]


def test_claim_keeps_what_it_takes_from_running_out(shard):
    shard.own("p", "/a")
    shard.committed("p", "/a", content="1")
    shard.bury("poller", "p")
    shard.enter("poller", "q")
    shard.redis.expire(PREFIX + "resource:/a", 5)
    shard.claim("q", "/a")
    assert shard.ttl("resource:/a") > TTL - 60 and shard.ttl("lock:/a") > TTL - 60
    assert shard.ttl("owned:q") > INDEX_TTL - 60


# ---- commit ----


def test_a_first_commit_stores_and_publishes_the_whole(shard, heard):
    shard.own("p", "/a")
    heard()
    revision, version = shard.committed(
        "p", "/a", content='{"n":"é"}', checked_at=123, interval_ms=2500, polls=9,
        answered_at=124, fields={"digest": "d", "type": "json", "status": 200},
    )  # fmt: skip
    assert revision == version
    stored = shard.resource("/a")
    assert shard.now_ms() - int(stored.pop("changed_at")) < 60000
    assert stored == {
        "revision": str(revision), "version": str(version), "state": "fresh", "error": "",
        "content": '{"n":"é"}', "checked_at": "123", "interval_ms": "2500", "polls": "9",
        "digest": "d", "type": "json", "status": "200", "url": "http://u//a",
    }  # fmt: skip
    assert changes(heard(), "/a") == [
        {
            "revision": revision, "previous_revision": 0, "version": version,
            "previous_version": 0, "state": "fresh", "type": "json", "checked_at": 123,
            "interval_ms": 2500, "content": '{"n":"é"}', "patch": "", "error": "",
            "answered_at": 124,
        }  # fmt: skip
    ]
    assert shard.owned("p") == {"/a": "123"}


def test_the_next_commit_names_its_predecessor_and_carries_the_patch(shard, heard):
    shard.own("p", "/a")
    first = shard.committed("p", "/a", content="[1]")
    second = shard.committed(
        "p", "/a", first[0], "[2]", patch='[{"op":"x"}]', error='{"code":"y"}'
    )
    assert second > first
    change = changes(heard(), "/a")[1]
    assert (change["previous_revision"], change["previous_version"]) == first
    assert (change["revision"], change["version"]) == second
    assert change["content"] == "[2]"
    assert (change["patch"], change["error"]) == ('[{"op":"x"}]', '{"code":"y"}')


@pytest.mark.parametrize("length, carried", [(65536, True), (65537, False)])
def test_content_above_64_kib_is_stored_but_not_published(shard, heard, length, carried):
    shard.own("p", "/a")
    content = '"' + "x" * (length - 2) + '"'
    shard.committed("p", "/a", content=content, patch="[]")
    change = changes(heard(), "/a")[0]
    assert change["content"] == (content if carried else None) and change["patch"] == "[]"
    assert shard.resource("/a")["content"] == content


def test_a_commit_of_the_state_keeps_version_and_content(shard, heard):
    shard.own("p", "/a")
    first = shard.committed("p", "/a", content="1")
    changed_at = shard.resource("/a")["changed_at"]
    error = json.dumps({"code": "upstream_status", "status": 503})
    revision, version = shard.committed("p", "/a", first[0], state="stale", error=error)
    assert revision > first[0] and version == first[1]
    stored = shard.resource("/a")
    assert (stored["content"], stored["changed_at"]) == ("1", changed_at)
    assert (stored["state"], stored["error"]) == ("stale", error)
    change = changes(heard(), "/a")[1]
    assert (change["version"], change["previous_version"]) == (version, version)
    assert change["content"] is None and change["error"] == error
    assert change["state"] == "stale"


def test_an_error_before_any_content_has_version_0(shard, heard):
    shard.own("p", "/a")
    assert shard.committed("p", "/a", state="error", error="{}")[1] == 0
    change = changes(heard(), "/a")[0]
    assert change["version"] == 0 and change["content"] is None


def test_success_clears_the_time_of_the_first_failure(shard):
    shard.own("p", "/a")
    first = shard.committed(
        "p", "/a", state="error", error="{}", fields={"error_since": "7"}
    )
    assert shard.resource("/a")["error_since"] == "7"
    shard.committed("p", "/a", first[0], "1")
    assert "error_since" not in shard.resource("/a")


@pytest.mark.parametrize("offset", [-1, +1])
def test_a_commit_on_another_base_is_behind_and_changes_nothing(shard, heard, offset):
    shard.own("p", "/a")
    revision, version = shard.committed(
        "p", "/a", content="1", state="stale", error="{}", fields={"digest": "d"}
    )
    shard.interest("g", "/a", held=revision + 5)
    heard()
    before = shard.values()
    answer = shard.commit("p", "/a", revision + offset, "2")
    stored = [str(revision), str(version), str(revision + 5), "d", "stale", "{}"]
    assert answer == ["behind", *stored]
    assert shard.values() == before and heard() == []


def test_a_commit_where_redis_has_forgotten_the_resource_is_behind(shard):
    shard.own("p", "/a")
    assert shard.commit("p", "/a", 17, "1") == ["behind", "0", "0", "0", "", "", ""]


def test_a_commit_of_who_is_not_the_owner_changes_nothing(shard, heard):
    shard.own("p", "/a")
    revision, _ = shard.committed("p", "/a", content="1")
    shard.enter("poller", "q")
    heard()
    before = shard.values()
    assert shard.commit("q", "/a", revision, "2") == ["held", "p"]
    assert shard.commit("q", "/free", 0, "2") == ["held", ""]
    assert shard.values() == before and heard() == []


def test_versions_are_above_all_that_is_stored_even_if_the_clock_goes_back(shard):
    shard.own("p", "/a")
    ahead = shard.now_ms() * 1000 + HOUR_US  # as after a clock set back by an hour
    shard.redis.hset(
        PREFIX + "resource:/a", mapping={"revision": ahead, "version": ahead}
    )
    assert shard.committed("p", "/a", ahead, "1") == (ahead + 1, ahead + 1)
    assert shard.committed("p", "/a", ahead + 1) == (ahead + 2, ahead + 1)
    assert shard.committed("p", "/a", ahead + 2, "2") == (ahead + 3, ahead + 3)


def test_versions_are_above_what_the_owner_knows(shard):
    shard.own("p", "/a")
    ahead = shard.now_ms() * 1000 + HOUR_US
    assert shard.committed("p", "/a", content="1", known=ahead) == (ahead + 1, ahead + 1)


def test_versions_are_above_the_floor_which_is_used_up(shard):
    shard.own("p", "/a")
    ahead = shard.now_ms() * 1000 + HOUR_US
    shard.interest("g", "/a", held=ahead)
    assert shard.committed("p", "/a", content="1") == (ahead + 1, ahead + 1)
    assert "floor" not in shard.resource("/a")


def test_versions_follow_the_clock_otherwise(shard):
    shard.own("p", "/a")
    before = shard.now_ms() * 1000
    revision, _ = shard.committed("p", "/a", content="1")
    assert before <= revision <= shard.now_ms() * 1000 + 1000


def test_a_floor_the_owner_does_not_know_of_is_not_covered_without_new_content(shard):
    shard.own("p", "/a")
    revision, version = shard.committed("p", "/a", content="1", fields={"digest": "d"})
    shard.interest("g", "/a", held=revision + 500)
    answer = shard.commit("p", "/a", revision)
    assert answer[0] == "behind" and answer[3] == str(revision + 500)
    # It knows now, and its upstream may fail all the same.
    assert shard.committed("p", "/a", revision, known=revision + 500, state="stale")


def test_a_commit_keeps_what_it_uses_from_running_out(shard):
    shard.own("p", "/a")
    for name in ("resource:/a", "lock:/a", "owned:p"):
        shard.redis.expire(PREFIX + name, 5)
    shard.committed("p", "/a", content="1")
    assert shard.ttl("resource:/a") > TTL - 60 and shard.ttl("lock:/a") > TTL - 60
    assert shard.ttl("owned:p") > INDEX_TTL - 60


# ---- interest ----


def test_interest_registers_in_both_directions(shard):
    shard.enter("gateway", "g")
    shard.interest("g", "/a", subscribers=3, interval_ms=2500)
    shard.interest("g", "/b")
    assert shard.get("interest:/a") == {"g": "3 2500"}
    assert shard.get("interests:g") == {"/a", "/b"}


def test_interest_answers_what_is_stored_in_the_same_step(shard):
    shard.own("p", "/a")
    revision, version = shard.committed(
        "p", "/a", content="body", checked_at=5, interval_ms=700, state="stale",
        error="{}", fields={"type": "text"},
    )  # fmt: skip
    entry = [str(revision), str(version), "stale", "text", "5", "700", "{}", "p"]
    shard.enter("gateway", "h")
    assert shard.interest("h", "/a") == ["ok", [*entry, "body"]]
    assert shard.interest("h", "/a", held=revision) == ["ok", [*entry, None]]
    assert shard.interest("h", "/a", held=revision - 1) == ["ok", [*entry, "body"]]


def test_interest_in_what_redis_does_not_know_answers_zeros(shard):
    shard.enter("gateway", "g")
    entry = ["0", "0", "", "json", "0", "0", "", "", None]
    assert shard.interest("g", "/a", "/b") == ["ok", entry, entry]


def test_interest_answers_what_the_owner_has_noted_since(shard):
    shard.own("p", "/a")
    shard.committed("p", "/a", content="1", checked_at=1000)
    shard.renew("poller", "p", {"/a": 2000})
    assert shard.interest("g", "/a")[1][4] == "2000"
    shard.bury("poller", "p")  # it was checked then all the same
    assert shard.interest("g", "/a")[1][4] == "2000"


def test_interest_in_what_nobody_owns_wakes_the_pollers_once(shard, heard):
    shard.enter("gateway", "g", "h")
    for gateway in ("g", "g", "h"):
        shard.interest(gateway, "/a")
    assert shard.unclaimed() == {"/a"}
    assert heard() == [("wake", "claim /a")]


@pytest.mark.parametrize("end", ["buried", "unknown"])
def test_interest_in_what_a_dead_session_holds_is_unclaimed(shard, heard, end):
    shard.own("p", "/a")
    if end == "buried":
        shard.bury("poller", "p")
    else:
        shard.redis.zrem(PREFIX + "pollers", "p")
    heard()
    entry = shard.interest("g", "/a")[1]
    assert entry[7] == "" and shard.unclaimed() == {"/a"}
    assert heard() == [("wake", "claim /a")]


def test_interest_in_what_a_session_past_its_lease_holds_has_no_owner_to_vouch_for_it(
    shard, heard
):
    shard.own("p", "/a")
    shard.lapse("poller", "p")
    shard.enter("gateway", "h")
    heard()
    assert shard.interest("h", "/a")[1][7] == ""
    # It may come back, so it keeps what it has, and is told.
    assert heard() == [("to:p", "wanted /a")] and shard.unclaimed() == set()


def test_interest_tells_the_owner_only_what_is_new(shard, heard):
    shard.own("p", "/a")
    revision, _ = shard.committed("p", "/a", content="1")
    shard.enter("gateway", "h")
    heard()
    wanted = [("to:p", "wanted /a")]
    shard.interest("g", "/a")
    assert heard() == []
    shard.interest("h", "/a")
    assert heard() == wanted
    shard.interest("h", "/a", interval_ms=500)
    assert heard() == wanted
    shard.interest("h", "/a", interval_ms=500, held=revision)
    assert heard() == []
    shard.interest("h", "/a", interval_ms=500, held=revision + 1)
    assert heard() == wanted
    shard.interest("h", "/a", interval_ms=500, held=revision + 1)
    assert heard() == []


def test_a_held_revision_above_the_stored_one_becomes_the_floor(shard):
    shard.enter("gateway", "g")
    shard.interest("g", "/a", held=500)
    assert shard.resource("/a") == {"floor": "500"}
    shard.interest("g", "/a", held=400)
    assert shard.resource("/a") == {"floor": "500"}
    shard.interest("g", "/a", held=600)
    assert shard.resource("/a") == {"floor": "600"}


def test_a_held_revision_that_is_stored_is_no_floor(shard):
    shard.own("p", "/a")
    revision, version = shard.committed("p", "/a", content="1")
    shard.interest("g", "/a", held=revision)
    revision, _ = shard.committed("p", "/a", revision, state="stale")
    shard.interest("g", "/a", held=revision, version=version)
    assert "floor" not in shard.resource("/a")


def test_a_state_that_redis_has_lost_is_passed_by_what_comes_next(shard):
    shard.own("p", "/a")
    revision, version = shard.committed("p", "/a", content="1")
    lost = shard.now_ms() * 1000 + HOUR_US
    shard.interest("g", "/a", held=lost, version=version)
    assert shard.resource("/a")["floor"] == str(lost)
    assert shard.commit("p", "/a", revision, state="stale")[0] == "behind"
    assert shard.committed("p", "/a", revision, content="2") == (lost + 1, lost + 1)


def test_an_answer_that_has_grown_to_1_mib_leaves_later_contents_out(shard):
    addresses = [f"/{i}" for i in range(6)]
    shard.own("p", *addresses)
    held = {}
    for address in addresses:
        held[address], _ = shard.committed("p", address, content="x" * 400000)
    shard.enter("gateway", "h")
    entries = shard.interest("h", *addresses)[1:]
    assert [entry[8] is not None for entry in entries] == [True] * 3 + [False] * 3
    assert [int(entry[0]) for entry in entries] == list(held.values())
    # What is asked for again comes first, so that one gets on whatever the sizes are.
    entries = shard.interest("h", *addresses[3:])[1:]
    assert all(entry[8] is not None for entry in entries)


# ---- uninterest ----


def test_uninterest_undoes_both_directions(shard):
    shard.enter("gateway", "g", "h")
    shard.interest("g", "/a", "/b")
    shard.interest("h", "/a")
    assert shard.run("uninterest", "g", "/a") == "ok"
    assert shard.get("interest:/a").keys() == {"h"} and shard.get("interests:g") == {"/b"}


def test_the_owner_is_told_when_nobody_is_left(shard, heard):
    shard.own("p", "/a")
    shard.enter("gateway", "h")
    shard.interest("h", "/a")
    heard()
    shard.run("uninterest", "g", "/a")
    assert heard() == [("to:p", "wanted /a")]  # the interval may be another now
    shard.run("uninterest", "h", "/a")
    assert heard() == [("to:p", "unwanted /a")]
    assert shard.lock("/a") == "p"


def test_what_nobody_owns_or_wants_any_more_is_not_unclaimed(shard):
    shard.enter("gateway", "g")
    shard.interest("g", "/a")
    shard.run("uninterest", "g", "/a")
    assert shard.unclaimed() == set() and shard.get("interest:/a") is None


def test_what_is_to_be_left_alone_is_retained_as_long_but_for_a_day_at_most(shard):
    for address, wait in ("/short", 5), ("/long", 3600), ("/absurd", 10**9):
        shard.own("p", address)
        not_before = shard.now_ms() + wait * 1000
        assert shard.run("defer", "p", address, not_before) == "deferred"
        assert shard.ttl("resource:" + address) == TTL
        shard.run("uninterest", "g", address)
        shard.run("release", "p", address, 1)
    assert 0 < shard.ttl("resource:/short") <= RETENTION
    assert 3595 <= shard.ttl("resource:/long") <= 3600
    assert shard.ttl("resource:/absurd") == 86400


def test_only_its_owner_defers_a_resource(shard):
    shard.own("p", "/a")
    shard.enter("poller", "q")
    assert shard.run("defer", "q", "/a", 5) == "held"
    assert shard.run("defer", "p", "/b", 5) == "held"
    shard.run("leave", "poller", "p")
    assert shard.run("defer", "p", "/a", 5) == "lost"
    assert shard.resource("/a").get("not_before") is None
    assert shard.get("resource:/b") is None


def test_what_is_noted_of_a_provider_goes_by_itself_and_leaves_its_budget(shard):
    shard.redis.hset(PREFIX + "provider:api", "parted", "5")
    assert shard.run("describe", "api", "interval_ms", 2000, "interval_min_ms", 1) == "ok"
    described = {"interval_ms": "2000", "interval_min_ms": "1", "parted": "5"}
    assert shard.get("provider:api") == described
    assert 0 < shard.ttl("provider:api") <= TTL


def test_prune_takes_only_what_nobody_wants(shard):
    shard.enter("gateway", "g")
    shard.interest("g", "/wanted")
    shard.redis.sadd(PREFIX + "unclaimed", "/stray", "/other")
    assert shard.run("prune", "/wanted", "/stray", "/never") == 1
    assert shard.unclaimed() == {"/wanted", "/other"}


def test_the_retention_is_set_once_and_not_renewed(shard):
    shard.own("p", "/a")
    shard.committed("p", "/a", content="1")
    shard.run("uninterest", "g", "/a")
    assert shard.ttl("resource:/a") > RETENTION
    shard.run("release", "p", "/a", 1)
    assert 0 < shard.ttl("resource:/a") <= RETENTION
    shard.redis.expire(PREFIX + "resource:/a", 20)
    shard.run("uninterest", "g", "/a")
    shard.claim("p", "/a")
    assert shard.ttl("resource:/a") <= 20


def test_a_viewer_who_comes_back_finds_the_content_and_ends_the_retention(shard):
    shard.own("p", "/a")
    shard.committed("p", "/a", content="1")
    shard.run("uninterest", "g", "/a")
    shard.run("release", "p", "/a", 1)
    assert shard.interest("g", "/a")[1][8] == "1"
    assert shard.ttl("resource:/a") > RETENTION


# ---- release ----


def test_release_gives_the_lock_up_and_the_pollers_hear_of_it(shard, heard):
    shard.own("p", "/a", "/b")
    shard.committed("p", "/a", content="1", checked_at=1000)
    heard()
    assert shard.run("release", "p", "/a", 2000) == ["released"]
    assert shard.lock("/a") is None and shard.owned("p").keys() == {"/b"}
    assert shard.unclaimed() == {"/a"} and heard() == [("wake", "claim /a")]
    assert shard.resource("/a")["checked_at"] == "2000"


def test_release_of_what_nobody_wants_sets_the_retention_and_wakes_nobody(shard, heard):
    shard.own("p", "/a")
    shard.committed("p", "/a", content="1")
    shard.run("uninterest", "g", "/a")
    heard()
    shard.run("release", "p", "/a", 1)
    assert shard.unclaimed() == set() and heard() == []
    assert 0 < shard.ttl("resource:/a") <= RETENTION


def test_release_does_not_turn_back_what_was_checked(shard):
    shard.own("p", "/a")
    shard.committed("p", "/a", content="1", checked_at=2000)
    shard.run("release", "p", "/a", 1000)
    assert shard.resource("/a")["checked_at"] == "2000"


def test_release_leaves_what_another_holds(shard):
    shard.own("p", "/a")
    shard.enter("poller", "q")
    shard.redis.hset(PREFIX + "owned:q", "/a", 1)
    assert shard.run("release", "q", "/a", 5, "/a", 5) == ["held", "held"]
    assert shard.lock("/a") == "p" and shard.owned("q") == {}


@pytest.mark.parametrize("how", ["release", "reap"])
def test_a_lock_that_ran_out_by_itself_still_leads_back_to_unclaimed(shard, how):
    shard.own("p", "/a")
    shard.redis.delete(PREFIX + "lock:/a")
    if how == "release":
        assert shard.run("release", "p", "/a", 5) == ["released"]
    else:
        shard.bury("poller", "p")
        assert shard.run("reap", "poller", "p", 0, 10) == 0
    assert shard.unclaimed() == {"/a"} and shard.owned("p") == {}


# ---- reap ----


def test_reap_leaves_the_living_alone(shard):
    shard.own("p", "/a")
    for kind, session in (("poller", "p"), ("gateway", "g")):
        assert shard.run("reap", kind, session, 1, 10) == "alive"
        shard.lapse(kind, session)
        assert shard.run("reap", kind, session, 0, 10) == "alive"
    assert shard.lock("/a") == "p" and shard.get("interest:/a")


def test_who_may_bury_reaps_a_session_past_its_lease(shard):
    shard.own("p", "/a")
    for kind, session in (("poller", "p"), ("gateway", "g")):
        shard.lapse(kind, session)
        assert shard.run("reap", kind, session, 1, 10) == 0
        assert not shard.get(kind + "s") and not shard.get(f"{kind}:{session}")


def test_reap_takes_a_dead_gateway_s_interest_in_batches(shard):
    addresses = [f"/{i}" for i in range(3000)]
    shard.enter("gateway", "g", "h")
    shard.enter("poller", "p")
    shard.interest("g", *addresses)
    shard.interest("h", *addresses[:100])
    shard.claim("p", *addresses[:1000])
    shard.bury("gateway", "g")
    left = [shard.run("reap", "gateway", "g", 0, 500) for _ in range(7)]
    assert left == [2500, 2000, 1500, 1000, 500, 0, 0]
    names = shard.values().keys()
    wanted = {name for name in names if name.startswith("interest:")}
    assert wanted == {"interest:" + address for address in addresses[:100]}
    assert "interests:g" not in names and "gateway:g" not in names
    assert shard.get("gateways").keys() == {"h"} and shard.unclaimed() == set()
    assert len(shard.owned("p")) == 1000


def test_reap_takes_a_dead_poller_s_locks_in_batches(shard, heard):
    addresses = [f"/{i}" for i in range(2000)]
    shard.own("p", *addresses)
    shard.run("uninterest", "g", *addresses[:500])
    shard.bury("poller", "p")
    heard()
    assert shard.run("reap", "poller", "p", 0, 1500) == 500
    assert shard.get("pollers") == {"p": 0}
    assert shard.run("reap", "poller", "p", 0, 1500) == 0
    assert shard.run("reap", "poller", "p", 0, 1500) == 0
    assert not any(name.startswith("lock:") for name in shard.values())
    assert shard.unclaimed() == set(addresses[500:])
    assert {text for name, text in heard()} == {"claim " + a for a in addresses[500:]}
    assert not shard.get("pollers") and not shard.get("poller:p")


def test_reap_of_a_poller_leaves_what_another_took(shard):
    shard.own("p", "/a")
    shard.bury("poller", "p")
    shard.enter("poller", "q")
    shard.claim("q", "/a")
    shard.redis.hset(PREFIX + "owned:p", "/a", 1)
    assert shard.run("reap", "poller", "p", 0, 10) == 0
    assert shard.lock("/a") == "q" and shard.unclaimed() == set()


def test_reap_tells_owners_who_is_left(shard, heard):
    shard.own("p", "/a", "/b")
    shard.enter("gateway", "h")
    shard.interest("h", "/a")
    shard.bury("gateway", "g")
    heard()
    shard.run("reap", "gateway", "g", 0, 10)
    assert sorted(heard()) == [("to:p", "unwanted /b"), ("to:p", "wanted /a")]


def test_reap_carries_over_what_the_poller_checked_last(shard):
    shard.own("p", "/a")
    shard.committed("p", "/a", content="1", checked_at=1000)
    shard.renew("poller", "p", {"/a": 2000})
    shard.bury("poller", "p")
    shard.run("reap", "poller", "p", 0, 10)
    assert shard.resource("/a")["checked_at"] == "2000"


# ---- check ----


def test_check_tells_revision_floor_and_when_it_was_checked(shard):
    shard.own("p", "/a")
    revision, _ = shard.committed("p", "/a", content="1", checked_at=1000)
    shard.renew("poller", "p", {"/a": 2000})
    shard.interest("g", "/a", held=revision + 3)
    assert shard.check("gateway", "g", "/a", "/x") == [
        [str(revision), str(revision + 3), "+", 1, "2000"],
        [None, None, "-", 0, None],
    ]


def test_check_tells_when_each_was_checked_whoever_owns_it(shard):
    shard.own("p", "/p1", "/p2")
    shard.own("q", "/q", "/evicted")
    shard.redis.hdel(PREFIX + "owned:q", "/evicted")
    shard.redis.hset(PREFIX + "resource:/evicted", "checked_at", 4)
    shard.renew("poller", "p", {"/p1": 1, "/p2": 2})
    shard.renew("poller", "q", {"/q": 3})
    lines = shard.check("gateway", "g", "/p2", "/nobody", "/q", "/evicted", "/p1")
    assert [line[4] for line in lines] == ["2", None, "3", "4", "1"]


def test_check_tells_how_the_owner_is(shard):
    shard.own("p", "/p")
    for session in ("late", "buried", "unknown"):
        shard.own(session, "/" + session)
    shard.lapse("poller", "late")
    shard.bury("poller", "buried")
    shard.redis.zrem(PREFIX + "pollers", "unknown")
    shard.enter("poller", "q")
    addresses = ["/p", "/late", "/buried", "/unknown", "/nobody"]
    marks = {kind: [line[2] for line in shard.check(kind, session, *addresses)]
             for kind, session in (("poller", "q"), ("gateway", "g"))}  # fmt: skip
    assert marks == {"poller": list("+!!!-"), "gateway": list("+!!!-")}
    assert shard.check("poller", "p", "/p")[0][2] == "="


def test_check_tells_a_gateway_whether_its_own_interest_is_there(shard):
    shard.enter("gateway", "g", "h")
    shard.interest("h", "/a")
    assert shard.check("gateway", "g", "/a")[0][3] == 0
    assert shard.check("gateway", "h", "/a")[0][3] == 1
    shard.redis.delete(PREFIX + "interest:/a")  # it ran out before its index
    assert shard.check("gateway", "h", "/a")[0][3] == 0


def test_check_tells_a_poller_what_all_gateways_together_ask_for(shard):
    shard.enter("gateway", "g", "h")
    shard.enter("poller", "p")
    shard.interest("g", "/a", interval_ms=2000)
    shard.interest("h", "/a", interval_ms=500)
    shard.interest("h", "/b", "/c")
    shard.interest("g", "/c", interval_ms=700)
    shard.interest("g", "/d", interval_ms=500)
    shard.interest("g", "/e")
    lines = shard.check("poller", "p", "/a", "/b", "/c", "/nobody", "/d", "/e")
    wishes = ["500 0", "0 1", "700 1", "-", "500 0", "0 1"]
    assert [line[3] for line in lines] == wishes


def test_check_changes_nothing(shard, heard):
    shard.own("p", "/a")
    shard.committed("p", "/a", content="1")
    shard.lapse("poller", "p")
    heard()
    before = shard.values()
    shard.check("gateway", "g", "/a", "/b")
    shard.check("poller", "p", "/a", "/b")
    assert shard.values() == before and heard() == []


# ---- touch, and what runs out ----


def test_touch_keeps_what_a_session_holds_from_running_out(shard):
    shard.own("p", "/a", "/b")
    shard.committed("p", "/a", content="1")
    shard.own("q", "/c", gateway="g")
    shard.committed("q", "/c", content="1")
    held = ["interest:/a", "lock:/a", "resource:/a"]
    others = ["interest:/b", "lock:/c", "resource:/c"]
    for name in held + others:
        shard.redis.expire(PREFIX + name, 5)
    assert shard.run("touch", "poller", "p", "/a", "/c") == "ok"
    assert shard.run("touch", "gateway", "g", "/a") == "ok"
    assert all(shard.ttl(name) > TTL - 60 for name in held)
    assert all(shard.ttl(name) <= 5 for name in others)


def test_renewals_keep_the_indexes_from_running_out(shard):
    shard.own("p", "/a")
    names = ["owned:p", "interests:g", "poller:p", "gateway:g"]
    for name in names:
        shard.redis.expire(PREFIX + name, 5)
    shard.renew("poller", "p")
    shard.renew("gateway", "g")
    assert all(shard.ttl(name) > TTL - 60 for name in names)
    assert all(shard.ttl(name) > INDEX_TTL - 60 for name in names[:2])


def test_an_index_outlives_the_facts_it_leads_to(shard):
    shard.own("p", "/a")
    shard.committed("p", "/a", content="1")
    assert shard.ttl("owned:p") > shard.ttl("lock:/a")
    assert shard.ttl("interests:g") > shard.ttl("interest:/a")


# ---- whatever happens ----


class Fleet:
    """Sessions that call scripts at random, and what must be true after each call."""

    ADDRESSES = [f"/{letter}" for letter in "abcdefgh"]

    def __init__(self, shard, seed):
        self.shard = shard
        self.random = random.Random(seed)
        self.count = {"poller": 0, "gateway": 0}
        self.sessions = {"poller": [], "gateway": []}
        self.revisions = {}  # the newest that anybody was told of, by address
        self.bodies = 0

    def session(self, kind):
        """Mostly one of the last few, some of which are dead."""
        if not self.sessions[kind] or self.random.random() < 0.05:
            return self.enter(kind)
        return self.random.choice(self.sessions[kind][-4:])

    def enter(self, kind):
        self.count[kind] += 1
        session = f"{kind[0]}{self.count[kind]}"
        self.sessions[kind].append(session)
        self.shard.enter(kind, session)
        return session

    def some(self):
        return self.random.sample(self.ADDRESSES, self.random.randint(1, 4))

    def step(self):
        weights = {
            self.do_interest: 5, self.do_uninterest: 4, self.do_claim: 6,
            self.do_commit: 8, self.do_release: 2, self.do_renew: 3, self.do_reap: 3,
            self.do_leave: 1, self.do_lapse: 1, self.do_enter: 1, self.do_look: 2,
            self.do_forget: 0.05,
        }  # fmt: skip
        action = self.random.choices(list(weights), weights.values())[0]
        self.last = action.__name__
        before = self.shard.values()
        if action() in ("lost", ["lost"]):
            assert self.shard.values() == before

    def do_enter(self):
        kind = self.random.choice(["poller", "gateway"])
        session = self.session(kind)
        assert self.shard.run("enter", kind, session, 60000)[0] in ("entered", "lost")

    def do_interest(self):
        args = []
        for address in self.some():
            held = self.random.choice([0, self.revisions.get(address, 0)])
            version = min(held, int(self.shard.resource(address).get("version", 0)))
            args += [
                address,
                self.random.randint(1, 3),
                self.random.choice([0, 500]),
                version,
                held,
            ]
        return self.shard.run("interest", self.session("gateway"), *args)

    def do_uninterest(self):
        return self.shard.run("uninterest", self.session("gateway"), *self.some())

    def do_claim(self):
        may_bury = self.random.random() < 0.5
        return self.shard.claim(self.session("poller"), *self.some(), may_bury=may_bury)

    def do_commit(self):
        address = self.random.choice(self.ADDRESSES)
        owner = self.shard.lock(address)
        session = (
            owner if owner and self.random.random() < 0.8 else self.session("poller")
        )
        stored = self.shard.resource(address)
        base = int(stored.get("revision", 0)) + self.random.choice([0, 0, 0, 0, -1, 1])
        known = self.random.choice([0, 0, base + self.random.randint(0, HOUR_US)])
        self.bodies += 1
        content = self.random.choice([None, f"[{self.bodies}]"])
        state = self.random.choice(["fresh", "stale"])
        with self.shard.listening() as heard:
            answer = self.shard.commit(session, address, base, content, known=known,
                state=state, error="" if state == "fresh" else "{}")  # fmt: skip
            published = changes(heard(), address)
        if answer[0] != "committed":
            assert published == []
            return answer
        revision, version = int(answer[1]), int(answer[2])
        floor = int(stored.get("floor", 0))
        assert revision > max(base, known, floor, int(stored.get("version", 0)))
        assert version == (int(stored.get("version", 0)) if content is None else revision)
        (change,) = published
        assert (change["previous_revision"], change["revision"]) == (base, revision)
        assert (change["version"], change["content"]) == (version, content)
        self.revisions[address] = revision

    def do_release(self):
        args = [
            word for address in self.some() for word in (address, self.shard.now_ms())
        ]
        return self.shard.run("release", self.session("poller"), *args)

    def do_renew(self):
        kind = self.random.choice(["poller", "gateway"])
        checked = {address: self.shard.now_ms() for address in self.some()}
        facts = self.random.choice([{}, {"resources": 1}])
        return self.shard.renew(
            kind, self.session(kind), checked if kind == "poller" else {}, facts
        )

    def do_reap(self):
        kind = self.random.choice(["poller", "gateway"])
        may_bury = self.random.choice([0, 1])
        self.shard.run(
            "reap", kind, self.session(kind), may_bury, self.random.randint(1, 4)
        )

    def do_leave(self):
        kind = self.random.choice(["poller", "gateway"])
        self.shard.bury(kind, self.session(kind))

    def do_lapse(self):
        kind = self.random.choice(["poller", "gateway"])
        session = self.session(kind)
        if (self.shard.get(kind + "s") or {}).get(session):
            self.shard.lapse(kind, session)

    def do_look(self):
        kind = self.random.choice(["poller", "gateway"])
        session = self.session(kind)
        before = self.shard.values()
        self.shard.check(kind, session, *self.some())
        assert self.shard.values() == before
        return self.shard.run("touch", kind, session, *self.some())

    def do_forget(self):
        self.shard.redis.flushall()
        self.revisions.clear()

    def look(self):
        """What must be true after every step."""
        everything = self.shard.everything()
        values = {name: value for name, (value, _) in everything.items()}
        of = {}
        for name in values:
            kind, _, rest = name.partition(":")
            of.setdefault(kind, {})[rest] = values[name]
        pollers, gateways = values.get("pollers", {}), values.get("gateways", {})
        unclaimed = values.get("unclaimed", set())
        locks, owned = of.get("lock", {}), of.get("owned", {})
        interest, interests = of.get("interest", {}), of.get("interests", {})
        resources = of.get("resource", {})

        # Facts and indexes agree.
        assert {(a, s) for a, s in locks.items()} == {
            (a, s) for s, entries in owned.items() for a in entries
        }
        assert {(a, g) for a, shares in interest.items() for g in shares} == {
            (a, g) for g, addresses in interests.items() for a in addresses
        }
        assert owned.keys() <= pollers.keys() and interests.keys() <= gateways.keys()
        assert of.get("poller", {}).keys() == pollers.keys()
        assert of.get("gateway", {}).keys() == gateways.keys()
        # Nobody is left behind, and nothing is polled or kept for nobody.
        dead = {a for a, session in locks.items() if float(pollers[session]) == 0}
        assert interest.keys() <= unclaimed | locks.keys()
        assert unclaimed <= interest.keys() | dead
        assert not unclaimed & (locks.keys() - dead)
        for address in resources.keys() - locks.keys() - interest.keys():
            assert everything["resource:" + address][1] <= RETENTION
        # Nothing stays for ever.
        for name, (_, ttl) in everything.items():
            assert (ttl == -1) == (PREFIX + name in FOR_EVER), (name, ttl)
            assert ttl != 0
        # Revisions only grow, and order versions.
        for address, stored in resources.items():
            revision = int(stored.get("revision", 0))
            assert int(stored.get("version", 0)) <= revision
            assert int(stored.get("floor", revision + 1)) > revision
            if revision:
                assert revision == self.revisions[address]

    def end(self):
        """Everybody dies; what they leave is cleaned up by the next poller."""
        self.shard.enter("poller", "last")
        for kind, sessions in self.sessions.items():
            for session in sessions:
                self.shard.bury(kind, session)
                left = [self.shard.run("reap", kind, session, 0, 3) for _ in range(4)]
                assert left[-1] == 0


@pytest.mark.parametrize("seed", range(20 if os.environ.get("URICAST_SOAK") else 2))
def test_facts_and_indexes_agree_whatever_is_called(shard, seed):
    fleet = Fleet(shard, seed)
    for number in range(1000):
        fleet.step()
        try:
            fleet.look()
        except AssertionError as error:
            raise AssertionError(f"after step {number}, {fleet.last}: {error}") from error
    fleet.end()
    left = shard.everything()
    resources = {name for name in left if name.startswith("resource:")}
    assert left.keys() - resources == {"pollers", "poller:last"}
    assert all(left[name][1] <= RETENTION for name in resources)


# ---- a Redis that cannot, or will not ----


def test_out_of_memory_only_new_contents_have_to_wait(shard, heard):
    shard.own("p", "/a", "/b")
    shard.own("dead", "/c", gateway="g")
    revision, _ = shard.committed("p", "/a", content="1")
    shard.lapse("gateway", "g")
    heard()
    shard.redis.config_set("maxmemory", 1)
    try:
        before = shard.values()
        with pytest.raises(redis_client.ResponseError, match="when used memory"):
            shard.commit("p", "/a", revision, "2")
        assert shard.values() == before and heard() == []

        assert shard.renew("poller", "p", {"/a": 99}, {"resources": 1})[0] == "renewed"
        assert shard.owned("p")["/a"] == "99"
        shard.enter("gateway", "h")
        assert shard.interest("h", "/a")[1][8] == "1"
        assert shard.check("gateway", "h", "/a")[0][0] == str(revision)
        assert shard.run("touch", "gateway", "h", "/a") == "ok"
        shard.bury("poller", "dead")
        assert shard.claim("p", "/c")[1][0] == "claimed"
        assert shard.run("release", "p", "/b", 5) == ["released"]
        assert shard.run("uninterest", "h", "/a") == "ok"
        assert shard.run("reap", "gateway", "g", 1, 10) == 0
    finally:
        shard.redis.config_set("maxmemory", 0)
    assert shard.committed("p", "/a", revision, "2")


def test_a_redis_that_cannot_save_refuses_all_that_writes_and_still_reads(tmp_path):
    with Server(tmp_path) as server:
        shard = Shard(server.client())
        shard.own("p", "/a")
        revision, _ = shard.committed("p", "/a", content="1")
        (tmp_path / "dump.rdb" / "in the way").mkdir(parents=True)
        shard.redis.config_set("save", "3600 1000")
        shard.redis.bgsave()
        deadline = time.monotonic() + 20
        while shard.redis.info("persistence")["rdb_last_bgsave_status"] == "ok":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        before = shard.values()
        for call in (
            lambda: shard.renew("poller", "p"),
            lambda: shard.commit("p", "/a", revision, "2"),
            lambda: shard.interest("g", "/a"),
        ):
            with pytest.raises(redis_client.ResponseError, match="^MISCONF"):
                call()
        assert shard.values() == before
        assert shard.check("gateway", "g", "/a")[0][0] == str(revision)
        shard.redis.config_set("save", "")


def test_a_user_with_the_documented_rights_may_do_what_uricast_does_and_nothing_else(
    server,
):
    admin = server.client()
    admin.flushall()
    rule = re.search(r"ACL SETUSER (uricast [^\n]*)", (TOP / "docs/redis.md").read_text())
    words = rule[1].replace("'", "").split()
    admin.execute_command("ACL", "SETUSER", *words)
    client = server.client(username="uricast", password="secret")
    shard = Shard(client)
    # The programs send a script with EVAL, this client library with SCRIPT LOAD.
    for text in script_texts().values():
        admin.script_load(text)
    fleet = Fleet(shard, 17)
    fleet.do_forget = lambda: None
    # Looking is ours, acting is the user's.
    looking = Shard(admin)
    for name in ("everything", "values", "get", "lock", "resource", "owned", "listening"):
        setattr(shard, name, getattr(looking, name))
    shard.lapse = looking.lapse
    for _ in range(300):
        fleet.step()
    for command in (
        ["PING"], ["INFO", "server"], ["SELECT", "0"], ["CLIENT", "ID"],
        ["CLIENT", "SETNAME", "n"], ["CLIENT", "KILL", "ID", "123456"],
        ["EVAL", "return KEYS[1]", "1", PREFIX],
        ["CONFIG", "GET", "maxmemory-policy"], ["PUBLISH", PREFIX + "wake", "poll /a"],
        ["SSCAN", PREFIX + "unclaimed", "0", "COUNT", "9"],
        ["HSCAN", PREFIX + "owned:p", "0", "COUNT", "9"],
        ["HMGET", PREFIX + "resource:/a", "revision", "content"],
        ["SCARD", PREFIX + "unclaimed"],
        ["HMGET", PREFIX + "provider:default", "interval_ms", "interval_min_ms"],
    ):  # fmt: skip
        client.execute_command(*command)
    pubsub = client.pubsub()
    pubsub.subscribe(PREFIX + "change:/a")
    assert pubsub.get_message(timeout=10)["type"] == "subscribe"
    pubsub.unsubscribe()
    for command in (
        ["GET", "other"], ["SET", "other", "1"], ["PUBLISH", "other", "x"], ["FLUSHALL"],
        ["CONFIG", "SET", "save", ""], ["KEYS", "*"], ["ACL", "LIST"], ["SHUTDOWN"],
    ):  # fmt: skip
        with pytest.raises(redis_client.exceptions.NoPermissionError):
            client.execute_command(*command)
    admin.execute_command("ACL", "DELUSER", "uricast")
