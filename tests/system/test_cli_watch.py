"""`uricast watch` and `uricast get`: what a gateway tells, on a terminal and in scripts."""

import json
import re
import signal
import subprocess

import jsonpatch

from cli import URICAST, Watching, environment, uricast
from harness import free_port, until_now

FINE, DOUBTFUL, WRONG, BAD, UNREACHABLE, TIMEOUT = range(6)


def gateway(fleet):
    return ["--gateway", f"http://127.0.0.1:{fleet.gateways[0].port}"]


def test_watch_prints_one_line_for_each_operation_of_a_change(small_fleet):
    pad = "x" * 300  # or the patch would be larger than the content
    small_fleet.upstream.set("/nodes", {"a": 1, "b": [1, 2], "gone": True, "pad": pad})
    with Watching("/nodes", *gateway(small_fleet)) as watching:
        first = r'\d\d:\d\d:\d\d /nodes content 338 bytes \{"a":1,"b":\[1,2\],"gone":.*'
        assert re.fullmatch(first, watching.line(0))
        small_fleet.upstream.set("/nodes", {"a": {"x": "y z"}, "b": [1], "pad": pad})
        watching.line(3)
        changes = {line.split(" ", 1)[1] for line in watching.lines[1:4]}
        assert changes == {
            '/nodes replace /a {"x":"y z"}',
            "/nodes remove /b/1",
            "/nodes remove /gone",
        }
        small_fleet.upstream.set("/nodes", status=503)
        assert re.search(r"/nodes stale: .*503.* \(upstream_status\)$", watching.line(4))
        small_fleet.upstream.set("/nodes", {"a": {"x": "y z"}, "b": [1], "pad": pad})
        assert watching.line(5).endswith(" /nodes fresh")


def test_watch_prints_patches_that_rebuild_the_content(small_fleet):
    row = {"id": 1, "pad": "x" * 300}
    small_fleet.upstream.set("/nodes", [{**row, "load": 0}])
    words = ["/nodes", "--patch", "--count", 3, *gateway(small_fleet)]
    with Watching(*words) as watching:
        for load in (1, 2):
            watching.line(load - 1)
            small_fleet.upstream.set("/nodes", [{**row, "load": load}])
        assert watching.wait() == FINE
        watching.line(2)
        content = None
        for line in watching.lines:
            content = jsonpatch.apply_patch(content, json.loads(line))
        assert content == [{**row, "load": 2}]
        assert json.loads(watching.lines[2])[0]["path"] == "/0/load"


def test_watch_prints_events_of_several_addresses_as_json_lines(small_fleet):
    small_fleet.upstream.set("/a", '{\n "text": "x\\n\\" y"\n}')
    small_fleet.upstream.set("/b?c=1&d=2", [1])
    words = ["/a", "/b?c=1&d=2", "--json", "--count", 2, *gateway(small_fleet)]
    done = uricast("watch", *words)
    assert done.returncode == FINE, done.stderr
    events = {event["uri"]: event for event in map(json.loads, done.stdout.splitlines())}
    assert events["/a"]["content"] == {"text": 'x\n" y'}
    assert events["/b?c=1&d=2"]["content"] == [1]
    assert r'{"text":"x\n\" y"}' in done.stdout


def test_watch_ends_with_its_timeout_and_says_where_the_count_was_not_reached(small_fleet):
    small_fleet.upstream.set("/a", 1)
    words = ["watch", "/a", "--timeout", "1", *gateway(small_fleet)]
    assert uricast(*words).returncode == FINE
    done = uricast(*words, "--count", 9)
    assert done.returncode == TIMEOUT
    assert "of 9 events came within the timeout" in done.stderr


def test_watch_comes_back_after_a_gateways_end_and_goes_on_where_it_was(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1, interval=0.2)
    fleet.upstream.set("/nodes", {"n": 1, "pad": "x" * 500})
    with Watching("/nodes", "--json", *gateway(fleet)) as watching:
        assert "content" in json.loads(watching.line(0))
        fleet.gateways[0].kill()
        watching.hears("trying again in")
        fleet.upstream.set("/nodes", {"n": 2, "pad": "x" * 500})
        fleet.gateways[0].start().await_ready()

        def seen():
            return [
                event
                for event in map(json.loads, watching.lines[1:])
                if "state" not in event
            ]

        until_now(seen, "the change")
        fleet.upstream.set("/nodes", {"n": 3, "pad": "x" * 500})
        until_now(
            lambda: any("patch" in event for event in seen()), "a patch after the return"
        )
        assert watching.popen.poll() is None


def test_watch_resumes_without_a_content_that_it_has(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1, interval=0.2)
    (gateway_process,) = fleet.gateways
    redis = fleet.redis.client
    pad = "x" * 500
    fleet.upstream.set("/nodes", {"n": 1, "pad": pad})

    def is_watched():
        sessions = redis.hkeys("uricast:interest:/nodes")
        pids = [redis.hget(f"uricast:gateway:{session}", "pid") for session in sessions]
        return str(gateway_process.pid) in pids

    with Watching("/nodes", "--json", *gateway(fleet)) as watching:
        held = json.loads(watching.line(0))["version"]
        gateway_process.kill()
        watching.hears("trying again in")
        gateway_process.start().await_ready()
        until_now(is_watched, "a subscription after the return")
        fleet.upstream.set("/nodes", {"n": 2, "pad": pad})

        def news():
            events = map(json.loads, watching.lines[1:])
            return [event for event in events if "state" not in event]

        first = until_now(news, "the change")[0]
        assert first["base"] == held and first["patch"][0]["value"] == 2


