#!/usr/bin/python3
"""An upstream whose paths all change every 0.7 s, until told to stop.

    /r/K        {"n": N, "rows": [...]}; N only grows
    /-/freeze   from here on nothing changes
    /-/counts   how often each path was asked
"""

import collections
import http.server
import json
import signal
import sys
import threading
import time

CHANGE_EVERY_S = 0.7
BORN = time.time()

lock = threading.Lock()
counts = collections.Counter()
frozen_at = None


def state_of(path):
    now = frozen_at or time.time()
    n = int((now - BORN) / CHANGE_EVERY_S)
    rows = [{"id": k, "path": path, "value": n // (k + 1)} for k in range(20)]
    return {"n": n, "rows": rows}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        global frozen_at
        with lock:
            if self.path == "/-/freeze":
                frozen_at = frozen_at or time.time()
            if self.path == "/-/counts":
                answer = dict(counts)
            else:
                answer = state_of(self.path)
                counts[self.path] += 1
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    http.server.ThreadingHTTPServer(("0.0.0.0", 5080), Handler).serve_forever()
