"""WebSockets as RFC 6455 has them, frame by frame on a raw socket.

What is right is answered, what is wrong fails the connection: a close frame with the code
that says why, or none, then the end; and never an answer to what came with it.
"""

import contextlib
import json
import os
import socket
import struct

import pytest

from client import DEADLINE

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN = 0x80


def frame(opcode, payload=b"", fin=True, rsv=0, masked=True, length=None):
    """A client's frame. @length, if given, is announced as 64 bits, whatever is sent."""
    head = bytes([(FIN if fin else 0) | rsv << 4 | opcode])
    mask_bit = 0x80 if masked else 0
    if length is not None:
        head += bytes([mask_bit | 127]) + struct.pack("!Q", length)
    elif len(payload) < 126:
        head += bytes([mask_bit | len(payload)])
    elif len(payload) < 65536:
        head += bytes([mask_bit | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([mask_bit | 127]) + struct.pack("!Q", len(payload))
    if not masked:
        return head + payload
    key = os.urandom(4)
    pad = key * (len(payload) // 4 + 1)
    mask = int.from_bytes(pad[: len(payload)], "big")
    return (
        head + key + (int.from_bytes(payload, "big") ^ mask).to_bytes(len(payload), "big")
    )


def text(payload, **more):
    return frame(TEXT, payload.encode() if isinstance(payload, str) else payload, **more)


def close(code=None, reason=b""):
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


class Raw:
    """A connection after its handshake; frames are read whole and judged on the way."""

    def __init__(self, gateway):
        self.socket = socket.create_connection(("127.0.0.1", gateway.port))
        self.socket.settimeout(DEADLINE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(
            f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self.socket.recv(65536)
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.socket.close()

    def send(self, *frames):
        self.socket.sendall(b"".join(frames))

    def send_bytewise(self, *frames):
        for byte in b"".join(frames):
            self.socket.sendall(bytes([byte]))

    def _take(self, count):
        while len(self.buffer) < count:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self.buffer += data
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def frame(self):
        """The next frame, as (opcode, fin, payload). EOFError at the end."""
        first, second = self._take(2)
        assert first & 0x70 == 0, "the gateway set a reserved bit"
        assert second & 0x80 == 0, "the gateway masked a frame"
        length = second
        if length == 126:
            length = struct.unpack("!H", self._take(2))[0]
            assert length >= 126
        elif length == 127:
            length = struct.unpack("!Q", self._take(8))[0]
            assert length >= 65536
        return first & 0x0F, first & FIN != 0, self._take(length)

    def message(self):
        """The next text message, as JSON."""
        opcode, fin, payload = self.frame()
        assert opcode == TEXT, (opcode, payload)
        while not fin:
            opcode, fin, more = self.frame()
            assert opcode == CONTINUATION
            payload += more
        return json.loads(payload.decode())

    def end(self):
        """The codes of the frames up to the end of the connection, None without one."""
        codes = []
        try:
            while True:
                opcode, fin, payload = self.frame()
                assert opcode == CLOSE and fin, (opcode, payload)
                assert len(payload) != 1 and len(payload) <= 125
                payload[2:].decode()
                # Who has said all answers the close, and need not be heard.
                with contextlib.suppress(OSError):
                    self.send(frame(CLOSE, payload))
                codes.append(struct.unpack("!H", payload[:2])[0] if payload else None)
        except (EOFError, ConnectionResetError):
            pass
        return codes


def ask(ident, padding=0):
    """A message that is answered once it was read whole, and its answer."""
    message = {"id": ident, "action": "unsubscribe", "uri": "/nothing"}
    if padding:
        message["padding"] = "x" * padding
    return json.dumps(message, ensure_ascii=False)


def assert_answered(raw, ident):
    answer = raw.message()
    assert answer["id"] == ident
    assert answer["error"]["code"] == "not_subscribed"


@pytest.fixture(scope="module")
def gateway(shared_fleet):
    return shared_fleet.gateways[0]


def pieces(message, size):
    """@message in fragments of @size bytes."""
    data = message.encode()
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    for number, part in enumerate(parts):
        opcode = CONTINUATION if number else TEXT
        yield frame(opcode, part, fin=number == len(parts) - 1)


# What is right.


@pytest.mark.parametrize("length", [125, 126, 127, 1000, 65535, 65536])
def test_a_message_of_any_length_is_read(gateway, length):
    padding = length - len(ask(1, padding=1)) + 1
    with Raw(gateway) as raw:
        raw.send(text(ask(1, padding)))
        assert_answered(raw, 1)
        raw.send(text(ask(2)))
        assert_answered(raw, 2)


@pytest.mark.parametrize("size", [1, 2, 7, 50])
def test_a_message_in_fragments_is_read(gateway, size):
    with Raw(gateway) as raw:
        raw.send(*pieces(ask("ü€😀"), size))
        assert_answered(raw, "ü€😀")


def test_fragments_may_be_empty(gateway):
    data = ask(1).encode()
    with Raw(gateway) as raw:
        raw.send(
            text(b"", fin=False),
            frame(CONTINUATION, b"", fin=False),
            frame(CONTINUATION, data, fin=False),
            frame(CONTINUATION, b""),
        )
        assert_answered(raw, 1)


def test_bytes_may_come_one_by_one(gateway):
    with Raw(gateway) as raw:
        raw.send_bytewise(text(ask("ü€😀")), *pieces(ask(2), 20), frame(PING, b"p"))
        assert_answered(raw, "ü€😀")
        assert_answered(raw, 2)
        assert raw.frame() == (PONG, True, b"p")


def test_many_frames_may_come_in_one_segment(gateway):
    with Raw(gateway) as raw:
        raw.send(*[text(ask(n)) for n in range(30)])
        for n in range(30):
            assert_answered(raw, n)


@pytest.mark.parametrize("payload", [b"", b"x", bytes(range(125)), b"\xff" * 125])
def test_a_ping_is_answered_with_what_it_carries(gateway, payload):
    with Raw(gateway) as raw:
        raw.send(frame(PING, payload))
        assert raw.frame() == (PONG, True, payload)


def test_a_pong_that_nobody_asked_for_is_ignored(gateway):
    with Raw(gateway) as raw:
        raw.send(frame(PONG), frame(PONG, b"\xff" * 125), text(ask(1)))
        assert_answered(raw, 1)


def test_pings_and_pongs_may_stand_between_fragments(gateway):
    first, *rest = pieces(ask(1), 10)
    with Raw(gateway) as raw:
        raw.send(first, frame(PONG, b"unasked"))
        for number, piece in enumerate(rest):
            payload = b"%d" % number
            raw.send(frame(PING, payload))
            # It is not held up by the message.
            assert raw.frame() == (PONG, True, payload)
            raw.send(piece)
        assert_answered(raw, 1)


def test_a_close_may_stand_between_fragments(gateway):
    with Raw(gateway) as raw:
        raw.send(text(ask(1)[:10], fin=False), close(1000))
        assert raw.end() == [1000]


def test_large_contents_come_in_fragments_that_fit_together(shared_fleet, gateway):
    big = [{"id": n, "text": "ü€😀" * 20} for n in range(2000)]
    shared_fleet.upstream.set("/big", big)
    with Raw(gateway) as raw:
        raw.send(text('{"action":"subscribe","uri":"/big"}'))
        assert raw.message()["content"] == big


def test_pings_during_a_large_content_do_not_part_its_frames(shared_fleet, gateway):
    big = [{"id": n, "text": "abcdefghij" * 20} for n in range(5000)]
    shared_fleet.upstream.set("/bigger", big)
    with Raw(gateway) as raw:
        raw.send(text('{"action":"subscribe","uri":"/bigger"}'))
        payload, pongs, fin = b"", 0, False
        while not fin:
            raw.send(frame(PING, b"x"))
            opcode, last, part = raw.frame()
            if opcode == PONG:
                pongs += 1
            else:
                payload, fin = payload + part, last
        assert json.loads(payload)["content"] == big
        # Of several at once only the last has to be answered (5.5.3).
        assert pongs > 0 or raw.frame() == (PONG, True, b"x")


# How it ends.


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]
)
def test_a_close_is_answered_with_its_code(gateway, code):
    with Raw(gateway) as raw:
        raw.send(close(code, b"because \xc3\xbc"))
        assert raw.end() == [code]


def test_a_close_may_be_empty_or_full(gateway):
    with Raw(gateway) as raw:
        raw.send(close())
        assert raw.end() in ([None], [1000])
    with Raw(gateway) as raw:
        raw.send(close(1000, b"x" * 123))
        assert raw.end() == [1000]


def test_nothing_is_read_after_a_close(gateway):
    with Raw(gateway) as raw:
        raw.send(close(1000), text(ask(1)), frame(PING, b"x"), close(1001))
        assert raw.end() == [1000]


def test_the_end_may_come_without_a_close(gateway):
    for beginning in (b"", text(ask(1))[:3], text("x", fin=False), frame(PING)[:1]):
        with Raw(gateway) as raw:
            raw.send(beginning)
            raw.socket.shutdown(socket.SHUT_WR)
            assert raw.end() == []


# What is wrong.

SURROGATE = b"\xed\xa0\x80"
BAD_UTF8 = {
    "a lone continuation": b"\x80",
    "a continuation too many": b"\xce\xba\xe1\xbd\xb9\xcf\x83\xcf\x83\x80",
    "cut off by ASCII": b"\xe2\x82x",
    "overlong slash": b"\xc0\xaf",
    "overlong NUL": b"\xe0\x80\x80",
    "overlong in four": b"\xf0\x80\x80\xaf",
    "a surrogate": SURROGATE,
    "above the last": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "0xfe": b"\xfe",
    "0xff": b"\xff",
    "cut off at the end": b"\xe2\x82",
}

PROTOCOL_ERROR = [1002]
BAD_DATA = [1007]

WRONG = {
    **{
        f"reserved bit {rsv}": ([text(ask(1), rsv=rsv)], PROTOCOL_ERROR)
        for rsv in (1, 2, 4, 7)
    },
    "reserved bit of a ping": ([frame(PING, rsv=1)], PROTOCOL_ERROR),
    "reserved bit of a continuation": (
        [text(ask(1)[:9], fin=False), frame(CONTINUATION, b"x", rsv=4)],
        PROTOCOL_ERROR,
    ),
    **{
        f"reserved opcode {opcode}": ([frame(opcode, b"x")], PROTOCOL_ERROR)
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    },
    "a ping in fragments": ([frame(PING, b"x", fin=False)], PROTOCOL_ERROR),
    "a close in fragments": ([frame(CLOSE, b"\x03\xe8", fin=False)], PROTOCOL_ERROR),
    "a ping of 126 bytes": ([frame(PING, b"x" * 126)], PROTOCOL_ERROR),
    "a pong of 126 bytes": ([frame(PONG, b"x" * 126)], PROTOCOL_ERROR),
    "a close of 126 bytes": ([close(1000, b"x" * 124)], PROTOCOL_ERROR),
    "a continuation of nothing": ([frame(CONTINUATION, b"x")], PROTOCOL_ERROR),
    "a continuation of a whole message": (
        [text("{}"), frame(CONTINUATION, b"x")],
        PROTOCOL_ERROR,
    ),
    "a text within a message": (
        [text(ask(1)[:9], fin=False), text(ask(2))],
        PROTOCOL_ERROR,
    ),
    "a binary within a message": (
        [text(ask(1)[:9], fin=False), frame(BINARY, b"x")],
        PROTOCOL_ERROR,
    ),
    "a length above 63 bits": ([text("x", length=1 << 63)], PROTOCOL_ERROR),
    "a close of one byte": ([frame(CLOSE, b"\x03")], PROTOCOL_ERROR),
    **{
        f"a close with {code}": ([close(code)], PROTOCOL_ERROR)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
    **{
        f"a close that says {name}": ([close(1000, data)], BAD_DATA + PROTOCOL_ERROR)
        for name, data in BAD_UTF8.items()
    },
    **{
        f"UTF-8: {name}": ([text(b'{"id":"' + data + b'"}')], BAD_DATA)
        for name, data in BAD_UTF8.items()
    },
    **{
        f"UTF-8 in fragments: {name}": (
            [text(b'{"id":"' + data[:1], fin=False), frame(CONTINUATION, data[1:])],
            BAD_DATA,
        )
        for name, data in BAD_UTF8.items()
    },
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_fails_the_connection(gateway, name):
    frames, codes = WRONG[name]
    with Raw(gateway) as raw:
        raw.send(*frames, text(ask("after")))
        if name == "a continuation of a whole message":
            assert raw.message()["error"]["code"] == "bad_message"
        ended = raw.end()
        assert ended in [[]] + [[code] for code in codes]


# What is too large is said so, and read over.


def test_a_message_above_the_limit_is_refused_and_the_connection_stays(gateway):
    with Raw(gateway) as raw:
        raw.send(text(ask(1, padding=70_000)), text(ask(2)))
        assert raw.message()["error"]["code"] == "message_too_large"
        assert_answered(raw, 2)


def test_the_limit_counts_all_fragments(gateway):
    with Raw(gateway) as raw:
        raw.send(*pieces(ask(1, padding=70_000), 1000), text(ask(2)))
        assert raw.message()["error"]["code"] == "message_too_large"
        assert_answered(raw, 2)


def test_a_binary_message_is_refused_and_the_connection_stays(gateway):
    with Raw(gateway) as raw:
        raw.send(
            frame(BINARY, b"\xff", fin=False),
            frame(PING, b"x"),
            frame(CONTINUATION, b"\xfe"),
            text(ask(2)),
        )
        answers = [raw.frame() for _ in range(3)]
        # The pong may be overtaken, for it waits for the socket to be writable.
        assert (PONG, True, b"x") in answers
        refusal, answer = [json.loads(a[2]) for a in answers if a[0] == TEXT]
        assert refusal["error"]["code"] == "bad_message"
        assert answer["id"] == 2


@pytest.mark.parametrize(
    "unmasked",
    [
        text(ask(1), masked=False),
        frame(PING, b"x", masked=False),
        frame(CLOSE, b"\x03\xe8", masked=False),
    ],
    ids=["text", "ping", "close"],
)
def test_an_unmasked_frame_does_no_harm(gateway, unmasked):
    """RFC 6455, 5.1, wants the connection closed; libwebsockets reads such frames."""
    with Raw(gateway) as raw, Raw(gateway) as other:
        raw.send(unmasked, text(ask("after")))
        other.send(text(ask(2)))
        assert_answered(other, 2)


def test_the_gateway_outlives_all_of_this(gateway):
    assert gateway.alive
    with Raw(gateway) as raw:
        raw.send(text(ask(1)))
        assert_answered(raw, 1)
