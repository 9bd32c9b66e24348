"""docs/protocol.md knows every error code that a client may get, and no other."""

import re

from harness import TOP

# How the sources spell them: the first text that one of these calls is given.
SAID = re.compile(
    r"\b(?:refusal_set|\w*refuse|doubt|fetch_failure_set|take_failure)"
    r"\([^;\"]*?\"([a-z_]+)\""
    r"|\"(upstream_[a-z_]+)\""
    r"|\\\"code\\\":\\\"([a-z_]+)"
)
# Each row of a table of codes begins with one or more of them.
ROW = re.compile(r"^\| ((?:`[a-z_]+`(?:, )?)+) \|", re.MULTILINE)


def sources():
    for directory in ("gateway", "poller"):
        for path in (TOP / directory).glob("*.c"):
            yield path.read_text()


def said():
    found = [code for text in sources() for code in SAID.findall(text)]
    return {code for codes in found for code in codes if code}


def documented():
    text = (TOP / "docs/protocol.md").read_text()
    errors = text[text.index("\n## Errors") : text.index("\n## Limits")]
    rows = ROW.findall(errors)
    return {code for row in rows for code in re.findall(r"`([a-z_]+)`", row)}


def test_every_error_code_is_documented():
    assert len(said()) > 20
    assert said() - documented() == set()


def test_every_documented_error_code_exists():
    words = r"\"(\w+)(?:\\?)\""
    literals = {word for text in sources() for word in re.findall(words, text)}
    assert len(documented()) > 30
    assert documented() - literals == set()


def test_every_action_is_documented():
    protocol = (TOP / "gateway/protocol.c").read_text()
    actions = re.findall(r"\{\"(\w+)\", PROTOCOL_\w+,", protocol)
    text = (TOP / "docs/protocol.md").read_text()
    assert len(actions) == 7
    assert [name for name in actions if f'"action":"{name}"' not in text] == []
