"""WebSockets that say nothing: who answers pings is there, who does not is gone."""

import asyncio
import socket
import time

import pytest

from harness import SOAK, run, until

PING = 25  # seconds of silence after which a gateway asks
PONG = 10  # seconds that an answer may take
WALK = 5  # seconds until a gateway gets round to look, at most, on a loaded machine


class Deaf:
    """Reads all it is sent and answers none of it."""

    def __init__(self, gateway):
        self.socket = socket.create_connection(("127.0.0.1", gateway.port))
        lines = [
            "GET /ws HTTP/1.1",
            f"Host: 127.0.0.1:{gateway.port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        message = b'{"action":"subscribe","uri":"/nodes"}'
        self.socket.sendall(bytes([0x81, 0x80 | len(message), 0, 0, 0, 0]) + message)
        self.received = b""

    async def read_to_the_end(self):
        self.socket.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            while piece := await loop.sock_recv(self.socket, 65536):
                self.received += piece
        except ConnectionResetError:
            pass
        self.socket.close()


def count_pings(client):
    """Counts what the library answers by itself."""
    pings = []
    answer = client.socket.pong

    async def counting(data=b""):
        pings.append(time.monotonic())
        await answer(data)

    client.socket.pong = counting
    return pings


@pytest.mark.skipif(not SOAK, reason="takes a minute and a half")
def test_who_only_answers_pings_is_kept_and_who_does_not_is_closed(start_fleet):
    fleet = start_fleet(gateways=1, pollers=1)
    fleet.upstream.set("/nodes", {"n": 1})
    gateway = fleet.gateways[0]

    async def test():
        async with fleet.client() as silent:
            await silent.subscribe("/nodes")
            await silent.content("/nodes")
            pings = count_pings(silent)
            began = time.monotonic()
            deaf = Deaf(gateway)
            await asyncio.wait_for(deaf.read_to_the_end(), 2 * (PING + PONG))
            assert PING + PONG - 1 < time.monotonic() - began < PING + PONG + WALK
            # It was told the content, and pinged once.
            assert b'"content":{"n":1}' in deaf.received
            assert deaf.received.count(b"\x89\x01\x00") == 1
            await until(lambda: gateway.clients() == 1, "its end")

            await asyncio.sleep(began + 90 - time.monotonic())
            assert silent.open
            assert len(pings) == 3
            assert len(silent.frames) == 1
            fleet.upstream.set("/nodes", {"n": 2})
            await silent.content("/nodes", lambda c: c == {"n": 2})

    run(test())
