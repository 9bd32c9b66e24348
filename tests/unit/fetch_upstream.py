#!/usr/bin/python3
"""A scripted upstream for test_fetch.c.

    fetch_upstream.py CERTIFICATE KEY

Listens on three free ports of 127.0.0.1 (HTTP/1.1, the same over TLS, and HTTP/2 over TLS)
and says on standard output what happens, one line each, always before it answers:

    ready HTTP_PORT HTTPS_PORT HTTP2_PORT
    open N              connection N was accepted
    request N LINE      the request line on connection N, as received; over HTTP/2: "h2"
    end N               connection N is over

Ends when its standard input does. Every path lies below /base; see ANSWERS. Over HTTP/2
every path has the same answer, but each connection falls silent after two of them.
"""

import email.utils
import gzip
import re
import socket
import ssl
import struct
import sys
import threading
import time

BODY = b'{"name":"a","rows":[1,2,3]}'


# Of HTTP/2: kinds of frames, their flags, and a whole block of compressed headers.
DATA, HEADERS, SETTINGS = 0, 1, 4
END_OF_STREAM, ACKNOWLEDGED, END_OF_HEADERS = 1, 1, 4
STATUS_200 = b"\x88"


class Over(Exception):
    """This connection is not to be used any more."""


class Shared:
    """What the connections have in common."""

    def __init__(self):
        self.lock = threading.Condition()
        self.connections = 0
        self.polls = 0
        self.released = 0
        self.token = "first"

    def say(self, *words):
        with self.lock:
            print(*words, flush=True)


def plain(body=BODY, status="200 OK", headers=()):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def frame(kind, flags, stream, payload=b""):
    return (len(payload).to_bytes(3, "big") + bytes([kind, flags]) +
            stream.to_bytes(4, "big") + payload)


def wait_for_end(connection):
    """Says nothing more until the other side closes."""
    while connection.socket.recv(65536):
        pass
    raise Over


def endless(connection):
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.send(b"4000\r\n" + b"a" * 0x4000 + b"\r\n")


def endless_refusal(connection):
    connection.send(b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n"
                    b"Retry-After: 3\r\n\r\n")
    while True:
        connection.send(b"4000\r\n" + b"a" * 0x4000 + b"\r\n")


def bomb(connection):
    """64 MB in 64 KB, of a size that says nothing."""
    body = gzip.compress(bytes(64 << 20))
    connection.send(plain(body, headers=["Content-Encoding: gzip"]))


def zipped(connection):
    assert b"gzip" in connection.header("accept-encoding")
    connection.send(plain(gzip.compress(BODY), headers=["Content-Encoding: gzip"]))


def broken_gzip(connection):
    connection.send(plain(b"this is not gzip", headers=["Content-Encoding: gzip"]))


def etag(connection):
    if connection.header("if-none-match") == b'"v1"':
        connection.send(b'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\n\r\n')
    else:
        connection.send(plain(headers=[
            'ETag: "v1"', "Last-Modified: Sat, 01 Jan 2022 00:00:00 GMT",
            "Content-Type: application/json"]))


def break_off(connection):
    """The next close is a reset."""
    connection.socket.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Over


def reset(connection):
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    break_off(connection)


def reset_after(connection):
    """Gives the other side time to look away until it is all over."""
    time.sleep(0.1)
    connection.send(plain())
    break_off(connection)


def half(connection):
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    raise Over


def half_chunk(connection):
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf")
    raise Over


def nothing(connection):
    raise Over


def slow(connection):
    wait_for_end(connection)


def slow_body(connection):
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    wait_for_end(connection)


def retry_date(connection):
    date = email.utils.formatdate(time.time() + 60, usegmt=True)
    connection.send(plain(b"", "503 No", [f"Retry-After: {date}"]))


def redirect(connection):
    """The query is the Location, as it stands."""
    connection.send(plain(b"", "302 Found", [f"Location: {connection.query}"]))


def redirect_again(connection):
    count = int(connection.query)
    where = f"/base/again?{count - 1}" if count else "/base/content"
    connection.send(plain(b"", "307 Again", [f"Location: {where}"]))


def echo(connection):
    """The request's head."""
    connection.send(plain(connection.head))


def polls(connection):
    """Another body each time."""
    with connection.shared.lock:
        connection.shared.polls += 1
        body = str(connection.shared.polls).encode()
    connection.send(plain(body))


def hold(connection):
    """Answers when it was released: one `release` for one `hold`."""
    shared = connection.shared
    with shared.lock:
        shared.lock.wait_for(lambda: shared.released > 0)
        shared.released -= 1
    connection.send(plain())


def release(connection):
    shared = connection.shared
    with shared.lock:
        shared.released += int(connection.query)
        shared.lock.notify_all()
    connection.send(plain())


def expect(connection):
    """From now on `guarded` wants another token."""
    connection.shared.token = connection.query
    connection.send(plain())


def guarded(connection):
    if connection.header("x-token") == connection.shared.token.encode():
        connection.send(plain())
    else:
        connection.send(plain(b"no", "401 Unauthorized"))


def interim(connection):
    connection.send(b"HTTP/1.1 103 Early\r\nETag: \"early\"\r\n\r\n" + plain())


def trailer(connection):
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                    b"ETag: \"head\"\r\n\r\n"
                    b"4\r\nbody\r\n0\r\nETag: \"trailer\"\r\n\r\n")


