"""`uricast doctor`: each finding, really provoked, with what mends it."""

import json
import os
import re
import subprocess

import pytest

from cli import Watching, uricast
from harness import SANITIZED, TOP, Redis, RedisProxy, free_port, until_now

FINE, DOUBTFUL, WRONG, BAD, UNREACHABLE = range(5)
ALIVE = 4102444800000  # a lease that ends in 2100

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: another network namespace")


@pytest.fixture
def redis(tmp_path):
    redis = Redis(tmp_path).start()
    yield redis
    redis.kill()


def doctor(redis, *words, url=None, before=()):
    """Findings by their check, without the fine ones, and the exit status."""
    words = ["doctor", "--json", "--redis", url or redis.url, *words]
    done = uricast(*words, before=before)
    told = json.loads(done.stdout)
    findings = {
        finding["check"]: finding
        for finding in told["findings"]
        if finding["severity"] != "fine"
    }
    for finding in findings.values():
        assert finding["fix"] and finding["message"], finding
    errors = [f for f in findings.values() if f["severity"] == "error"]
    assert told["errors"] == len(errors), told
    if done.returncode != UNREACHABLE:
        assert done.returncode == (BAD if errors else DOUBTFUL if findings else FINE)
    return findings


def test_a_fleet_in_good_health_has_no_findings_of_redis_or_itself(small_fleet):
    small_fleet.upstream.set("/a", 1)
    gateway = f"http://127.0.0.1:{small_fleet.gateways[0].port}"
    words = ["--gateway", gateway]
    for process in small_fleet.gateways + small_fleet.pollers:
        words += ["--metrics", f"127.0.0.1:{process.metrics_port}"]
    with Watching("/a", "--gateway", gateway) as watching:
        watching.line(0)
        # What the machine is, or how busy, is not ours to say.
        machine = {"file-limit", "somaxconn", "ip_local_port_range", "tcp_mem"}
        machine |= {"conntrack", "latency"}
        assert set(doctor(small_fleet.redis, *words)) <= machine
        keys = small_fleet.redis.keys()
        assert not [key for key in keys if "doctor" in key]


def test_verbose_names_what_is_fine(redis):
    done = uricast("doctor", "-v", "--redis", redis.url)
    assert re.search(r"^fine +version: Redis is version \d", done.stdout, re.MULTILINE)
    assert re.search(r"^fine +event-library: ", done.stdout, re.MULTILINE)
    quiet = uricast("doctor", "--redis", redis.url)
    assert "fine " not in quiet.stdout.rsplit("\n", 2)[0]
    assert re.search(r"\d+ checks were fine, \d+ warnings?, 0 errors$", quiet.stdout.strip())


@pytest.mark.parametrize(
    "setting, value, check, text",
    [
        ("maxmemory-policy", "allkeys-lru", "maxmemory-policy", "allkeys-lru"),
        ("client-output-buffer-limit", "pubsub 0 0 0", "output-buffer", "nothing limits"),
        ("client-output-buffer-limit", "pubsub 1mb 1mb 60", "output-buffer", "1048576"),
        ("timeout", "3", "timeout", "after 3 s"),
    ],
)
def test_a_setting_of_redis_that_harms_is_found(redis, setting, value, check, text):
    redis.client.config_set(setting, value)
    finding = doctor(redis)[check]
    assert finding["severity"] == "warning"
    assert text in finding["message"]
    assert "CONFIG SET" in finding["fix"]


def test_a_redis_that_is_full_is_found(redis):
    redis.client.config_set("maxmemory", "100kb")
    redis.client.config_set("maxmemory-policy", "noeviction")
    findings = doctor(redis)
    assert "OOM" in findings["writes"]["message"]
    assert "maxmemory" in findings["writes"]["fix"]
    assert "memory" in findings


def test_a_redis_that_cannot_save_is_found(redis, tmp_path):
    (tmp_path / "dump.rdb").mkdir()  # nothing can be renamed to it
    redis.client.config_set("save", "3600 1")
    redis.client.set("x", 1)
    redis.client.bgsave()
    until_now(
        lambda: redis.client.info("persistence")["rdb_last_bgsave_status"] == "err",
        "a save that fails",
    )
    findings = doctor(redis)
    assert "MISCONF" in findings["writes"]["message"]
    assert "refuses writes" in findings["persistence"]["message"]


def test_a_replica_is_found(redis):
    redis.client.replicaof("127.0.0.1", str(free_port()))
    findings = doctor(redis)
    assert findings["role"]["severity"] == "error"
    redis.client.replicaof("NO", "ONE")


def test_a_redis_with_no_connections_left_is_found(redis):
    redis.client.config_set("maxclients", 20)
    clients = [redis.client.connection_pool.make_connection() for _ in range(17)]
    for client in clients:
        client.connect()
    assert "maxclients" in doctor(redis)
    for client in clients:
        client.disconnect()


