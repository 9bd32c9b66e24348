"""Diff: from the bytes of a changed body to the bytes of the patch.

Our scanner and diff, as the poller uses them, against a copy of the body, json-c's parse of
it, and what else there is: the npm libraries (package-lock.json in diff_peers/; installed
into the build directory), and python3-jsonpatch. All of them start from bytes and end with
bytes. What counts is CPU, which a busy host falsifies least, and the ratios of one run;
passes are interleaved. A peer that takes too long for a case, or fails, is left out of it.
"""

import dataclasses
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

from diff_corpus import cases
from measure import Report
from stage import TOOLS

SETTINGS = {
    "passes": 3,
    "seconds": 0.5,  # of each measurement
    "patience_s": 15.0,  # with one measurement of a peer
    "peers": 1,
}
HERE = pathlib.Path(__file__).resolve().parent / "diff_peers"
INSTALLED = TOOLS / "diff_peers"
KEY_CASE = "2000 servers, one changed"


@dataclasses.dataclass
class Peer:
    name: str
    command: list

    def measure(self, files, settings):
        """What it prints, or in a word why there is nothing."""
        command = [*self.command, *files, settings["seconds"]]
        try:
            done = subprocess.run(
                [str(word) for word in command],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                check=True,
                timeout=settings["patience_s"],
            )
        except subprocess.TimeoutExpired:
            return "too slow"
        except subprocess.CalledProcessError:
            return "fails"
        return json.loads(done.stdout)


def install_peers():
    """What npm has, by the lock file. Without npm there are fewer peers."""
    peers = [Peer("python3-jsonpatch", [sys.executable, HERE / "measure.py"])]
    if not shutil.which("npm"):
        print("diff: no npm, so none of its libraries", file=sys.stderr)
        return peers
    INSTALLED.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, INSTALLED)
    subprocess.run(
        ["npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=INSTALLED,
        check=True,
    )
    names = json.loads((HERE / "package.json").read_text())["dependencies"]
    node = ["node", HERE / "measure.js", INSTALLED]
    return peers + [Peer(name, [*node, name]) for name in names]


class Measured:
    """One case, by all."""

    def __init__(self, stage, case, number):
        self.case = case
        self.files = []
        for side in ("before", "after"):
            path = stage.directory / f"{number}.{side}.json"
            path.write_bytes(getattr(case, side))
            self.files.append(path)
        self.ours = []
        self.peers = {}  # name: results by pass
        self.left_out = {}  # name: why

    def run_pass(self, ours, peers, settings):
        result = ours.measure(self.files, {**settings, "patience_s": 600})
        if isinstance(result, str):
            sys.exit(f"diff: bench-diff: {result}")
        self.ours.append(result)
        for peer in peers:
            if peer.name in self.left_out:
                continue
            measured = peer.measure(self.files, settings)
            if isinstance(measured, str):
                self.left_out[peer.name] = measured
                self.peers.pop(peer.name, None)
            else:
                self.peers.setdefault(peer.name, []).append(measured)

    def ratios(self, name, to):
        return [result[name] / result[to] for result in self.ours]

    def times_faster(self, peer):
        return [
            theirs["us"] / ours["patch_us"]
            for theirs, ours in zip(self.peers[peer], self.ours)
        ]

    def add_figures(self, report):
        name, ours = self.case.name, self.ours[-1]
        report.add(f"{name}: body", ours["body_bytes"], "bytes")
        report.add("  patch", ours["patch_bytes"], "bytes")
        add_spread(report, "  scan, patch", [r["patch_us"] for r in self.ours], "µs")
        add_spread(
            report, "  scan, patch / memcpy", self.ratios("patch_us", "memcpy_us")
        )
        add_spread(report, "  scan alone / memcpy", self.ratios("scan_us", "memcpy_us"))
        faster = self.ratios("json_c_us", "scan_us")
        add_spread(report, "  json-c's parse / our scan", faster)
        for peer, results in self.peers.items():
            add_spread(report, f"  {peer} / ours", self.times_faster(peer))
            report.add(f"  {peer}: what it writes", results[-1]["bytes"], "bytes")
        for peer, why in self.left_out.items():
            report.add(f"  {peer}", why)


def add_spread(report, name, values, unit=""):
    """The median, and between what the passes were."""
    between = f"{unit} ({min(values):,.1f} to {max(values):,.1f})".strip()
    report.add(name, statistics.median(values), between)


def run(stage, settings):
    report = Report()
    ours = Peer("uricast", [TOOLS / "bench-diff"])
    peers = install_peers() if settings["peers"] else []
    measured = [Measured(stage, case, n) for n, case in enumerate(cases())]
    for number in range(settings["passes"]):
        for one in measured:
            print(f"pass {number + 1}: {one.case.name}", file=sys.stderr, flush=True)
            one.run_pass(ours, peers, settings)
    for one in measured:
        one.add_figures(report)
    add_answer(report, next(one for one in measured if one.case.name == KEY_CASE))
    return report


def add_answer(report, measured):
    """The case that matters most: how much faster than the fastest of the others."""
    if not measured.peers:
        return
    fastest = max(
        measured.peers, key=lambda p: -statistics.median(measured.times_faster(p))
    )
    add_spread(
        report,
        f"{KEY_CASE}: times faster than {fastest}, the fastest peer",
        measured.times_faster(fastest),
    )
