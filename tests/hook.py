"""A webhook on a real socket: it notes what it is posted and answers what a test wants."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hook:
    """``answers`` are the statuses of the next posts, 200 when there are none; ``held`` lets posts wait."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.location = ""
        self.held = threading.Event()
        self.held.set()
        self.arrived = threading.Semaphore(0)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/services/T000/hook-secret"

    @property
    def ids(self) -> list[str]:
        return [post["id"] for post in self.posts]

    def reset(self) -> None:
        self.posts.clear()
        self.answers.clear()
        self.location = ""
        self.held.set()
        while self.arrived.acquire(blocking=False):
            pass

    def close(self) -> None:
        self.held.set()
        self.server.shutdown()
        self.server.server_close()


def _handler(hook: Hook) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.posts.append(
                {
                    "path": self.path,
                    "id": self.headers["Idempotency-Key"],
                    "type": self.headers["Content-Type"],
                    "body": json.loads(body),
                }
            )
            hook.arrived.release()
            hook.held.wait(30)
            self.send_response(hook.answers.pop(0) if hook.answers else 200)
            if hook.location:
                self.send_header("Location", hook.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815

        def log_message(self, *arguments: Any) -> None:
            pass

    return Handler