def documented_rights():
    line = re.search(r"ACL SETUSER (uricast [^\n]*)", (TOP / "docs/redis.md").read_text())
    return line[1].replace("'", "").split()


def as_user(redis):
    return f"redis://uricast:secret@127.0.0.1:{redis.port}"


def test_a_user_with_the_documented_rights_lacks_none(redis):
    redis.client.execute_command("ACL", "SETUSER", *documented_rights())
    assert "acl" not in doctor(redis, url=as_user(redis))


def test_each_right_that_is_missing_is_named(redis):
    words = documented_rights()
    optional = {"+config|get", "+select"}
    commands = [w for w in words if w.startswith("+") and w not in optional]
    assert len(commands) > 30
    for missing in commands:
        redis.client.execute_command("ACL", "DELUSER", "uricast")
        rights = [word for word in words if word != missing]
        redis.client.execute_command("ACL", "SETUSER", *rights)
        finding = doctor(redis, url=as_user(redis)).get("acl")
        assert finding, missing
        assert finding["message"] == f"the user lacks rights: {missing}"
        assert f"ACL SETUSER USER {missing} " in finding["fix"]


def test_keys_and_channels_out_of_reach_are_named(redis):
    words = documented_rights()
    for pattern in ("~uricast:*", "&uricast:*"):
        redis.client.execute_command("ACL", "DELUSER", "uricast")
        rights = [word for word in words if word != pattern]
        redis.client.execute_command("ACL", "SETUSER", *rights)
        finding = doctor(redis, url=as_user(redis))["acl"]
        assert finding["message"].endswith(f": {pattern}")


def test_a_wrong_password_and_no_redis_are_told_apart(redis):
    redis.client.config_set("requirepass", "x")
    url = f"redis://default:wrong@127.0.0.1:{redis.port}"
    finding = doctor(redis, url=url)["redis"]
    assert "WRONGPASS" in finding["message"]
    finding = doctor(redis)["redis"]
    assert "NOAUTH" in finding["message"] and "redis://user:password@host" in finding["fix"]
    nowhere = f"redis://127.0.0.1:{free_port()}"
    finding = doctor(redis, url=nowhere)["redis"]
    assert "Connection refused" in finding["message"]
    done = uricast("doctor", "--redis", nowhere)
    assert done.returncode == UNREACHABLE
    assert done.stdout.endswith(", 1 error\n")


def test_a_redis_that_hangs_is_found(redis):
    redis.pause()
    try:
        findings = doctor(redis)
    finally:
        redis.resume()
    assert findings["redis"]["severity"] == "error"


def test_few_files_are_found(redis):
    findings = doctor(redis, before=["prlimit", "--nofile=5000:5000"])
    assert "5000 files" in findings["file-limit"]["message"]
    assert "LimitNOFILE" in findings["file-limit"]["fix"]


@ROOT
def test_a_kernel_set_too_small_is_found(tmp_path, redis):
    redis.client.config_set("save", "")
    sockets = Redis(tmp_path, "redis-unix")
    path = tmp_path / "redis.sock"
    sockets.command += ["--unixsocket", str(path)]
    sockets.start()
    script = "echo 100 >/proc/sys/net/core/somaxconn;"
    script += "echo 40000 41000 >/proc/sys/net/ipv4/ip_local_port_range;"
    before = ["unshare", "--net", "sh", "-c", script + 'exec "$@"', "sh"]
    try:
        findings = doctor(None, url=f"unix:{path}", before=before)
    finally:
        sockets.kill()
    assert "sysctl -w net.core.somaxconn" in findings["somaxconn"]["fix"]
    assert findings["ip_local_port_range"]["message"].startswith("1001 ports")