def test_watch_ends_quietly_when_its_reader_goes(small_fleet):
    small_fleet.upstream.set("/a", 1)
    count = iter(range(1000000))
    with subprocess.Popen(
        [URICAST, "watch", "/a", *gateway(small_fleet)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(None),
    ) as watching:
        assert b"content" in watching.stdout.readline()
        watching.stdout.close()

        def ended():
            small_fleet.upstream.set("/a", next(count))
            return watching.poll() is not None

        until_now(ended, "its end")
        assert watching.returncode == -signal.SIGPIPE
        assert watching.stderr.read() == b""


def test_watch_ends_at_ctrl_c_without_a_word(small_fleet):
    small_fleet.upstream.set("/a", 1)
    with Watching("/a", *gateway(small_fleet)) as watching:
        watching.line(0)
        watching.popen.send_signal(signal.SIGINT)
        assert watching.wait() == -signal.SIGINT
        assert watching.said == []


def test_an_address_that_is_refused_is_explained(shared_fleet):
    for command in ("watch", "get"):
        done = uricast(command, "/../x", *gateway(shared_fleet))
        assert done.returncode == BAD
        assert "the address holds a . or .. segment (bad_address)" in done.stderr
        done = uricast(command, "no/such/thing", *gateway(shared_fleet))
        assert done.returncode == BAD
        assert "uricast status" in done.stderr


def test_a_gateway_with_tokens_is_shown_one(start_fleet, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("# of the panel\n\nsecret-1 # mine\nother\n")
    fleet = start_fleet(gateways=1, pollers=1, gateway_options=["--token-file", tokens])
    fleet.upstream.set("/a", 1)
    for command in ("watch", "get"):
        words = [command, "/a", *gateway(fleet)]
        words += ["--count", 1] if command == "watch" else []
        done = uricast(*words)
        assert done.returncode == UNREACHABLE
        assert "--token-file" in done.stderr
        done = uricast(*words, "--token-file", tokens)
        assert done.returncode == FINE, done.stderr
        variables = {"URICAST_TOKEN_FILE": str(tokens)}
        assert uricast(*words, variables=variables).returncode == FINE
        done = uricast(*words, "--token-file", tmp_path / "none")
        assert done.returncode == WRONG
        assert "cannot read" in done.stderr


def test_get_prints_the_content_and_nothing_else(shared_fleet):
    shared_fleet.upstream.set("/spaced", ' { "n" : 1.50 }\n')
    done = uricast("get", "/spaced", *gateway(shared_fleet))
    assert done.returncode == FINE
    assert done.stdout == ' { "n" : 1.50 }\n'
    assert done.stderr == ""
    variables = {"URICAST_GATEWAY": gateway(shared_fleet)[1] + "/"}
    done = uricast("get", "-v", "/spaced", variables=variables)
    assert re.match(r'uricast: fresh, version "\d+", checked \d+ s ago', done.stderr)


def test_get_says_by_its_status_what_the_content_is_worth(small_fleet):
    small_fleet.upstream.set("/a", [1])
    small_fleet.upstream.set("/b", status=500)
    words = gateway(small_fleet)
    # Kept watched, so that what it becomes is seen.
    with Watching("/a", "--json", *words) as watching:
        watching.line(0)
        small_fleet.upstream.set("/a", status=503)
        watching.line(1)
        done = uricast("get", "/a", *words)
        assert (done.returncode, done.stdout) == (DOUBTFUL, "[1]")
        assert re.match(r"uricast: /a is stale: .*503.* \(upstream_status\)", done.stderr)
    done = uricast("get", "/b", *words)
    assert (done.returncode, done.stdout) == (BAD, "")
    assert "500" in done.stderr and "upstream" in done.stderr


def test_a_gateway_that_is_not_there_is_said():
    url = f"http://127.0.0.1:{free_port()}"
    done = uricast("get", "/a", "--gateway", url)
    assert done.returncode == UNREACHABLE
    assert url in done.stderr and "URICAST_GATEWAY" in done.stderr
    done = uricast("watch", "/a", "--gateway", url, "--timeout", "1", "--count", 1)
    assert done.returncode == TIMEOUT
    assert url in done.stderr and "trying again in" in done.stderr


def test_help_and_version_have_their_short_options_everywhere():
    for short, long in (("-h", "--help"), ("-V", "--version")):
        for command in ([], ["watch"], ["get"], ["status"], ["doctor"]):
            done = uricast(*command, short)
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout == uricast(*command, long).stdout != ""


def test_mistakes_on_the_command_line_are_named():
    for words, text in (
        ([], "Usage: uricast COMMAND"),
        (["wach"], "did you mean watch"),
        (["watch"], "ADDRESS: is missing"),
        (["get", "/a", "/b"], "one argument too many"),
        (["watch", "--patch", "/a", "/b"], "takes one ADDRESS"),
        (["watch", "--patch", "--json", "/a"], "exclude each other"),
        (["watch", "--count", "-1", "/a"], "--count"),
        (["get", "--gateway", "ftp://x", "/a"], "is no base URL"),
        (["status", "--redis", "http://x"], "is no Redis URL"),
        (["status", "--prefix", "a b"], "--prefix"),
        (["doctor", "x"], "one argument too many"),
    ):
        done = uricast(*words)
        assert done.returncode == WRONG, words
        assert text in done.stderr, words
        assert done.stdout == ""
    done = uricast("get", "/a", variables={"URICAST_GATEWAY": "nowhere"})
    assert done.returncode == WRONG
    assert "URICAST_GATEWAY" in done.stderr
