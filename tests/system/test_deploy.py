"""What deploy/ installs and makes is complete, and as the documentation says."""

import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import redis as redis_client

from harness import BUILD, TOP, Gateway, Poller, Process, free_port, until_now
from upstream import Upstream

EXPOSURE_MOST = 20  # tenths, of 100, by systemd's own measure; it calls 50 "medium"


def command(*words, **options):
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, **options
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    directory = tmp_path_factory.mktemp("installed")
    command(
        *("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet"),
        *("--destdir", directory),
    )
    return directory


def one(directory, pattern):
    found = [path for path in directory.rglob(pattern) if path.is_file()]
    assert len(found) == 1, f"{pattern}: {found}"
    return found[0]


def unit_as_built(installed, directory, kind):
    """The unit as installed, but for the path of its program, under an instance's name."""
    text = one(installed, f"uricast-{kind}@.service").read_text()
    program = re.search(r"^ExecStart=(\S+)", text, re.M)[1]
    assert (installed / program.lstrip("/")).is_file()
    path = directory / f"uricast-{kind}@1.service"
    path.write_text(text.replace(program, str(BUILD / kind / f"uricast-{kind}")))
    return path


def test_everything_is_installed_where_it_belongs(installed):
    units = pathlib.Path("usr/lib/systemd/system")
    for name in ("uricast.target", "uricast.slice"):
        assert one(installed, name) == installed / units / name
    assert (
        one(installed, "uricast.conf") == installed / "usr/lib/sysusers.d/uricast.conf"
    )
    for program in ("uricast-gateway", "uricast-poller"):
        assert os.access(one(installed, program), os.X_OK)
        assert one(installed, f"{program}@.service").parent == installed / units
    examples = one(installed, "haproxy.cfg").parent
    named = {path.name for path in examples.iterdir()}
    assert named >= {"redis.conf", "rules.yml", "uricast.json"}
    assert os.access(one(installed, "bin/uricast"), os.X_OK)
    for page in ("uricast.1", "uricast-gateway.8", "uricast-poller.8"):
        assert one(installed, page).parent.name == f"man{page[-1]}"


@pytest.mark.parametrize("kind", ["gateway", "poller"])
def test_systemd_finds_no_mistake_in_the_units_and_little_exposure(
    installed, tmp_path, kind
):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze")
    unit = unit_as_built(installed, tmp_path, kind)
    text = command("systemd-analyze", "verify", "--man=no", unit)
    assert "uricast" not in text, text
    command(
        *("systemd-analyze", "security", "--offline=true"),
        *(f"--threshold={EXPOSURE_MOST}", unit),
    )


@pytest.fixture
def secrets(tmp_path):
    directory = tmp_path / "secrets"
    command(TOP / "deploy/new-secrets", directory, "--name", "panel.example.com")
    return directory


def test_secrets_are_made_once_and_fit_together(secrets):
    before = {path.name: path.read_bytes() for path in secrets.iterdir()}
    command(TOP / "deploy/new-secrets", secrets)
    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == before
    assert secrets.stat().st_mode & 0o077 == 0
    users = before["redis-users.acl"].decode()
    for user, name in (("uricast", "redis-url"), ("looker", "redis-looker-url")):
        password = re.fullmatch(
            rf"redis://{user}:(\w+)@redis:6379/0", str(before[name], "ascii")
        )[1]
        assert (
            f"user {user} on #{hashlib.sha256(password.encode()).hexdigest()} " in users
        )
    text = command("openssl", "x509", "-noout", "-text", "-in", secrets / "tls.pem")
    assert "DNS:panel.example.com" in text


def test_no_container_has_capabilities_or_gains_rights():
    text = (TOP / "deploy/docker-compose.yml").read_text()
    shared = text.split("x-uricast:")[1].split("\nservices:")[0]
    services = text.split("\nservices:\n")[1].split("\nnetworks:")[0]
    parts = re.split(r"^  (\w+):$", services, flags=re.M)[1:]
    assert len(parts) >= 14
    for name, part in zip(parts[::2], parts[1::2]):
        whole = part.replace("<<: *uricast", shared)
        assert "cap_drop: [ALL]" in whole, name
        assert 'security_opt: ["no-new-privileges:true"]' in whole, name


def test_users_of_redis_have_the_documented_rights():
    documented = dict(
        re.findall(
            r"ACL SETUSER (\w+) on '>secret' (.*)", (TOP / "docs/redis.md").read_text()
        )
    )
    given = dict(
        re.findall(
            r"user (\w+) on #@\w+@ (.*)", (TOP / "deploy/redis/users.acl").read_text()
        )
    )
    assert given == documented and set(given) == {"uricast", "looker"}


@pytest.fixture
def upstream():
    upstream = Upstream(free_port())
    upstream.set("/a", {"n": 1})
    yield upstream
    upstream.close()


def assert_nothing(wrong):
    assert wrong is None, wrong


def test_a_fleet_runs_with_redis_as_it_is_deployed(secrets, upstream, tmp_path):
    port = free_port()
    config = (TOP / "deploy/redis/redis.conf").read_text()
    for before, after in (
        ("port 6379", f"port {port}\nbind 127.0.0.1"),
        ("/run/secrets", str(secrets)),
        ("dir /data", f"dir {tmp_path}"),
    ):
        assert config.count(before) == 1
        config = config.replace(before, after)
    path = tmp_path / "redis.conf"
    path.write_text(config)
    anybody = redis_client.Redis(port=port)

    def answers():
        try:
            return anybody.ping()
        except redis_client.ConnectionError:
            return False

    with contextlib.ExitStack() as stack:

        def start(process):
            stack.callback(lambda: assert_nothing(process.end()))
            return process.start()

        start(Process("redis-deployed", tmp_path, ["redis-server", path]))
        until_now(answers, "Redis answers to anybody's PING")
        with pytest.raises(redis_client.RedisError):
            anybody.get("uricast:lock:/a")
        url = (
            (secrets / "redis-url")
            .read_text()
            .replace("redis:6379", f"127.0.0.1:{port}")
        )
        options = ["--upstream", upstream.url, "--interval", "0.2"]
        poller = start(Poller("poller", tmp_path, url, *options))
        gateway = start(Gateway("gateway", tmp_path, url))
        for process in (poller, gateway):
            process.await_ready()
        assert gateway.resource("/a").json == {"n": 1}
        for process in (poller, gateway):
            assert process.metric("uricast_redis_reconnects_total") == 0
            assert " warn " not in process.log() and " error " not in process.log()
