"""Real TCP proxies that stand between the parts: they count, rewrite, and fail on purpose."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from types import TracebackType

CHUNK = 64 * 1024
_REQUEST_LINE = re.compile(rb"(GET|HEAD|PUT|DELETE) (\S+) HTTP/1\.[01]\r\n")
_COMMAND = re.compile(rb"(?:^|\n) *([A-Za-z0-9_]+)")


def parse(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


class Proxy:
    """Passes connections on to ``upstream``; ``address`` is where it listens."""

    def __init__(self, upstream: str, host: str = "127.0.0.1") -> None:
        self.upstream = upstream
        self._listener = socket.create_server((host, 0))
        self.address = "{}:{}".format(*self._listener.getsockname()[:2])
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Proxy:
        self._accepting.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.refuse()
        self._accepting.join()
        for each in list(self._open):
            _shut(each)
        assert self.wait_until_open(0)

    def refuse(self) -> None:
        """Take no further connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def open_connections(self) -> int:
        return len(self._open)

    def wait_until_open(self, count: int, seconds: float = 10) -> bool:
        """Whether there are so many open connections within that time."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._open) == count, seconds)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._note(self._open.add, client)  # here: who leaves now must meet it
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, contextlib.suppress(OSError):
                self.serve(client)
        finally:
            self._note(self._open.discard, client)

    def _note(self, change: Callable[[socket.socket], None], client: socket.socket) -> None:
        with self._changed:
            change(client)
            self._changed.notify_all()

    def serve(self, client: socket.socket) -> None:
        with socket.create_connection(parse(self.upstream)) as server:
            back = threading.Thread(target=self._pump, args=(server, client, self.on_reply))
            back.start()
            self._pump(client, server, self.on_request)
            back.join()

    def _pump(
        self, source: socket.socket, sink: socket.socket, change: Callable[[bytes], bytes]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                sink.sendall(change(data))
        _shut(source)
        _shut(sink)

    def on_request(self, data: bytes) -> bytes:
        return data

    def on_reply(self, data: bytes) -> bytes:
        return data


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


class TrackerProxy(Proxy):
    """Notes the commands; ``moved`` maps storage addresses to those that are told instead.

    With ``moved`` given in turn to path1, path2 … the replicas of one node seem to lie on many.
    """

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.commands: list[str] = []
        self.nodes: list[str] = []
        """The addresses to put into path1, path2, …"""

    def on_request(self, data: bytes) -> bytes:
        self.commands += [name.decode() for name in _COMMAND.findall(data)]
        return data

    def on_reply(self, data: bytes) -> bytes:
        for number, node in enumerate(self.nodes, 1):
            path = rb"(?<=\bpath%d=http://)[0-9.]+:[0-9]+" % number
            data = re.sub(path, node.encode(), data)
        return data


class StorageProxy(Proxy):
    """Notes the requests; ``behaviour`` says what becomes of them.

    ``forward``; ``silent``: no answer; a number: an empty reply of that status; ``half``: the
    head and half of the body, then the end of the connection.
    """

    def __init__(self, upstream: str, host: str = "127.0.0.1") -> None:
        super().__init__(upstream, host)
        self.requests: list[str] = []
        self.heads: list[bytes] = []
        self._behaviour: str | int = "forward"
        self.released = threading.Event()

    @property
    def behaviour(self) -> str | int:
        return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: str | int) -> None:
        """Takes effect at once: connections that are kept open are closed."""
        self._behaviour = behaviour
        for each in list(self._open):
            _shut(each)
        assert self.wait_until_open(0)

    def serve(self, client: socket.socket) -> None:
        if self.behaviour == "forward":
            super().serve(client)
        else:
            self._misbehave(client)

    def on_request(self, data: bytes) -> bytes:
        found = _REQUEST_LINE.findall(data)
        self.requests += [f"{method.decode()} {path.decode()}" for method, path in found]
        self.heads += [data] if found else []
        return data

    def _misbehave(self, client: socket.socket) -> None:
        for head in _heads(client):
            self.on_request(head)
            if self.behaviour == "silent":
                self.released.wait()
            elif self.behaviour == "half":
                self._send_half(client, head)
                return
            else:
                line = f"HTTP/1.1 {self.behaviour} Odd\r\nContent-Length: 0\r\n\r\n"
                client.sendall(line.encode())

    def _send_half(self, client: socket.socket, head: bytes) -> None:
        with socket.create_connection(parse(self.upstream)) as server:
            server.sendall(re.sub(rb"(?i)Connection: [^\r]+\r\n", b"", head))
            reply = b""
            while b"\r\n\r\n" not in reply:
                reply += server.recv(CHUNK)
            headers, _, body = reply.partition(b"\r\n\r\n")
            found = re.search(rb"(?i)content-length: (\d+)", headers)
            assert found is not None
            half = int(found[1]) // 2
            while len(body) < half:
                body += server.recv(CHUNK)
        client.sendall(headers + b"\r\n\r\n" + body[:half])

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.released.set()
        super().__exit__(kind, error, traceback)


def _heads(client: socket.socket) -> Iterator[bytes]:
    """The requests that come in, which have no bodies."""
    data = b""
    while more := client.recv(CHUNK):
        data += more
        while b"\r\n\r\n" in data:
            head, _, data = data.partition(b"\r\n\r\n")
            yield head + b"\r\n\r\n"
