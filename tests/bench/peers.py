"""Programs of others to compare with, from Debian and npm, below the build directory.

Packages are unpacked there and not installed: nothing of the system changes, and no
service starts. A peer that cannot be had is left out with a line that says why.
"""

import pathlib
import subprocess
import sys

from stage import BUILD

PEERS = BUILD / "bench-peers"
HERE = pathlib.Path(__file__).resolve().parent


def run(command, directory):
    """Whether it succeeded; what it said goes to stderr where it did not."""
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, errors="replace"
    )
    if done.returncode != 0:
        print((done.stdout + done.stderr)[-600:], file=sys.stderr)
    return done.returncode == 0


def skip(name, why):
    print(f"{name} is left out: {why}", file=sys.stderr)


def unpack(name, packages):
    """The root that Debian's packages are unpacked in, or None."""
    root = PEERS / name
    if (root / "complete").exists():
        return root
    root.mkdir(parents=True, exist_ok=True)
    if not run(["apt-get", "-qq", "download", *packages], root):
        return skip(name, f"apt-get cannot download {' '.join(packages)}")
    for package in root.glob("*.deb"):
        if not run(["dpkg", "-x", package, root], root):
            return skip(name, f"{package.name} cannot be unpacked")
    (root / "complete").touch()
    return root


def command_in(root, program):
    """The words that start @program with the libraries beside it."""
    libraries = ":".join(str(path) for path in root.glob("usr/lib/*-linux-gnu*"))
    return ["env", f"LD_LIBRARY_PATH={libraries}", root / program]


def wrk():
    """The words that start wrk, or None."""
    root = unpack("wrk", ["wrk", "libluajit-5.1-2"])
    return root and command_in(root, "usr/bin/wrk")


def nchan():
    """The root with nginx and its module nchan, or None."""
    return unpack("nchan", ["nginx", "libnginx-mod-nchan"])


def node_ws():
    """The directory that has node_modules/ws, or None."""
    directory = PEERS / "node"
    if (directory / "complete").exists():
        return directory
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        (directory / name).write_bytes((HERE / name).read_bytes())
    try:
        installed = run(["npm", "ci", "--no-audit", "--no-fund"], directory)
    except FileNotFoundError:
        return skip("node ws", "there is no npm")
    if not installed:
        return skip("node ws", "npm cannot install it")
    (directory / "complete").touch()
    return directory
