"""Writes docs/benchmarks.md and its plots from the last results of every benchmark.

Results are kept as JSON in the build directory, so that one benchmark can be measured
again without the others. What was never measured there stands in the page as before.
"""

import datetime
import importlib
import json
import os
import pathlib
import platform

import plot
from stage import BUILD

RESULTS = BUILD / "bench-results"
DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
HEAD = """\
# Benchmarks

What uricast costs, beside the least that anything could cost (a *floor*: a bare program
that does only what cannot be left out) and beside other programs of its kind. This page is
written by `tests/bench/run --write`; nothing in it is typed by hand but these words.

    tests/bench/run                      all of them, printed
    tests/bench/run poll fanout          some
    tests/bench/run poll --set passes=1  with other settings
    tests/bench/run --write fanout       and rewrites this page

It needs what `deploy/install-packages build run test` installs. Peers (wrk, nginx with
nchan, node's ws) are unpacked below the build directory; one that cannot be had is left
out. Everything runs on one machine over loopback, without TLS.

**How to read it.** Variants are measured in turn, pass by pass; a figure is the median of the
passes, in brackets the least and the most of them. A ratio (x) is taken inside of a pass,
because a busy machine slows both sides alike: ratios hold on other machines, microseconds do
not. CPU is what the kernel accounts to the process, its own part included.
"""


def keep(name, report, settings):
    RESULTS.mkdir(exist_ok=True)
    result = report.as_dict() | {"settings": settings, "measured": machine()}
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent="\t"))


def machine():
    today = datetime.datetime.now(datetime.timezone.utc).date()
    return f"{today}, {os.cpu_count()} cores, Linux {platform.release().split('-')[0]}"


def number(value):
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 3
    return f"{value:,.{digits}f}"


def table(result):
    yield "| | | |"
    yield "|---|---:|---|"
    for name, value, unit in result["rows"]:
        text = number(value)
        if name in result["spreads"]:
            least, most = (number(end) for end in result["spreads"][name])
            text += f" ({least} to {most})"
        yield f"| {name} | {text} | {unit} |"


def plots(name, result):
    for title, drawing in result["plots"].items():
        path = f"benchmark-{name}-{drawing['file']}.svg"
        series = {line: dict(points) for line, points in drawing["series"].items()}
        text = plot.KINDS[drawing["kind"]](title, drawing["unit"], series)
        (DOCS / path).write_text(text)
        yield f"![{title}]({path})"
        yield ""


def section(name, what, result):
    text = importlib.import_module(name.replace("-", "_")).__doc__.strip()
    settings = ", ".join(f"{key}={value}" for key, value in result["settings"].items())
    yield f"## {name}: {what}"
    yield ""
    yield text.partition("\n\n")[2] or text
    yield ""
    yield f"Measured {result['measured']}, with `{settings}`."
    yield ""
    for wrong in result["wrong"]:
        yield f"**Wrong:** {wrong}"
        yield ""
    yield from plots(name, result)
    yield from table(result)
    yield ""


def standing_sections(page):
    """By name, as the page has them."""
    texts = page.read_text().split("\n## ")[1:] if page.exists() else []
    return {text.partition(":")[0]: "## " + text.rstrip() + "\n" for text in texts}


def write(names):
    page = DOCS / "benchmarks.md"
    standing = standing_sections(page)
    lines = [HEAD]
    for name, what in names.items():
        path = RESULTS / f"{name}.json"
        if path.exists():
            lines += section(name, what, json.loads(path.read_text()))
        elif name in standing:
            lines.append(standing[name])
    page.write_text("\n".join(lines).rstrip() + "\n")
