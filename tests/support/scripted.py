"""A real HTTP server that answers as a test says, and notes what it was asked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple


class Asked(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


class Scripted:
    """What a server answers every request with; ``asked`` is what came since ``script()``."""

    def __init__(self, address: str, body: bytes) -> None:
        self.address = address
        self._body = body
        self.script()

    def script(self, headers: Sequence[tuple[str, str]] = (), status: int = 200) -> None:
        """Status 0 is the end of the connection without an answer."""
        self.headers, self.status = headers, status
        self.asked: list[Asked] = []

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        sent = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.asked.append(Asked(handler.command, handler.path, headers, sent))
        if not self.status:
            handler.close_connection = True
            return
        handler.send_response_only(self.status)
        body = b"" if self.status == 304 else self._body
        for name, value in (*self.headers, ("Content-Length", str(len(body)))):
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)


@contextlib.contextmanager
def scripted(body: bytes) -> Iterator[Scripted]:
    """A server whose replies all have that body."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            told.answer(self)

        do_HEAD = do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A proxy that resets a kept connection is no news."""

    with Server(("127.0.0.1", 0), Handler) as server:
        told = Scripted(f"127.0.0.1:{server.server_port}", body)
        serving = Thread(target=server.serve_forever, args=[0.05])
        serving.start()
        try:
            yield told
        finally:
            server.shutdown()
            serving.join()
