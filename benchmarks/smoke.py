"""What `smoke` adds to the time that the service itself takes.

Baseline: the slowest chain of checks that wait for one another, by the service's own delays. The
checks are ten: a chain of three (register, list, remove) and seven that wait for nobody.
"""

from __future__ import annotations

import statistics
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from stockctl.core.clock import SystemClock
from stockctl.core.progress import Progress, silent
from stockctl.env.smoke_check import SmokeCheck
from stockctl.smoke.run import run

ROUNDS = 15
LIMIT = 1.2
DELAYS = {"/register": 0.05, "/list/7": 0.03, "/remove/7": 0.02}  # seconds; the others less
OTHERS = 0.04


class Handler(BaseHTTPRequestHandler):
    """Takes its time."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        time.sleep(DELAYS.get(self.path, OTHERS))
        body = b'{"id": 7}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Silence."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100


def checks() -> list[SmokeCheck]:
    """Ten."""
    chain = [
        {"name": "register", "path": "/register", "capture": {"id": "json:id"}},
        {"name": "list", "path": "/list/{id}", "after": ["register"]},
        {"name": "remove", "path": "/remove/{id}", "after": ["list"]},
    ]
    others = [{"name": f"other {n}", "path": f"/other/{n}"} for n in range(7)]
    return [SmokeCheck.model_validate(each) for each in chain + others]


def main() -> int:
    """Prints the median and the ratio; exit 1 beyond the limit."""
    server = Server(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    url, declared = f"http://127.0.0.1:{server.server_port}", checks()
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        outcomes = run(declared, url, Progress(silent, SystemClock()))
        taken.append(time.perf_counter() - started)
        assert all(each.ok for each in outcomes)
    server.shutdown()
    server.server_close()
    chain = sum(DELAYS.values())
    median = statistics.median(taken)
    print(f"slowest chain of answers   {chain * 1000:6.1f} ms  1.00")
    ratio = median / chain
    print(f"smoke, ten checks          {median * 1000:6.1f} ms  {ratio:.2f}  (at most {LIMIT})")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
