"""The log: its form, and how much of it while a program runs."""

import json

from harness import run, until


def lines(process):
    return [json.loads(line) for line in process.log().splitlines()]


def session(process, redis):
    kind = process.name.rstrip("0123456789")
    for name in redis.client.scan_iter(f"uricast:{kind}:*"):
        if redis.client.hget(name, "pid") == str(process.pid):
            return name.rpartition(":")[2]


def test_every_line_is_an_object_where_that_is_asked_for(start_fleet):
    options = ["--log-format", "json", "--log-level", "debug"]
    fleet = start_fleet(gateway_options=options, poller_options=options)
    fleet.upstream.set("/nodes", [1])

    async def test():
        async with fleet.client() as client:
            await client.subscribe("/nodes")
            await client.content("/nodes")
        for process in fleet.gateways + fleet.pollers:
            process.terminate()
            assert process.wait() == 0
            said = lines(process)
            assert {line["level"] for line in said} >= {"info", "debug"}
            assert said[0]["program"] == process.name[:-1]
            assert {line["pid"] for line in said} == {process.pid}
            assert "membership" in {line["subsystem"] for line in said}
            assert all(len(line) == 6 for line in said)

    run(test())


def test_the_level_changes_while_a_program_runs(fleet):
    redis = fleet.redis

    def ask(process, text):
        assert redis.client.publish(f"uricast:to:{session(process, redis)}", text) == 1

    async def test():
        for process in (fleet.gateways[0], fleet.pollers[0]):
            assert " debug " not in process.log()
            ask(process, "log warn,membership=debug,redis_line=debug,claim=debug")
            asked = "the level of the log was changed"
            process.hang_up()
            await until(lambda: "is in force" in process.log(), "SIGHUP takes it back")
            assert asked not in process.log(), "warn does not show it"
            ask(process, "log info,listener=debug")
            await until(lambda: "level=info,listener=debug" in process.log(), asked)
            ask(process, "log debug")
            await until(lambda: "level=debug" in process.log(), asked)
            ask(process, "log")
            await until(lambda: "level=(as configured)" in process.log(), asked)
            ask(process, "log loud")
            await until(lambda: 'it stays level="loud"' in process.log(), "refused")
            ask(process, "log info,relai=debug")
            parts = 'stays level="info,relai=debug" parts="access, '
            await until(lambda: parts in process.log(), "an unknown part is refused")
            ask(process, "logs")
            process.hang_up()
            assert process.ready()

    run(test())


def test_a_part_of_the_program_may_say_more_from_the_start(start_fleet):
    level = ["--log-level", "warn,relay=debug,claim=debug,membership=info"]
    fleet = start_fleet(gateway_options=level, poller_options=level)
    log = fleet.gateways[0].log()
    assert "session entered" in log
    assert "gateway started" not in log and "connected to Redis" not in log


def test_the_file_changes_level_and_form(start_fleet):
    def config(fleet):
        return {
            "log_level": "warn",
            "services": {"a": {"url": fleet.upstream.url, "default": True}},
        }

    fleet = start_fleet(gateways=1, pollers=1, config=config)
    path = fleet.directory / "uricast.json"
    changed = '"log_level": "info,claim=debug", "log_format": "json"'
    path.write_text(path.read_text().replace('"log_level": "warn"', changed))
    for process in fleet.gateways + fleet.pollers:
        assert process.log() == ""
        process.reload()
        (line,) = lines(process)
        assert line["message"] == "the configuration was read again and is in force"