@ROOT
@pytest.mark.skipif(SANITIZED, reason="libwebsockets leaks where it finds no plugin")
def test_a_missing_event_library_is_found(redis, tmp_path):
    (library,) = subprocess.run(
        ["sh", "-c", "ls /usr/lib/*/libwebsockets-evlib_uv.so"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    empty = tmp_path / "empty"
    empty.touch()
    script = f"mount --bind {empty} {library};"
    before = ["unshare", "--mount", "sh", "-c", script + 'exec "$@"', "sh"]
    finding = doctor(redis, before=before)["event-library"]
    assert "libwebsockets-evlib-uv" in finding["fix"]


class HourAhead(RedisProxy):
    """Stands before a Redis whose clock is an hour ahead."""

    TIME = re.compile(rb"\*2\r\n\$10\r\n(\d{10})\r\n\$\d\r\n\d+\r\n")

    def _keep(self, buffer):
        passed, rest = super()._keep(buffer)
        return self.TIME.sub(self.later, passed), rest

    @staticmethod
    def later(match):
        seconds = match[1]
        return match[0].replace(seconds, b"%d" % (int(seconds) + 3600), 1)


def test_clocks_that_differ_are_found(redis):
    assert "clock" not in doctor(redis)
    proxy = HourAhead(redis.port)
    try:
        finding = doctor(redis, url=proxy.url)["clock"]
    finally:
        proxy.close()
    assert re.match(r"Redis's clock is (3599|3600)\.\d+ s ahead", finding["message"])
    assert "chrony" in finding["fix"]


def test_an_address_that_no_poller_knows_is_found(start_fleet):
    def config(fleet):
        url = {"url": fleet.upstream.url, "resources": {"things": {"path": "/things"}}}
        known = {"services": {"known": url}}
        both = {"services": {"known": url, "other": url}}
        paths = []
        for name, content in (("poller", known), ("gateway", both)):
            paths.append(fleet.directory / f"{name}.json")
            paths[-1].write_text(json.dumps(content))
        return paths[1]

    fleet = start_fleet(gateways=1, pollers=0, config=config)
    fleet.poller_options = ["--config", fleet.directory / "poller.json"]
    fleet.new_poller().await_ready()
    gateway = f"http://127.0.0.1:{fleet.gateways[0].port}"
    with Watching("other/things", "--gateway", gateway):
        until_now(lambda: fleet.redis.client.scard("uricast:unclaimed"), "its interest")
        finding = doctor(fleet.redis)["unclaimed"]
        assert finding["severity"] == "error"
        assert finding["message"].endswith("other/things")


def test_the_dead_and_the_buried_are_found(redis):
    redis.client.zadd("uricast:pollers", {"p1": 1, "p2": 0, "p3": 2})
    redis.client.hset("uricast:owned:p2", "/a", 1)
    findings = doctor(redis)
    assert "2 sessions are past their lease" in findings["dead-sessions"]["message"]
    assert "1 buried sessions" in findings["buried-sessions"]["message"]
    assert "no poller is alive" in findings["pollers"]["message"]
    assert "no gateway is alive" in findings["gateways"]["message"]


def test_versions_that_differ_and_what_is_ill_are_found(redis):
    redis.client.zadd("uricast:pollers", {"p1": ALIVE, "p2": ALIVE})
    redis.client.zadd("uricast:gateways", {"g1": ALIVE})
    redis.client.hset("uricast:poller:p1", "version", "1.0")
    redis.client.hset("uricast:gateway:g1", "version", "1.1")
    redis.client.hset("uricast:owned:p1", mapping={"/a": 1, "/b": 1})
    for address, state in (("/a", "stale"), ("/b", "fresh")):
        redis.client.set(f"uricast:lock:{address}", "p1")
        redis.client.hset(f"uricast:resource:{address}", "state", state)
    findings = doctor(redis)
    assert "1.0 and 1.1" in findings["versions"]["message"]
    assert "1 of 2 resources" in findings["resources"]["message"]
    assert "1 resources were not checked" in findings["overdue"]["message"]


def test_who_cannot_be_reached_is_found(small_fleet, tmp_path):
    port = free_port()
    words = ["--gateway", f"http://127.0.0.1:{port}", "--metrics", f"127.0.0.1:{port}"]
    findings = doctor(small_fleet.redis, *words)
    assert "cannot be reached" in findings["gateway"]["message"]
    assert "cannot be reached" in findings["metrics"]["message"]
    # The upstream is a server, and no gateway.
    words = ["--gateway", f"http://127.0.0.1:{small_fleet.upstream.port}"]
    finding = doctor(small_fleet.redis, *words)["gateway"]
    assert "as no gateway does" in finding["message"]


def test_without_redis_the_others_are_looked_at_all_the_same(redis):
    port = free_port()
    words = ["--gateway", f"http://127.0.0.1:{port}", "--metrics", f"127.0.0.1:{port}"]
    findings = doctor(redis, *words, url=f"redis://127.0.0.1:{free_port()}")
    assert "cannot be reached" in findings["redis"]["message"]
    assert "cannot be reached" in findings["gateway"]["message"]
    assert "cannot be reached" in findings["metrics"]["message"]
    assert "fleet" not in findings and "pollers" not in findings


def test_a_process_that_is_not_ready_is_found(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1)
    client = fleet.redis.client
    client.execute_command("ACL", "SETUSER", "admin", "on", "nopass", "+@all", "~*", "&*")
    url = f"redis://admin:x@127.0.0.1:{fleet.redis.port}"
    client.execute_command("AUTH", "admin", "x")
    client.execute_command("ACL", "SETUSER", "default", "-@all")
    client.execute_command("CLIENT", "KILL", "USER", "default")
    try:
        poller = fleet.pollers[0]
        until_now(lambda: not poller.ready(), "a poller that is not ready")
        place = f"127.0.0.1:{poller.metrics_port}"
        finding = doctor(None, "--metrics", place, url=url)["metrics"]
        assert "is not ready" in finding["message"]
    finally:
        client.execute_command("ACL", "SETUSER", "default", "+@all")