def headers(connection):
    connection.send(plain(headers=[f"X-{i}: {i}" for i in range(int(connection.query))]))


def wide_headers(connection):
    connection.send(plain(headers=[f"X-{i}: {'w' * 1000}" for i in range(100)]))


def long_header(connection):
    connection.send(plain(headers=["X-Long: " + "w" * 300000]))


def strange_headers(connection):
    connection.send(plain(headers=[
        "ETag: \"" + "e" * 5000 + "\"", "Last-Modified: a\tb",
        "Content-Type: text/plain; " + "x" * 5000]))


def once(connection):
    """Answers, and closes the connection it offered to keep."""
    connection.send(plain())
    raise Over


def large(connection):
    connection.send(plain(b"b" * int(connection.query)))


ANSWERS = {
    "again": redirect_again,
    "bomb": bomb,
    "broken_gzip": broken_gzip,
    "echo": echo,
    "empty": lambda c: c.send(plain(b"")),
    "endless": endless,
    "endless_refusal": endless_refusal,
    "etag": etag,
    "expect": expect,
    "garbage": lambda c: c.send(b"\x01\x02 what is this\r\n\r\n"),
    "gone": lambda c: c.send(plain(b"{}", "410 Gone")),
    "guarded": guarded,
    "half": half,
    "half_chunk": half_chunk,
    "headers": headers,
    "hold": hold,
    "interim": interim,
    "large": large,
    "long_header": long_header,
    "no_content": lambda c: c.send(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "nothing": nothing,
    "once": once,
    "partial": lambda c: c.send(plain(b"part", "206 Partial Content")),
    "polls": polls,
    "redirect": redirect,
    "release": release,
    "reset": reset,
    "reset_after": reset_after,
    "retry_date": retry_date,
    "retry_long": lambda c: c.send(plain(b"", "503 No", ["Retry-After: 99999999"])),
    "retry_seconds": lambda c: c.send(plain(b"", "503 No", ["Retry-After: 7"])),
    "slow": slow,
    "slow_body": slow_body,
    "strange_headers": strange_headers,
    "trailer": trailer,
    "unasked_304": lambda c: c.send(b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    "wide_headers": wide_headers,
    "zipped": zipped,
}


class Connection(threading.Thread):
    def __init__(self, shared, accepted, context):
        super().__init__(daemon=True)
        self.shared = shared
        self.socket = accepted
        self.context = context
        self.buffer = b""
        self.head = b""
        self.query = ""
        shared.connections += 1
        self.number = shared.connections
        shared.say("open", self.number)

    def send(self, answer):
        self.socket.sendall(answer)

    def header(self, name):
        found = re.search(rb"(?im)^" + name.encode() + rb": *([^\r]*)\r$", self.head)
        return found[1] if found else b""

    def read_head(self):
        while b"\r\n\r\n" not in self.buffer:
            more = self.socket.recv(65536)
            if not more:
                raise Over
            self.buffer += more
            if self.buffer.startswith(b"\x16"):  # TLS, where there is none
                self.send(plain(b"", "400 Bad Request"))
                raise Over
        self.head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        self.head += b"\r\n"

    def serve(self):
        self.read_head()
        line = self.head.split(b"\r\n", 1)[0].decode("latin-1")
        self.shared.say("request", self.number, line)
        found = re.match(r"GET /base/(\w+)(?:\?(.*))? HTTP/1.1$", line)
        self.query = found[2] or "" if found else ""
        answer = ANSWERS.get(found[1]) if found else None
        if answer:
            answer(self)
        else:
            self.send(plain())

    def read(self, count):
        while len(self.buffer) < count:
            more = self.socket.recv(65536)
            if not more:
                raise Over
            self.buffer += more
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def serve_http2(self):
        """As little of RFC 9113 as a client needs."""
        self.read(len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
        self.send(frame(SETTINGS, 0, 0))
        answers = 0
        while True:
            head = self.read(9)
            length = int.from_bytes(head[:3], "big")
            kind, flags = head[3], head[4]
            stream = int.from_bytes(head[5:], "big")
            self.read(length)
            if kind == SETTINGS and not flags & ACKNOWLEDGED:
                self.send(frame(SETTINGS, ACKNOWLEDGED, 0))
            if kind == HEADERS:
                self.shared.say("request", self.number, "h2")
                answers += 1
            if kind == HEADERS and answers <= 2:
                self.send(frame(HEADERS, END_OF_HEADERS, stream, STATUS_200) +
                          frame(DATA, END_OF_STREAM, stream, BODY))

    def run(self):
        try:
            if self.context:
                self.socket = self.context.wrap_socket(self.socket, server_side=True)
            if self.context and self.socket.selected_alpn_protocol() == "h2":
                self.serve_http2()
            while True:
                self.serve()
        except (Over, OSError):
            pass
        self.shared.say("end", self.number)
        self.socket.close()


def listen():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    return listener


def accept_all(shared, listener, context):
    while True:
        Connection(shared, listener.accept()[0], context).start()


def tls(*protocols):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    context.set_alpn_protocols(protocols)
    return context


def main():
    shared = Shared()
    listeners = [(listen(), None), (listen(), tls("http/1.1")), (listen(), tls("h2"))]
    for listener, context in listeners:
        threading.Thread(target=accept_all, args=(shared, listener, context),
                         daemon=True).start()
    shared.say("ready", *(listener.getsockname()[1] for listener, _ in listeners))
    sys.stdin.read()


main()
