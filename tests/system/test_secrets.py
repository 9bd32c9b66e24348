"""Header values, passwords and keys reach their provider, and nobody else."""

import base64
import json
import ssl
import subprocess
import time

import pytest

from harness import run, until
from upstream import Answer

SECRETS = {
    "literal": "literal-5d41402a",
    "environment": "environment-bc4b2a76",
    "file": "file-b9719d91",
    "user": "user:password-1a7fcda0",
}
ROTATED = "rotated-86c57a82"
REFUSED = "refused-77f0c1de"


def certificate(directory, name):
    """A self-signed certificate for 127.0.0.1 and its key."""
    key, path = directory / f"{name}.key", directory / f"{name}.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]
    command += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", f"/CN={name}"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", key, "-out", path]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return path, key


def asks_for_certificate(server, client):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*server)
    context.load_verify_locations(client[0])
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.fixture(params=["text", "json"])
def secret_fleet(request, start_fleet, tmp_path, monkeypatch):
    """A provider that takes every kind of secret, one that lacks its own, and a spy."""
    server, client = certificate(tmp_path, "server"), certificate(tmp_path, "client")
    monkeypatch.setenv("TEST_SECRET", SECRETS["environment"])
    (tmp_path / "token").write_text(SECRETS["file"] + "\n")
    (tmp_path / "user").write_text(SECRETS["user"])

    def config(fleet):
        # Everything that is ever said to Redis, from the first command on.
        fleet.spied = tmp_path / "monitor"
        with open(fleet.spied, "wb") as output:
            command = ["redis-cli", "-p", str(fleet.redis.port), "monitor"]
            spy = subprocess.Popen(command, stdout=output)
        fleet.closers.append(lambda: (spy.kill(), spy.wait()))
        fleet.config = {
            "log_level": "debug",
            "log_format": request.param,
            "services": {
                "api": {
                    "url": fleet.upstream.url,
                    "default": True,
                    "interval": 0.2,
                    "headers": {
                        "X-Literal": SECRETS["literal"],
                        "X-Environment": "env:TEST_SECRET",
                        "X-File": f"file:{tmp_path}/token",
                    },
                    "basic": f"file:{tmp_path}/user",
                    "tls": {
                        "ca": str(server[0]),
                        "certificate": str(client[0]),
                        "key": str(client[1]),
                    },
                },
                "without": {
                    "url": fleet.upstream.url,
                    "raw": True,
                    "interval": 0.2,
                    "headers": {"X-File": f"file:{tmp_path}/missing"},
                },
                "unknown": {"url": fleet.upstream.url, "raw": True, "interval": 0.2},
            },
        }
        return fleet.config

    tls = asks_for_certificate(server, client)
    return start_fleet(gateways=1, pollers=1, config=config, upstream_tls=tls)


def said_by(fleet):
    """Everything that anybody but the provider could read, by where."""
    for process in fleet.gateways + fleet.pollers:
        yield f"log of {process.name}", process.log()
        yield f"metrics of {process.name}", process.monitor("/metrics").text
    yield "Redis", fleet.spied.read_text(errors="replace")
    path = fleet.directory / "uricast.json"
    for process in fleet.gateways + fleet.pollers:
        command = [process.command[0], "--config", path, "--check-config"]
        done = subprocess.run(command, capture_output=True, text=True)
        yield f"check of {process.name}", done.stdout + done.stderr
        path.write_text(json.dumps({**fleet.config, "lease": "never"}))
        done = subprocess.run(command, capture_output=True, text=True)
        yield f"mistake of {process.name}", done.stdout + done.stderr


def assert_nobody_heard(fleet, client):
    encoded = base64.b64encode(SECRETS["user"].encode()).decode()
    secrets = [*SECRETS.values(), "password-1a7fcda0", encoded, ROTATED, REFUSED]
    places = dict(said_by(fleet))
    places["frames"] = "\n".join(client.texts)
    assert "uricast:resource:/a" in places["Redis"]
    for where, text in places.items():
        for secret in secrets:
            assert secret not in text, where
        assert "PRIVATE KEY" not in text, where


def test_secrets_reach_their_provider_and_nobody_else(secret_fleet, tmp_path):
    fleet = secret_fleet
    fleet.upstream.set("/a", {"n": 1})
    fleet.upstream.set("/broken", {"error": "no"}, status=500)

    async def test():
        async with fleet.client() as client:
            for uri in ("/a", "/broken", "without:/a", "unknown:/a"):
                await client.subscribe(uri)
            await client.content("/a")
            sent = fleet.upstream.last("/a").headers
            assert sent["x-literal"] == SECRETS["literal"]
            assert sent["x-environment"] == SECRETS["environment"]
            assert sent["x-file"] == SECRETS["file"]
            basic = base64.b64decode(sent["authorization"].removeprefix("Basic "))
            assert basic.decode() == SECRETS["user"]

            await client.state("/broken", "error")
            lacking = await client.state("without:/a", "error")
            assert lacking["error"]["code"] == "upstream_secret"
            assert "X-File" in lacking["error"]["message"]
            untrusted = await client.state("unknown:/a", "error")
            assert untrusted["error"]["code"] == "upstream_tls"

            (tmp_path / "token").write_text(ROTATED)
            await until(
                lambda: fleet.upstream.last("/a").headers["x-file"] == ROTATED,
                "the file's new value",
            )
            (tmp_path / "missing").write_text(REFUSED)
            assert_nobody_heard(fleet, client)

    run(test())


def test_a_value_that_was_refused_is_read_again(secret_fleet, tmp_path):
    fleet = secret_fleet

    def judge(request):
        known = request.headers.get("x-file") == ROTATED
        if not known:
            (tmp_path / "token").write_text(ROTATED)
        return Answer({"known": known}, status=200 if known else 401)

    fleet.upstream.set_answer("/a", judge)

    async def test():
        async with fleet.client() as client:
            await client.subscribe("/a")
            await client.content("/a", lambda content: content == {"known": True})
            assert [frame for frame in client.frames if "state" in frame] == []
            assert_nobody_heard(fleet, client)

    run(test())


def test_headers_of_a_reload_count_from_the_next_poll(secret_fleet):
    fleet = secret_fleet
    fleet.upstream.set("/a", {"n": 1})
    path = fleet.directory / "uricast.json"

    async def test():
        async with fleet.client() as client:
            await client.subscribe("/a")
            await client.content("/a")
            mark = client.mark()
            fleet.config["services"]["api"]["headers"] = {"X-Literal": ROTATED}
            path.write_text(json.dumps(fleet.config))
            for process in fleet.gateways + fleet.pollers:
                process.reload()
            since = time.monotonic() + 0.2
            await until(lambda: fleet.upstream.count("/a", since) >= 3, "three polls")
            sent = fleet.upstream.last("/a").headers
            assert sent["x-literal"] == ROTATED
            assert "x-file" not in sent and "x-environment" not in sent
            assert client.mark() == mark
            assert_nobody_heard(fleet, client)

    run(test())
