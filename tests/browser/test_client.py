"""The browser's data layer in real Chromium, against real gateways and pollers."""

import time

from browser import milliseconds_since
from harness import LINGER, until_now

CONNECT = "globalThis.c = uricast.connect(argument)"


def connect(page, urls, **options):
    page.run(f"{CONNECT};", {"urls": urls, **options})


def watch(page, address):
    page.run("(globalThis.s ??= {})[argument] = watch(c, argument);", address)


def padded(n):
    """So large that a patch is worth while."""
    return {"n": n, "padding": "abcdefghij" * 40}


def shows(n, address="/nodes"):
    return f"c.peek('{address}').value?.n === {n} && c.peek('{address}').state === 'fresh'"


def test_a_page_has_the_content_and_every_change(small, open_page):
    small.upstream.set("/nodes", padded(1))
    page = open_page()
    connect(page, small.urls)
    watch(page, "/nodes")
    page.until(shows(1))
    small.upstream.set("/nodes", padded(2))
    page.until(shows(2))
    told = page.run("return told")
    assert [entry["value"]["n"] for entry in told if "value" in entry] == [1, 2]
    assert [entry["state"] for entry in told if "state" in entry] == ["fresh"]
    assert page.run("return c.status.transport") == "websocket"
