"""A closed loop of requests over many connections, from this process, without waste.

Each connection has one request under way at any time. One epoll loop drives them all, so that the
generator costs some 10 µs a request and does not become the thing that is measured.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator

from .harness import Batch
from .servers import Address, Server

TIMEOUT = 30.0
"""Seconds without any answer after which a measurement is given up."""

Requests = Iterator[bytes]
Measure = Callable[[bytes], "int | None"]
"""The whole length of an answer whose first bytes are given; None while that cannot be told."""


def line(data: bytes) -> int | None:
    """The length of a tracker's reply; RuntimeError for an ``ERR``."""
    if data.startswith(b"ERR"):
        raise RuntimeError(f"the tracker said {data!r}")
    return len(data) if data.endswith(b"\n") else None


def http(data: bytes) -> int | None:
    """The length of an HTTP response with a Content-Length; RuntimeError for 4xx and 5xx."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].lower()
    if head[9:10] != b"2":
        raise RuntimeError(f"the server said {data[:end]!r}")
    at = head.find(b"\r\ncontent-length:")
    return end + 4 + (int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0)


class Caller:
    """One connection and its request under way."""

    def __init__(self, address: Address) -> None:
        self.sock = socket.create_connection((address.host, address.port), timeout=TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.asked = 0.0
        self._begin = b""
        self._got = 0
        self._whole: int | None = None

    def ask(self, request: bytes) -> None:
        """Send the next request."""
        self._begin, self._got, self._whole = b"", 0, None
        self.asked = time.perf_counter()
        self.sock.sendall(request)

    def exchange(self, request: bytes) -> str:
        """Send a tracker's command and wait for its reply; RuntimeError for an ``ERR``."""
        self.ask(request)
        while not self.answered(line):
            pass
        return self._begin.decode()

    def answered(self, measure: Measure) -> bool:
        """Take what has come; whether that is the whole answer."""
        got = self.sock.recv(1 << 18)
        if not got:
            raise RuntimeError(f"the server closed the connection after {self._begin[:200]!r}")
        self._got += len(got)
        if self._whole is None:
            self._begin += got
            self._whole = measure(self._begin)
        return self._whole is not None and self._got >= self._whole


def drive(
    address: Address,
    requests: Requests,
    measure: Measure,
    *,
    connections: int,
    seconds: float,
    server: Server | None = None,
) -> Batch:
    """Send ``requests`` over ``connections`` for ``seconds``, or until they run out.

    The batch's CPU is that of ``server``, where it is one of this machine.
    """
    callers = [Caller(address) for _ in range(connections)]
    try:
        return _loop(callers, requests, measure, seconds, server)
    finally:
        for caller in callers:
            caller.sock.close()


def _loop(
    callers: list[Caller],
    requests: Requests,
    measure: Measure,
    seconds: float,
    server: Server | None,
) -> Batch:
    poll = select.epoll()
    latencies: list[float] = []
    by_number = {caller.sock.fileno(): caller for caller in callers}
    cpu = server.cpu() if server else None
    start = time.perf_counter()
    busy = sum(_next(caller, requests, poll, fresh=True) for caller in callers)
    while busy:
        ready = poll.poll(TIMEOUT)
        if not ready:
            raise TimeoutError(f"no answer within {TIMEOUT:.0f} s")
        for number, _ in ready:
            caller = by_number[number]
            if caller.answered(measure):
                now = time.perf_counter()
                latencies.append(now - caller.asked)
                if now - start >= seconds or not _next(caller, requests, poll):
                    poll.unregister(number)
                    busy -= 1
    took = time.perf_counter() - start
    poll.close()
    used = server.cpu() - cpu if server and cpu is not None else None
    return Batch(latencies, took, used)


def _next(caller: Caller, requests: Requests, poll: select.epoll, fresh: bool = False) -> bool:
    request = next(requests, None)
    if request is None:
        return False
    if fresh:
        poll.register(caller.sock.fileno(), select.EPOLLIN)
    caller.ask(request)
    return True
