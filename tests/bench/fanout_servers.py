"""The servers that fanout compares, and who publishes to each of them."""

import http.client
import time

import peers
from stage import TOOLS, Gateway, Process, free_port

SESSION = "bench"  # of the poller that we play
HOUR_MS = 3600000
WS_SERVER = peers.HERE / "ws_server.js"

# The module makes directories where Debian's package has them, whatever is configured.
IN_A_ROOM_OF_ITS_OWN = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
IN_A_ROOM_OF_ITS_OWN += [
    'mount -t tmpfs none /var/lib && mkdir /var/lib/nginx && exec "$0" "$@"'
]
NGINX = """\
load_module {root}/usr/lib/nginx/modules/ngx_nchan_module.so;
daemon off;
user root root;
master_process off;
pid {directory}/{name}.pid;
error_log stderr error;
worker_rlimit_nofile 65536;
events {{ worker_connections 32768; }}
http {{
	access_log off;
	client_body_temp_path {directory}/{name}-body;
	proxy_temp_path {directory}/{name}-proxy;
	fastcgi_temp_path {directory}/{name}-fastcgi;
	uwsgi_temp_path {directory}/{name}-uwsgi;
	scgi_temp_path {directory}/{name}-scgi;
	client_body_buffer_size 64k;
	{store}
	server {{
		listen 127.0.0.1:{port} backlog=16384;
		location /ws {{ nchan_subscriber websocket; nchan_channel_id bench; {use} }}
		location /publish {{ nchan_publisher; nchan_channel_id bench; {use} }}
	}}
}}
"""


def now_ms():
    return time.time_ns() // 1000000


def content(revision, size):
    text = f'{{"at":{time.time_ns() // 1000},"revision":{revision},"pad":"'
    return text + "." * (size - len(text) - 2) + '"}'


class RedisPublisher:
    """Plays the owner of one address: stores and publishes as commit.lua does."""

    def __init__(self, redis, address, size):
        self.redis = redis
        self.address = address
        self.size = size
        self.revision = 0
        redis.zadd("uricast:pollers", {SESSION: now_ms() + HOUR_MS})
        redis.set(f"uricast:lock:{address}", SESSION)

    def publish(self):
        before, self.revision = self.revision, time.time_ns() // 1000
        body = content(self.revision, self.size)
        stored = {"revision": self.revision, "version": self.revision, "state": "fresh"}
        stored |= {"type": "json", "checked_at": now_ms(), "interval_ms": HOUR_MS}
        header = f"{self.revision} {before} {self.revision} {before} fresh json "
        header += f"{now_ms()} {HOUR_MS} {len(body)} 0 0\n"
        pipeline = self.redis.pipeline()
        pipeline.hset(
            f"uricast:resource:{self.address}", mapping={**stored, "content": body}
        )
        pipeline.publish(f"uricast:change:{self.address}", header + body)
        pipeline.execute()
        return True


class NchanPublisher:
    """Hands nchan, by HTTP, the message that clients of a gateway would get."""

    def __init__(self, port, address, size):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        self.address = address
        self.size = size

    def publish(self):
        version = time.time_ns() // 1000
        body = f'{{"uri":"{self.address}","version":"{version}","content":'
        body += content(version, self.size) + "}"
        # It never answers what comes before it is connected to Redis.
        try:
            self.connection.request("POST", "/publish", body)
            answer = self.connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            return False
        return answer.status < 300


class Floor(Process):
    """A bare server: floor.c."""

    SWARM = ["--silent"]

    def __init__(self, stage, name, address):
        self.port = free_port()
        command = [TOOLS / "bench-floor", "--port", self.port]
        command += ["--redis", stage.redis.port, "--address", address]
        super().__init__(name, stage.directory, command)

    def publisher(self, stage, address, size):
        return RedisPublisher(stage.redis.client, address, size)


class OurGateway(Gateway):
    SWARM = []

    def __init__(self, stage, name, address):
        config = stage.write_config(3600)
        super().__init__(name, stage.directory, stage.redis.url, "--config", config)

    publisher = Floor.publisher


class NodeWs(Process):
    SWARM = ["--silent"]

    def __init__(self, stage, name, address):
        self.port = free_port()
        command = ["node", WS_SERVER, peers.node_ws() / "node_modules", self.port]
        super().__init__(name, stage.directory, [*command, stage.redis.port, address])

    publisher = Floor.publisher


class Nchan(Process):
    SWARM = ["--silent"]
    STORE = USE = ""

    def __init__(self, stage, name, address):
        self.port = free_port()
        root = peers.nchan()
        path = stage.directory / f"{name}.conf"
        store = self.STORE.format(redis=stage.redis.url)
        path.write_text(
            NGINX.format(
                root=root,
                directory=stage.directory,
                name=name,
                port=self.port,
                store=store,
                use=self.USE,
            )
        )
        nginx = [root / "usr/sbin/nginx", "-e", "stderr", "-c", path]
        super().__init__(name, stage.directory, [*IN_A_ROOM_OF_ITS_OWN, *nginx])

    def end(self):
        self.kill()  # it aborts on SIGTERM

    def publisher(self, stage, address, size):
        return NchanPublisher(self.port, address, size)


class NchanRedis(Nchan):
    STORE = "upstream store {{ nchan_redis_server {redis}; }}"
    USE = "nchan_redis_pass store;"


def kinds():
    """Those that can be had, by name; the floor first."""
    found = {"floor": Floor, "gateway": OurGateway}
    if peers.nchan():
        found |= {"nchan": Nchan, "nchan-redis": NchanRedis}
    if peers.node_ws():
        found["node-ws"] = NodeWs
    return found
