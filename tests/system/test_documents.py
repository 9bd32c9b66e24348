"""The documents name what there is: files, functions, sections, Redis scripts."""

import re

import pytest

from harness import TOP

DOCUMENTS = [
    TOP / "README.md",
    TOP / "CONTRIBUTING.md",
    *sorted((TOP / "docs").glob("*.md")),
    *sorted((TOP / "docs/man").glob("*.[18]")),
]
PLACES = ("common", "gateway", "poller", "tests", "deploy", "docs")
# Made by whoever runs a fleet or a benchmark.
MADE = re.compile(r"deploy/(secrets(/|$)|\.env$)")


def name(path):
    return str(path.relative_to(TOP))


def sources(path):
    """The files that are meant by the end of a path."""
    found = [TOP / path] if (TOP / path).exists() else []
    for place in ("common", "gateway", "poller"):
        found += (TOP / place).glob(path)
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_path_exists(document):
    text = document.read_text()
    named = re.findall(
        rf"(?<![\w/.:-])((?:{'|'.join(PLACES)})/[\w./*@-]+)(?![\w./*@:-])", text
    )
    for path in {path.rstrip(".") for path in named}:
        there = next(TOP.glob(path.rstrip("/")), None)
        assert there or MADE.match(path), path


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_link_leads_somewhere(document):
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            anchors = {
                re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings
            }
            assert anchor in anchors, link


def test_every_function_of_the_architecture_is_where_it_says():
    text = (TOP / "docs/architecture.md").read_text()
    pairs = re.findall(r"`([\w/]+\.c):(\w+)`", text)
    assert len(pairs) > 30
    for path, function in pairs:
        defined = re.compile(rf"^[a-z].*\b{function}\(", re.MULTILINE)
        assert any(
            defined.search(file.read_text()) for file in sources(path)
        ), f"{path}:{function}"


def test_every_redis_script_is_described():
    text = (TOP / "docs/redis.md").read_text()
    for script in (TOP / "common/scripts").glob("*.lua"):
        if script.stem != "prelude":  # what each begins with
            assert f"`{script.stem}`" in text, script.stem
