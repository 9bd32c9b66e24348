"""A person at the dashboard: real Chromium, with a mouse, a keyboard and eyes."""

import json
import time
import urllib.parse

from driver import Driver

DEADLINE = 60  # seconds, on a slow machine


class Chromium(Driver):
    def __init__(self, log):
        super().__init__("dashboard_driver.js", log)

    def ask(self, page, method, *values):
        return self.say([page, method, *values])

    def open(self, url, **options):
        return Visitor(self, self.ask(None, "open", url, options))

    def errors(self):
        """That no page has caught, and what the content security policy forbade."""
        return self.ask(None, "errors")


class Visitor:
    """One page. do() calls what playwright calls so; see() evaluates an expression."""

    def __init__(self, chromium, number):
        self.chromium = chromium
        self.number = number

    def do(self, method, *values):
        return self.chromium.ask(self.number, method, *values)

    def see(self, expression):
        return self.do("evaluate", expression)

    def until(self, expression, deadline=DEADLINE):
        """Waits until @expression is true in the page; returns its value."""
        end = time.monotonic() + deadline
        while not (value := self.see(expression)):
            if time.monotonic() > end:
                text = self.see("document.body.innerText.slice(0, 800)")
                raise AssertionError(f"not within {deadline} s: {expression}\n{text}")
            time.sleep(0.02)
        return value

    def names(self):
        """The first column of the rows in the page, from top to bottom."""
        return self.see(
            """[...document.querySelectorAll(".rows .row")]
            .sort((a, b) => a.getBoundingClientRect().y - b.getBoundingClientRect().y)
            .map((row) => row.firstChild.textContent)"""
        )

    def await_names(self, names):
        """Waits until the rows are these."""
        end = time.monotonic() + DEADLINE
        while (seen := self.names()) != names:
            assert time.monotonic() < end, f"{seen}, not {names}"
            time.sleep(0.02)

    def row(self, name):
        """The middle of the row with @name in its first column: x, y."""
        return self.until(
            f"""(() => {{
            for (const row of document.querySelectorAll(".rows .row")) {{
                if (row.firstChild?.textContent !== {json.dumps(name)}) continue;
                const {{ x, y, height }} = row.getBoundingClientRect();
                return [x + 60, y + height / 2];
            }}
        }})()"""
        )

    def point_at(self, name):
        x, y = self.row(name)
        self.do("mouse.move", x, y)
        return x, y

    def violations(self):
        return self.do("violations")

    def close(self):
        self.do("close")


def watch_url(base, uri, **place):
    """The dashboard at @uri."""
    query = urllib.parse.urlencode({"uri": uri, **place})
    return f"{base.rstrip('/')}/#/?{query}"
