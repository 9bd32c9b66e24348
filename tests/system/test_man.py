"""The man pages: they name the options that the programs have, and format without a word."""

import re
import subprocess

import pytest

from cli import URICAST
from harness import BUILD, TOP

PAGES = {
    "uricast-gateway.8": [[BUILD / "gateway/uricast-gateway"]],
    "uricast-poller.8": [[BUILD / "poller/uricast-poller"]],
    "uricast.1": [[URICAST, c] for c in ("watch", "get", "status", "doctor")],
}


def options_of_help(command):
    text = subprocess.run([*command, "--help"], capture_output=True, text=True).stdout
    return set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", text, re.MULTILINE))


def options_of_page(text):
    """What a tagged paragraph begins with: .BI \\-\\-name= or .BR \\-n ", " \\-\\-name."""
    tags = re.findall(r"^\.TP\n(\.B\S* .*\\-\\-.*)$", text, re.MULTILINE)
    return {
        re.search(r"\\-\\-([a-z\\-]+)", tag)[0].replace("\\-", "-").rstrip("-")
        for tag in tags
    }


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_exactly_the_options_of_its_program(page):
    text = (TOP / "docs/man" / page).read_text()
    shared = options_of_page(text.split('.SS "All commands"')[-1].split(".SH")[0])
    for command in PAGES[page]:
        part = text
        if len(command) > 1:
            part = text.split(f'.SS "uricast {command[1]}"')[1].split(".SS")[0]
        named = options_of_page(part) | (shared if len(command) > 1 else set())
        assert named == options_of_help(command), command


@pytest.mark.parametrize("page", PAGES)
def test_a_page_formats_without_warnings(page):
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", TOP / "docs/man" / page],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    plain = re.sub(".\x08|\x1b\\[\\d*m", "", done.stdout)  # of bold, whichever way
    assert "EXIT STATUS" in plain


def test_each_variable_of_help_is_on_its_page():
    for page, commands in PAGES.items():
        text = (TOP / "docs/man" / page).read_text()
        for command in commands:
            told = subprocess.run([*command, "--help"], capture_output=True, text=True)
            for variable in re.findall(r"\[(URICAST_\w+)\]", told.stdout):
                assert f"[{variable}]" in text, (page, variable)
