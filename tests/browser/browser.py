"""Real Chromium for the tests, through node's playwright-core, and what it is served."""

import asyncio
import contextlib
import http.server
import pathlib
import random
import subprocess
import threading
import time

from driver import Driver
from harness import TOP, free_port

HERE = pathlib.Path(__file__).parent
WEB = TOP / "gateway/web"
DEADLINE = 60


def bundle(entry, output, *options):
    """As build.py bundles what a gateway serves."""
    esbuild = WEB / "node_modules/esbuild/bin/esbuild"
    command = ["node", esbuild, entry, "--bundle", "--minify", "--format=esm"]
    command += ["--target=es2022", "--charset=utf8", "--log-level=warning"]
    command += [f"--outfile={output}", *options]
    subprocess.run(command, cwd=WEB, check=True, timeout=120)
    return pathlib.Path(output)


class Browser(Driver):
    def __init__(self, log):
        super().__init__("driver.js", log)
        self.count = 0

    def ask(self, action, **more):
        self.count += 1
        return self.say({"id": self.count, "do": action, **more})

    def open(self, url):
        return Page(self, self.ask("open", url=url))


class Page:
    def __init__(self, browser, number):
        self.browser = browser
        self.number = number

    def run(self, script, argument=None):
        """Runs the body of an async function in the page; what it returns."""
        return self.browser.ask(
            "evaluate", page=self.number, script=script, argument=argument
        )

    def until(self, expression, deadline=DEADLINE):
        """Waits until an expression is true in the page; returns its value."""
        script = f"""
            const end = performance.now() + {deadline * 1000};
            for (;;) {{
                const value = {expression};
                if (value) return {{ value }};
                if (performance.now() > end) return null;
                await new Promise((resolve) => setTimeout(resolve, 5));
            }}"""
        found = self.run(script)
        if found is None:
            shown = self.run("return JSON.stringify(globalThis.told ?? null)")
            raise AssertionError(
                f"not within {deadline} s: {expression}; told: {shown}"
            )
        return found["value"]

    def hide(self, hidden=True):
        """Headless Chromium never hides a tab: this says it is, as the browser would."""
        self.run(
            """Object.defineProperty(document, "visibilityState",
                { configurable: true, value: argument ? "hidden" : "visible" });
            document.dispatchEvent(new Event("visibilitychange"));""",
            hidden,
        )

    def show(self):
        self.hide(False)

    def close(self):
        self.browser.ask("close", page=self.number)


class Site:
    """Serves files to pages; `origin` is where."""

    def __init__(self, files):
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                found = site.files.get(self.path)
                self.send_response(200 if found else 404)
                content_type, body = found or ("text/plain", b"nothing here")
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.files = files
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Balancer:
    """A load balancer before gateways: TCP, each connection to the next one that is there.

    `blocked(head)` says which requests a proxy on the way would not let through.
    """

    def __init__(self, ports):
        self.ports = list(ports)
        self.blocked = lambda head: False
        self.silent = False  # takes everything and says nothing
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.turn = random.randrange(len(self.ports))
        self.writers = set()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self._call(self._listen())

    def close(self):
        self.silent = False
        self.cut()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def cut(self):
        """Resets every connection."""
        self._call(self._cut())

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    async def _listen(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _cut(self):
        there = set(self.writers)
        for writer in there:
            writer.transport.abort()
        while self.writers & there:
            await asyncio.sleep(0.01)

    async def _connect(self):
        for _ in self.ports:
            self.turn += 1
            port = self.ports[self.turn % len(self.ports)]
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port)
        return None

    async def _serve(self, reader, writer):
        there = await self._connect()
        if there is None:
            writer.transport.abort()
            return
        self.writers.update({writer, there[1]})
        await asyncio.gather(
            self._copy(reader, there[1], writer, True),
            self._copy(there[0], writer, there[1], False),
        )
        self.writers -= {writer, there[1]}

    async def _copy(self, reader, writer, other, from_client):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if from_client and data.startswith(b"GET ") and self.blocked(data):
                    break
                while self.silent:
                    await asyncio.sleep(0.05)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
        other.transport.abort()


def milliseconds_since(at):
    return round((time.monotonic() - at) * 1000)
