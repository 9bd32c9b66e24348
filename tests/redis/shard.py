"""A real Redis with the scripts in it, and what tests ask of them.

Everything listens on 127.0.0.1 only, on a port nothing else uses. URICAST_REDIS_SERVER
names another redis-server.
"""

import contextlib
import importlib.util
import os
import pathlib
import random
import re
import socket
import subprocess
import time

import redis

TOP = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = TOP / "common/scripts"
PREFIX = "uricast:"

# What has no time to live, and what the scripts give to the rest; scripts/prelude.lua.
FOR_EVER = {PREFIX + name for name in ("pollers", "gateways", "unclaimed")}
TTL, INDEX_TTL, RETENTION = 900, 1800, 60


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def script_texts():
    """Name to text, made as the build makes it."""
    build = load(SCRIPTS / "build.py")
    head = build.prelude((TOP / "common/keys.h").read_text())
    head += (SCRIPTS / "prelude.lua").read_text()
    paths = [path for path in SCRIPTS.glob("*.lua") if path.stem != "prelude"]
    return {path.stem: build.with_prelude(path.read_text(), head) for path in paths}


def free_port():
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


class Server:
    """A redis-server of our own, gone at the end of the `with`."""

    def __init__(self, directory, *options):
        self.directory = pathlib.Path(directory)
        self.options = options
        self.port = free_port()

    def __enter__(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        program = os.environ.get("URICAST_REDIS_SERVER", "redis-server").split()
        command = [*program, "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self.directory), "--save", "", *self.options]
        with open(self.directory / "redis.log", "ab") as log:
            self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log)
        client = self.client()
        deadline = time.monotonic() + 20
        while True:
            try:
                client.ping()
                return self
            except redis.ConnectionError:
                assert self.popen.poll() is None, "redis-server has ended"
                assert time.monotonic() < deadline, "redis-server does not answer"
                time.sleep(0.02)

    def __exit__(self, *_):
        self.popen.kill()
        self.popen.wait(20)

    def client(self, **options):
        options.setdefault("decode_responses", True)
        return redis.Redis(host="127.0.0.1", port=self.port, **options)


class Shard:
    """The scripts, called as the programs call them; plain commands through `.redis`."""

    def __init__(self, client):
        self.redis = client
        self.scripts = {
            name: client.register_script(text) for name, text in script_texts().items()
        }

    def run(self, name, *args):
        return self.scripts[name](keys=[PREFIX], args=args)

    def now_ms(self):
        seconds, us = self.redis.time()
        return seconds * 1000 + us // 1000

    # ---- sessions ----

    def enter(self, kind, *sessions, lease_ms=3000):
        for session in sessions:
            assert self.run("enter", kind, session, lease_ms, "host", "h")[0] == "entered"

    def renew(self, kind, session, checked=None, facts=None, lease_ms=3000):
        args = [word for fact in (facts or {}).items() for word in fact]
        args += [word for entry in (checked or {}).items() for word in entry]
        return self.run("renew", kind, session, lease_ms, len(facts or {}), *args)

    def lapse(self, kind, session):
        """The session's lease ended a moment ago."""
        self.redis.zadd(f"{PREFIX}{kind}s", {session: self.now_ms() - 1})

    def bury(self, kind, session):
        self.run("leave", kind, session)

    # ---- resources ----

    def interest(
        self, gateway, *addresses, held=0, version=None, subscribers=1, interval_ms=0
    ):
        """@held is the revision that the gateway holds, and the version if none is given."""
        share = (subscribers, interval_ms, held if version is None else version, held)
        args = [word for address in addresses for word in (address, *share)]
        return self.run("interest", gateway, *args)

    def claim(self, session, *addresses, may_bury=False, content=False):
        return self.run("claim", session, int(may_bury), int(content), *addresses)

    def own(self, session, *addresses, gateway="g"):
        """@session, and @gateway with interest, come alive; the addresses are claimed."""
        self.enter("gateway", gateway)
        self.enter("poller", session)
        self.interest(gateway, *addresses)
        for entry in self.claim(session, *addresses)[1:]:
            assert entry[0] == "claimed", entry

    def commit(self, session, address, base=0, content=None, **options):
        """content=None commits the state only."""
        fields = {"url": "http://u/" + address, **options.pop("fields", {})}
        settings = dict(known=0, patch="", state="fresh", error="", polls=1, answered_at=0)
        settings.update(checked_at=self.now_ms(), interval_ms=5000)
        assert options.keys() <= settings.keys(), options
        settings.update(options)
        args = [session, address, base, settings["known"]]
        args += ["0", ""] if content is None else ["1", content]
        args += [settings[name] for name in ("patch", "state", "error", "checked_at")]
        args += [settings["interval_ms"], settings["polls"], settings["answered_at"]]
        args += [word for field in fields.items() for word in field]
        return self.run("commit", *args)

    def committed(self, *args, **options):
        """The revision and version of a commit that goes well."""
        answer = self.commit(*args, **options)
        assert answer[0] == "committed", answer
        return int(answer[1]), int(answer[2])

    def check(self, kind, session, *addresses):
        """One entry per address: [revision, floor, owner, interest, of a gateway checked_at]."""
        answer = self.run("check", kind, session, *addresses)
        fields = 5 if kind == "gateway" else 4
        assert len(answer) == fields * len(addresses)
        return [answer[i : i + fields] for i in range(0, len(answer), fields)]

    # ---- looking ----

    def get(self, name):
        """Whatever the key `uricast:NAME` holds; None, {} or set() where it is not."""
        key = PREFIX + name
        kind = self.redis.type(key)
        return {
            "none": lambda: None,
            "string": lambda: self.redis.get(key),
            "hash": lambda: self.redis.hgetall(key),
            "set": lambda: self.redis.smembers(key),
            "zset": lambda: dict(self.redis.zrange(key, 0, -1, withscores=True)),
        }[kind]()

    def lock(self, address):
        return self.get("lock:" + address)

    def resource(self, address):
        return self.get("resource:" + address) or {}

    def owned(self, session):
        return self.get("owned:" + session) or {}

    def unclaimed(self):
        return self.get("unclaimed") or set()

    def ttl(self, name):
        return self.redis.ttl(PREFIX + name)

    def everything(self):
        """Key name without the prefix to (value, seconds to live), in one step."""
        found = {}
        for key, kind, ttl, value in self.redis.eval(EVERYTHING, 0):
            if kind in ("hash", "zset"):
                value = dict(zip(value[::2], value[1::2]))
            elif kind == "set":
                value = set(value)
            found[key[len(PREFIX) :]] = (value, ttl)
        return found

    def values(self):
        return {name: value for name, (value, _) in self.everything().items()}

    @contextlib.contextmanager
    def listening(self):
        """Yields heard(): the (channel, message) published since the last time, in order."""
        pubsub = self.redis.pubsub(ignore_subscribe_messages=False)
        pubsub.psubscribe(PREFIX + "*", "mark")
        for _ in range(2):
            assert pubsub.get_message(timeout=10)["type"] == "psubscribe"

        def heard():
            self.redis.publish("mark", "")
            messages = []
            while True:
                message = pubsub.get_message(timeout=10)
                if message["channel"] == "mark":
                    return messages
                messages.append((message["channel"][len(PREFIX) :], message["data"]))

        yield heard
        pubsub.close()


EVERYTHING = """
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
    local kind, value = redis.call('TYPE', key).ok, nil
    if kind == 'string' then value = redis.call('GET', key)
    elseif kind == 'hash' then value = redis.call('HGETALL', key)
    elseif kind == 'set' then value = redis.call('SMEMBERS', key)
    else value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end
    found[#found + 1] = {key, kind, redis.call('TTL', key), value}
end
return found
"""

CHANGE = re.compile(
    r"(?P<revision>0|[1-9]\d*) (?P<previous_revision>0|[1-9]\d*) "
    r"(?P<version>0|[1-9]\d*) (?P<previous_version>0|[1-9]\d*) "
    r"(?P<state>fresh|stale|error|gone) (?P<type>json|text) (?P<checked_at>0|[1-9]\d*) "
    r"(?P<interval_ms>0|[1-9]\d*) (?P<content_bytes>-|0|[1-9]\d*) "
    r"(?P<patch_bytes>0|[1-9]\d*) (?P<error_bytes>0|[1-9]\d*) "
    r"(?P<answered_at>0|[1-9]\d*)\n"
)


def parse_change(message):
    """A message of `uricast:change:A` as common/change.h has it; fails where it is not so."""
    header = CHANGE.match(message)
    assert header, message[:200]
    change = {
        name: int(value) if value.isdigit() else value
        for name, value in header.groupdict().items()
    }
    rest = message[header.end() :].encode()
    for name in ("content", "patch", "error"):
        length = change.pop(name + "_bytes")
        change[name] = None if length == "-" else rest[:length].decode()
        if length != "-":
            assert len(rest) >= length
            rest = rest[length:]
    assert rest == b""
    return change
