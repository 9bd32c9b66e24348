"""A container engine and the images: what is there, or what can be made of Debian."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
HERE = TOP / "deploy" / "test-compose.d"
CACHE = pathlib.Path("/var/cache/uricast")
LOCAL_CA = pathlib.Path("/usr/local/share/ca-certificates")
RUN = pathlib.Path("/run/uricast-test-compose")
OFFICIAL = {
    "redis": "redis:7.2-bookworm",
    "haproxy": "haproxy:3.0-bookworm",
    "prometheus": "prom/prometheus:v2.53.0",
}
BASE = "debian:13-slim"
PULL_S = 120
BUILD_S = 1800


def say(text):
    print(text, flush=True)


def run(*command, deadline=120, check=True, environment=None, quiet=True):
    """Runs a command to its end; its output is returned, and shown if it fails."""
    result = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        timeout=deadline,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    if check and result.returncode != 0:
        tail = "\n".join((result.stdout or "").splitlines()[-30:])
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{tail}")
    return result


class Engine:
    """The engine that runs here, or one of our own for as long as the test takes."""

    def __init__(self):
        self.own = None

    def __enter__(self):
        if self.answers():
            say("engine      the one that runs here")
            return self
        if not shutil.which("dockerd"):
            raise SystemExit(
                "no engine answers, and there is no dockerd (package docker.io)"
            )
        os.environ["DOCKER_HOST"] = f"unix://{RUN}/docker.sock"
        RUN.mkdir(parents=True, exist_ok=True)
        with open(RUN / "dockerd.log", "wb") as log:
            self.own = subprocess.Popen(
                [
                    "dockerd",
                    "--data-root",
                    CACHE / "docker",
                    "--exec-root",
                    RUN / "exec",
                ]
                + ["--pidfile", RUN / "dockerd.pid", "-H", os.environ["DOCKER_HOST"]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + 60
        while not self.answers():
            if self.own.poll() is not None or time.monotonic() > end:
                tail = (RUN / "dockerd.log").read_text().splitlines()[-10:]
                raise SystemExit("dockerd does not start:\n" + "\n".join(tail))
            time.sleep(0.2)
        say("engine      a dockerd of our own")
        return self

    def __exit__(self, *_):
        if self.own:
            self.own.terminate()
            self.own.wait(60)

    def answers(self):
        with contextlib.suppress(OSError):
            return run("docker", "version", check=False).returncode == 0
        return False


def compose_command():
    """Version 2 where it is, else version 1."""
    if run("docker", "compose", "version", check=False).returncode == 0:
        return ["docker", "compose"]
    if not shutil.which("docker-compose"):
        raise SystemExit("there is neither `docker compose` nor docker-compose")
    return ["docker-compose"]


def build(dockerfile, context, tag, *options):
    command = ["docker", "build", "-f", dockerfile, "-t", tag, *options, context]
    with_builder = run("docker", "buildx", "version", check=False).returncode == 0
    environment = {"DOCKER_BUILDKIT": "1" if with_builder else "0"}
    run(*command, deadline=BUILD_S, environment=environment)


def have(image):
    return run("docker", "image", "inspect", image, check=False).returncode == 0


def pulled(image):
    if have(image):
        return True
    with contextlib.suppress(subprocess.TimeoutExpired):
        return (
            run("docker", "pull", image, deadline=PULL_S, check=False).returncode == 0
        )
    return False


def make_base():
    """A Debian 13 from the mirror this host uses, as an image."""
    image, archive = "uricast-test/debian:13", CACHE / "debian-13.tar"
    if have(image):
        return image
    if not archive.exists():
        if not shutil.which("debootstrap"):
            raise SystemExit("debootstrap is needed to make a base image")
        root = CACHE / "debian-13.new"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        mirror = os.environ.get("MIRROR", "http://deb.debian.org/debian")
        command = ["debootstrap", "--variant=minbase", "trixie", root, mirror]
        run(*command, deadline=BUILD_S)
        for waste in ("var/cache/apt/archives", "var/lib/apt/lists"):
            shutil.rmtree(root / waste)
            (root / waste / "partial").mkdir(parents=True)
        run("tar", "-C", root, "-cf", f"{archive}.new", ".")
        os.rename(f"{archive}.new", archive)
        shutil.rmtree(root)
    run("docker", "import", archive, image)
    return image


def trusted_here():
    """The authorities this host trusts beside those that Debian does."""
    return "\n".join(path.read_text() for path in sorted(LOCAL_CA.glob("*.crt")))


def prepare_images():
    """Names of images by what docker-compose.yml calls them in its variables."""
    images = {
        "URICAST_IMAGE": "uricast-test/uricast",
        "DEMO_IMAGE": "uricast-test/demo",
    }
    base, stand_ins = BASE, []
    if not pulled(BASE):
        base = make_base()
    for name, official in OFFICIAL.items():
        # One registry that cannot be reached is not asked again.
        image = official
        if base != BASE or not pulled(official):
            image = f"uricast-test/{name}"
            build(
                *(HERE / "Dockerfile", HERE, image, "--target", name),
                *("--build-arg", f"BASE={base}"),
            )
            stand_ins.append(name)
        images[f"{name.upper()}_IMAGE"] = image
    say(f"base        {base}")
    if stand_ins:
        say(f"stand-ins   {', '.join(stand_ins)}: from Debian's packages")
    file, options = TOP / "deploy/Dockerfile", ("--build-arg", f"BASE={base}")
    npm_ca = ("--build-arg", f"NPM_CA={trusted_here()}")
    build(file, TOP, images["URICAST_IMAGE"], *options, *npm_ca)
    build(file, TOP, images["DEMO_IMAGE"], "--target", "demo", *options)
    return {**images, "BASE": base}


if __name__ == "__main__":
    sys.exit("this is a part of deploy/test-compose")
