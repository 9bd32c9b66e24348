"""Clients as people have them: they come back after every loss, and keep what they hold."""

import asyncio
import json
import random
import time

import aiohttp
import jsonpatch

BACK_AFTER_S = (0.1, 0.6)


class Viewer:
    """Watches addresses; what was wrong with what it was told is in `wrong`."""

    wire = None

    def __init__(self, session, url, uris):
        self.session = session
        self.url = url
        self.uris = uris
        self.held = {}  # uri -> (version, content)
        self.wrong = []
        self.changes = 0
        self.stale = 0
        self.times_away = []  # (since, until), of the monotonic clock
        self.away_since = time.monotonic()
        self.arrived = False

    @property
    def connected(self):
        return self.away_since is None

    def came(self):
        if self.away_since is None:
            return
        if self.arrived:
            self.times_away.append((self.away_since, time.monotonic()))
        self.arrived = True
        self.away_since = None

    def went(self):
        if self.away_since is None:
            self.away_since = time.monotonic()

    async def live(self):
        while True:
            try:
                await self.visit()
            except (aiohttp.ClientError, OSError, asyncio.TimeoutError):
                pass
            self.went()
            await asyncio.sleep(random.uniform(*BACK_AFTER_S))

    def take(self, frame):
        uri = frame.get("uri")
        if "content" in frame:
            self.hold(uri, frame["version"], frame["content"])
        elif "patch" in frame:
            version, content = self.held[uri]
            if frame["base"] != version:
                return self.wrong.append(
                    f"a patch of {uri} from {frame['base']}, not {version}"
                )
            self.hold(
                uri, frame["version"], jsonpatch.apply_patch(content, frame["patch"])
            )
        elif "state" in frame:
            self.stale += frame["state"] == "stale"
        elif "error" in frame:
            self.wrong.append(f"{uri}: {frame['error']}")
        return None

    def hold(self, uri, version, content):
        before = self.held.get(uri)
        if before and int(version) < int(before[0]):
            self.wrong.append(
                f"version of {uri} went from {before[0]} back to {version}"
            )
        if before and content["n"] < before[1]["n"]:
            self.wrong.append(
                f"{uri} went from {before[1]['n']} back to {content['n']}"
            )
        if before and version == before[0] and content != before[1]:
            self.wrong.append(f"{uri} is two things at version {version}")
        self.changes += not before or version != before[0]
        self.held[uri] = (version, content)

    def version(self, uri):
        return self.held[uri][0] if uri in self.held else None


class WebSocketViewer(Viewer):
    wire = "WebSocket"

    async def visit(self):
        url = self.url.replace("https:", "wss:") + "/ws"
        # The page's own origin, as a browser says it.
        async with self.session.ws_connect(
            url, origin=self.url, max_msg_size=0
        ) as socket:
            for number, uri in enumerate(self.uris):
                ask = {"action": "subscribe", "uri": uri, "mode": "patch", "id": number}
                if uri in self.held:
                    ask["since"] = self.version(uri)
                await socket.send_json(ask)
            async for message in socket:
                if message.type != aiohttp.WSMsgType.TEXT:
                    return
                frame = json.loads(message.data)
                self.came()
                self.take(frame)


class StreamViewer(Viewer):
    wire = "SSE"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.last_id = None

    async def visit(self):
        headers = {"Accept": "text/event-stream"}
        if self.last_id:
            headers["Last-Event-ID"] = self.last_id
        query = [("uri", uri) for uri in self.uris] + [("mode", "patch")]
        async with self.session.get(
            self.url + "/resource", params=query, headers=headers
        ) as response:
            if response.status != 200:
                return
            self.came()
            data, last_id = [], self.last_id
            async for line in response.content:
                line = line.decode().rstrip("\n")
                if line.startswith("data: "):
                    data.append(line[6:])
                elif line.startswith("id: "):
                    last_id = line[4:]
                elif line == "" and data:
                    self.last_id = last_id
                    self.take(json.loads("\n".join(data)))
                    data = []


class PollViewer(Viewer):
    """Away only while a long poll is answered by something else than state."""

    wire = "long-poll"

    async def visit(self):
        uri = self.uris[0]
        while True:
            headers = {"Prefer": "wait=20"}
            if uri in self.held:
                headers["If-None-Match"] = f'"{self.version(uri)}"'
            async with self.session.get(
                self.url + "/resource", params={"uri": uri}, headers=headers
            ) as response:
                body = await response.read()
                if response.status not in (200, 304):
                    return
                self.came()
                if response.status == 200:
                    version = response.headers["ETag"].strip('"')
                    self.hold(uri, version, json.loads(body))
