"""A client of event streams that keeps what Client keeps, and reads as browsers must."""

import asyncio
import contextlib
import urllib.parse

from client import DEADLINE, Client, Refused


class Events(Client):
    """GET /resource as text/event-stream; made by Gateway.events().

    `ids` holds the last event's id as it was with each of `texts`.
    """

    def __init__(self, port, uris, headers=None, **parameters):
        query = [("uri", uri) for uri in uris]
        query += [(name.replace("_", "-"), value) for name, value in parameters.items()]
        super().__init__("/resource?" + urllib.parse.urlencode(query))
        self.port = port
        self.headers = {"Host": f"127.0.0.1:{port}", "Accept": "text/event-stream"}
        self.headers.update(headers or {})
        self.answered = {}  # the answer's headers, names in lower case
        self.ids = []
        self.last_id = ""
        self.retry_ms = None
        self.comments = 0
        self.writer = None

    async def __aenter__(self):
        self.stream, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [f"GET {self.url} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
        head = await asyncio.wait_for(self.stream.readuntil(b"\r\n\r\n"), DEADLINE)
        status, *fields = head.decode("latin-1").strip().split("\r\n")
        for field in fields:
            name, _, value = field.partition(":")
            self.answered[name.lower()] = value.strip()
        if status.split(" ")[1] != "200":
            self.writer.close()
            raise Refused(int(status.split(" ")[1]), self.answered)
        self.reader = asyncio.ensure_future(self._read())
        return self

    async def close(self):
        self.reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.reader
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    # Reading.

    async def _read(self):
        try:
            await self._read_lines()
        except Exception as error:
            self.closed_by = error
        finally:
            async with self.news:
                self.news.notify_all()

    async def _read_lines(self):
        """WHATWG HTML, 9.2.6, for streams whose lines end with LF."""
        data = []
        buffer = b""
        while piece := await self.stream.read(65536):
            *lines, buffer = (buffer + piece).split(b"\n")
            for line in lines:
                if b"\r" in line:
                    self.wrong.append(f"a CR inside a line: {line[:300]!r}")
                if line:
                    self._field(line.decode(), data)
                elif data:
                    async with self.news:
                        self.ids.append(self.last_id)
                        self._note("\n".join(data))
                        self.news.notify_all()
                    data = []

    def _field(self, line, data):
        name, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if not name:
            self.comments += 1
        elif name == "data":
            data.append(value)
        elif name == "id":
            self.last_id = value
        elif name == "retry":
            self.retry_ms = int(value)
        else:
            self.wrong.append(f"an unknown field: {line[:300]}")
