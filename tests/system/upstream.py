"""A scripted upstream: an HTTP server in a thread that answers what a test says.

It counts what it is asked and when. It speaks HTTP/1.1 by hand, because most of what a
test wants of it no decent server would do: half answers, resets, bodies without end.
"""

import asyncio
import dataclasses
import gzip
import hashlib
import itertools
import json
import socket
import ssl
import struct
import subprocess
import threading
import time


@dataclasses.dataclass
class Answer:
    """What a path answers. A body that is no text is sent as compact JSON, as it is now."""

    body: object = None
    status: int = 200
    headers: dict = dataclasses.field(default_factory=dict)
    content_type: str = "application/json"
    delay: float = 0  # seconds before the answer
    etag: bool = False  # send one, and answer 304 to it
    chunked: bool = False
    gzipped: bool = False
    endless: bool = False  # the body is repeated as fast as it is taken
    half: bool = False  # announces the whole body, sends half of it and closes
    reset: bool = False  # resets the connection instead of answering
    silent: bool = False  # never answers

    def __post_init__(self):
        if isinstance(self.body, str):
            self.body = self.body.encode()
        elif not isinstance(self.body, bytes):
            self.body = json.dumps(self.body, separators=(",", ":")).encode()


@dataclasses.dataclass
class Request:
    at: float  # time.monotonic()
    target: str  # as it stood in the request line
    headers: dict  # names in lower case
    connection: int


def self_signed(directory):
    """TLS with a certificate that nobody trusts, whose files go into @directory."""
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]
    command += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=127.0.0.1"]
    command += ["-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    return tls


class Upstream:
    """Serves below @base; `answers` maps paths below it to what they answer."""

    def __init__(self, port, base="/base", tls=None):
        self.port = port
        self.base = base
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}{base}"
        self.requests = []
        self.tls = tls
        self.answers = {}
        self.lock = threading.Lock()
        self.connections = 0
        self.writers = set()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = None
        self.listen()

    # What tests call.

    def set(self, path, body=None, **more):
        """From now on @path answers @body (see Answer for what else can be said)."""
        self.set_answer(path, Answer(body, **more))

    def set_answer(self, path, answer):
        """@answer is an Answer, or a function of (Request) that returns one."""
        with self.lock:
            self.answers[path] = answer

    def asked(self, path, since=0.0):
        """When @path was asked, as a list of time.monotonic()."""
        with self.lock:
            return [
                request.at
                for request in self.requests
                if request.target == self.base + path and request.at >= since
            ]

    def count(self, path, since=0.0):
        return len(self.asked(path, since))

    def last(self, path):
        with self.lock:
            for request in reversed(self.requests):
                if request.target == self.base + path:
                    return request
        return None

    def targets(self):
        with self.lock:
            return [request.target for request in self.requests]

    def listen(self):
        self._call(self._listen())

    def refuse(self):
        """Closes the port and every connection; listen() opens it again."""
        self._call(self._refuse())

    def close(self):
        self._call(self._refuse())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    # The server.

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    async def _listen(self):
        self.server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self.tls, backlog=512
        )

    async def _refuse(self):
        self.server.close()
        for writer in list(self.writers):
            writer.transport.abort()

    async def _serve(self, reader, writer):
        self.connections += 1
        connection = self.connections
        self.writers.add(writer)
        try:
            while await self._serve_one(reader, writer, connection):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    async def _serve_one(self, reader, writer, connection):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.strip().split("\r\n")
        target = line.split(" ")[1]
        headers = {}
        for field in fields:
            name, _, value = field.partition(":")
            headers[name.strip().lower()] = value.strip()
        request = Request(time.monotonic(), target, headers, connection)
        with self.lock:
            self.requests.append(request)
            answer = self._answer(request)
        if answer.delay:
            await asyncio.sleep(answer.delay)
        if answer.silent:
            await reader.read()
            return False
        if answer.reset:
            linger = struct.pack("ii", 1, 0)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
            return False
        return await self._send(writer, request, answer)

    def _answer(self, request):
        if request.target.startswith(self.base):
            answer = self.answers.get(request.target[len(self.base) :])
            if callable(answer):
                answer = answer(request)
            if answer is not None:
                return answer
        return Answer({"error": "no such path"}, status=404)

    async def _send(self, writer, request, answer):
        body = answer.body
        headers = dict(answer.headers)
        status = answer.status
        if answer.etag:
            etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            headers["ETag"] = etag
            if request.headers.get("if-none-match") == etag:
                status, body = 304, b""
        if status != 304:
            headers.setdefault("Content-Type", answer.content_type)
        if answer.gzipped and status != 304:
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        chunked = (answer.chunked or answer.endless) and status != 304
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif status != 304:
            headers["Content-Length"] = str(len(body))
        lines = [f"HTTP/1.1 {status} Scripted"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
        if answer.half:
            writer.write(body[: len(body) // 2])
            await writer.drain()
            return False
        if not chunked:
            writer.write(body)
        while chunked:
            for start in range(0, len(body), 65536):
                piece = body[start : start + 65536]
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                await writer.drain()
            if not answer.endless:
                writer.write(b"0\r\n\r\n")
                break
        await writer.drain()
        return True


def counting(upstream, path):
    """Makes @path answer another number every time, so that every poll is a change."""
    numbers = iter(range(10**9))
    upstream.set_answer(path, lambda request: Answer({"n": next(numbers)}))


def gaps(times):
    """Between what was asked() and what was asked next, in seconds."""
    return [after - before for before, after in itertools.pairwise(times)]
