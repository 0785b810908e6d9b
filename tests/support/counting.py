"""Proxies that count how often a client waited for the network."""

from __future__ import annotations

import contextlib
import socket
import threading

from tests.support.misbehaving import Connection, Server


class Wire:
    """What goes over all of a client's connections, in its order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = False
        self.waits = 0
        self.connections = 0

    def sent(self) -> None:
        with self._lock:
            self._asked = True

    def answered(self) -> None:
        """One wait ends where an answer follows a question; more of that answer is no new one."""
        with self._lock:
            self.waits += self._asked
            self._asked = False


class CountingProxy(Server):
    """Stands before one server. ``shown`` maps addresses to those a client sees in their place."""

    def __init__(self, wire: Wire, target: str, shown: dict[str, str] | None = None) -> None:
        self._wire, self._target = wire, target
        self._shown = {old.encode(): new.encode() for old, new in (shown or {}).items()}
        super().__init__()

    def serve(self, connection: Connection) -> None:
        host, port = self._target.rsplit(":", 1)
        self._wire.connections += 1
        with socket.create_connection((host, int(port))) as upstream:
            back = threading.Thread(target=self._back, args=(upstream, connection.sock))
            back.start()
            while data := connection.sock.recv(1 << 20):
                self._wire.sent()
                for real, shown in self._shown.items():
                    data = data.replace(shown, real)
                upstream.sendall(data)
            upstream.shutdown(socket.SHUT_WR)
            back.join()

    def _back(self, upstream: socket.socket, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := upstream.recv(1 << 20):
                for real, shown in self._shown.items():
                    data = data.replace(real, shown)
                self._wire.answered()
                sock.sendall(data)
