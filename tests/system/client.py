"""A WebSocket client that keeps all it was told and checks the protocol on the way."""

import asyncio
import contextlib
import json
import time

import jsonpatch
from websockets.legacy.client import connect

DEADLINE = 30  # seconds any single wait may take; a loaded machine is no failure


class Refused(Exception):
    """The handshake was answered with an HTTP status other than 101."""

    def __init__(self, status, headers):
        super().__init__(f"HTTP {status}")
        self.status = status
        self.headers = headers


class Client:
    """One connection to a gateway; made by Gateway.client().

    A reader task notes every frame: in `texts` as it came, in `frames` parsed, with its
    time in `times`. Waits look at everything from the mark they are given on; `mark()`
    before an action, and wait with `after=` that mark.
    """

    def __init__(self, url, **options):
        self.url = url
        self.options = options
        self.texts = []
        self.frames = []
        self.times = []
        self.held = {}  # uri -> (version, content), with patches applied
        self.wrong = []  # what broke the protocol
        self.news = asyncio.Condition()
        self.socket = None
        self.reader = None
        self.closed_by = None

    async def __aenter__(self):
        options = {"compression": None, "max_size": None, "ping_interval": None}
        options.update(self.options)
        try:
            self.socket = await connect(self.url, open_timeout=DEADLINE, **options)
        except Exception as error:
            if hasattr(error, "status_code"):
                raise Refused(error.status_code, error.headers) from error
            raise
        self.reader = asyncio.ensure_future(self._read())
        return self

    async def __aexit__(self, kind, error, traceback):
        await self.close()
        if kind is None:
            self.check()

    async def close(self):
        self.reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.reader
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self.socket.close(), 2)

    def check(self):
        assert not self.wrong, "\n".join(self.wrong)

    @property
    def open(self):
        return not self.reader.done()

    # Sending.

    async def send(self, message):
        text = message if isinstance(message, (str, bytes)) else json.dumps(message)
        await self.socket.send(text)

    async def subscribe(self, uri, **more):
        await self.send({"action": "subscribe", "uri": uri, **more})

    async def unsubscribe(self, uri, **more):
        await self.send({"action": "unsubscribe", "uri": uri, **more})

    async def ask(self, message, deadline=DEADLINE):
        """Sends @message with a fresh id and returns the answer to it."""
        ident = f"ask-{len(self.frames)}-{time.monotonic_ns()}"
        await self.send({**message, "id": ident})
        return await self.frame(lambda f: f.get("id") == ident, deadline=deadline)

    # Waiting.

    def mark(self):
        return len(self.frames)

    async def until(self, condition, what, deadline=DEADLINE):
        """Waits for news until @condition() is true; returns what it returned."""

        async def wait():
            async with self.news:
                while not (result := condition()):
                    if self.reader.done():
                        raise AssertionError(f"closed while waiting for {what}")
                    await self.news.wait()
                return result

        try:
            return await asyncio.wait_for(wait(), deadline)
        except asyncio.TimeoutError:
            last = "\n  ".join(text[:300] for text in self.texts[-8:])
            raise AssertionError(
                f"no {what} within {deadline} s; the last frames:\n  {last}"
            ) from None

    async def frame(self, where, after=0, what="such frame", deadline=DEADLINE):
        """The first frame from @after on that @where says yes to."""

        def find():
            return next((f for f in self.frames[after:] if where(f)), None)

        return await self.until(find, what, deadline)

    async def content(self, uri, where=lambda content: True, deadline=DEADLINE):
        """The content held of @uri, as soon as @where says yes to it."""

        def find():
            held = self.held.get(uri)
            return [held[1]] if held and where(held[1]) else None

        return (await self.until(find, f"content of {uri}", deadline))[0]

    async def next_content(self, uri, after, deadline=DEADLINE):
        """The first content frame of @uri from @after on."""
        return await self.frame(
            lambda f: f.get("uri") == uri and "content" in f,
            after,
            f"next content of {uri}",
            deadline,
        )

    async def state(self, uri, state, after=0, deadline=DEADLINE):
        """The first frame from @after on that tells @state of @uri."""
        return await self.frame(
            lambda f: f.get("uri") == uri and f.get("state") == state,
            after,
            f"state {state} of {uri}",
            deadline,
        )

    async def error(self, after=0, deadline=DEADLINE):
        """The first frame from @after on that refuses something."""
        frame = await self.frame(
            lambda f: "error" in f and "state" not in f, after, "error", deadline
        )
        self.check_error(frame)
        return frame

    async def settle(self):
        """Waits until the gateway has read everything sent so far."""
        pong = await self.socket.ping()
        await asyncio.wait_for(pong, DEADLINE)

    def check_error(self, frame):
        error = frame.get("error")
        good = (
            isinstance(error, dict)
            and isinstance(error.get("code"), str)
            and isinstance(error.get("message"), str)
            and error["code"]
            and error["message"]
        )
        assert good, f"an error without code and message: {frame}"

    # Reading.

    async def _read(self):
        try:
            async for text in self.socket:
                async with self.news:
                    self._note(text)
                    self.news.notify_all()
        except Exception as error:
            self.closed_by = error
        finally:
            async with self.news:
                self.news.notify_all()

    def _note(self, text):
        self.texts.append(text)
        self.times.append(time.monotonic())
        try:
            frame = json.loads(text)
        except ValueError:
            self.wrong.append(f"not JSON: {text[:300]!r}")
            self.frames.append({})
            return
        self.frames.append(frame)
        about = [key for key in ("content", "patch", "state") if key in frame]
        if "uri" in frame and "id" not in frame and not about and "error" not in frame:
            self.wrong.append(f"about a resource, but says nothing: {text[:300]}")
        if len(about) > 1:
            self.wrong.append(f"says more than one thing: {text[:300]}")
        if "state" in frame:
            self._note_state(frame, text)
        if "content" in frame:
            self._note_content(frame, text)
        elif "patch" in frame:
            self._note_patch(frame, text)

    def _note_state(self, frame, text):
        if frame["state"] not in ("fresh", "stale", "error", "gone"):
            self.wrong.append(f"unknown state: {text[:300]}")
        if frame["state"] != "fresh" and "error" not in frame:
            self.wrong.append(f"a state without its reason: {text[:300]}")

    def _note_content(self, frame, text):
        uri, version = frame["uri"], frame.get("version")
        if not isinstance(version, str) or not version:
            self.wrong.append(f"content without version: {text[:300]}")
            return
        held = self.held.get(uri)
        if held and grew_back(held[0], version):
            self.wrong.append(f"{uri}: version {version} after {held[0]}")
        self.held[uri] = (version, frame["content"])

    def _note_patch(self, frame, text):
        uri, version, base = frame["uri"], frame.get("version"), frame.get("base")
        held = self.held.get(uri)
        if held is None or held[0] != base:
            self.wrong.append(f"a patch to what is not held: {text[:300]}")
            return
        if grew_back(base, version) or version == base:
            self.wrong.append(f"{uri}: version {version} after {base}")
        content = jsonpatch.apply_patch(held[1], frame["patch"])
        self.held[uri] = (version, content)


def grew_back(before, after):
    """Versions are opaque to clients; that plain ones grow is what the fleet promises."""
    if before.isdecimal() and after.isdecimal():
        return int(after) < int(before)
    return False
