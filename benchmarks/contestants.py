"""The clients that are measured. Each runs in a process of its own, started by ``workers``.

This file is also run by the interpreter that has pymogilefs and nothing of ours, so it imports
only the standard library at its top. A contestant is made from a tracker's address and a domain and
has the operations that it can: ``paths``, ``fetch`` and ``store`` of one key and size.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
import resource
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STREAMED = 8 * 2**20
"""From this size on (bytes) content comes from a file on disk and is fetched in chunks: nobody who
has files of that size holds them in memory."""

CHUNK = 256 * 1024
TASKS = 64


def source(size: int, directory: str) -> Path:
    """A file of ``size`` bytes to upload."""
    path = Path(directory, f"source-{size}")
    if not path.exists():
        with path.open("wb") as file:
            file.truncate(size)
    return path


class Floor:
    """Bare sockets: two kept connections, the bytes that must go out, nothing that checks."""

    def __init__(self, tracker: str, domain: str, mogile_class: str, directory: str) -> None:
        self.domain, self.directory = domain, directory
        self.mogile_class = f"&class={mogile_class}" if mogile_class else ""
        self.tracker = self._connect(tracker)
        self.storage: dict[str, socket.socket] = {}

    def _connect(self, address: str) -> socket.socket:
        host, port = address.rsplit(":", 1)
        sock = socket.create_connection((host, int(port)), 30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def _ask(self, request: str) -> str:
        self.tracker.sendall(request.encode())
        data = b""
        while not data.endswith(b"\n"):
            data += self.tracker.recv(65536)
        return data.decode()

    def _http(self, url: str) -> tuple[socket.socket, str]:
        _, _, address, path = url.split("/", 3)
        if address not in self.storage:
            self.storage[address] = self._connect(address)
        return self.storage[address], path

    def paths(self, key: str) -> str:
        return self._ask(f"get_paths domain={self.domain}&key={key}&noverify=1&pathcount=2\r\n")

    def fetch(self, key: str, size: int) -> int:
        match = re.search(r"path1=([^&\s]+)", self.paths(key))
        assert match
        sock, path = self._http(match[1])
        sock.sendall(f"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        data = sock.recv(CHUNK)
        chunks = [data.partition(b"\r\n\r\n")[2]]
        left = size - len(chunks[0])
        while left:
            chunk = sock.recv(min(left, CHUNK))
            left -= len(chunk)
            if size < STREAMED:
                chunks.append(chunk)
        return size if size >= STREAMED else len(b"".join(chunks))

    def store(self, key: str, size: int) -> None:
        opened = self._ask(
            f"create_open domain={self.domain}&key={key}&multi_dest=1{self.mogile_class}\r\n"
        )
        values = dict(re.findall(r"(\w+)=([^&\s]+)", opened))
        url, devid = values["path_1"], values["devid_1"]
        sock, path = self._http(url)
        head = f"PUT /{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
        if size < STREAMED:
            sock.sendall(head + bytes(size))
        else:
            sock.sendall(head)
            with source(size, self.directory).open("rb") as file:
                while chunk := file.read(CHUNK):
                    sock.sendall(chunk)
        answer = sock.recv(65536)
        assert b" 20" in answer[:13], answer
        closed = self._ask(
            f"create_close domain={self.domain}&key={key}&fid={values['fid']}&devid={devid}"
            f"&path={url}&size={size}\r\n"
        )
        assert closed.startswith("OK"), closed


class Ours:
    """mogilefs.Client."""

    def __init__(self, tracker: str, domain: str, mogile_class: str, directory: str) -> None:
        from mogilefs import Client

        self.client, self.directory = Client(domain, tracker), directory
        self.mogile_class = mogile_class or None

    def paths(self, key: str) -> Any:
        return self.client.paths(key, count=2)

    def fetch(self, key: str, size: int) -> int:
        if size < STREAMED:
            return len(self.client.read(key))
        return sum(len(chunk) for chunk in self.client.stream(key))

    def store(self, key: str, size: int) -> None:
        content = bytes(size) if size < STREAMED else source(size, self.directory)
        self.client.store(key, content, mogile_class=self.mogile_class)

    def create(self, key: str, size: int) -> None:
        """A store that does not overwrite: what MogileFSStorage does by default."""
        name = f"{key}-{time.time_ns()}"
        self.client.store(name, bytes(size), mogile_class=self.mogile_class, overwrite=False)


class Pymogilefs:
    """pymogilefs 0.1.2."""

    def __init__(self, tracker: str, domain: str, mogile_class: str, directory: str) -> None:
        from pymogilefs.client import Client  # type: ignore[import-not-found]  # not in our venv

        self.client, self.directory = Client(trackers=[tracker], domain=domain), directory
        self.mogile_class = mogile_class or None

    def paths(self, key: str) -> Any:
        return self.client.get_paths(key)

    def fetch(self, key: str, size: int) -> int:
        body = self.client.get_file(key)
        if size < STREAMED:
            return len(body.read())
        return sum(len(chunk) for chunk in iter(lambda: body.read(CHUNK), b""))

    def store(self, key: str, size: int) -> None:
        if size < STREAMED:
            self.client.store_file(io.BytesIO(bytes(size)), key, self.mogile_class)
            return
        with source(size, self.directory).open("rb") as file:
            self.client.store_file(file, key, self.mogile_class)


class OursAsync:
    """mogilefs.AsyncClient with 64 tasks: the operations of a turn are shared out among them."""

    def __init__(self, tracker: str, domain: str, mogile_class: str, directory: str) -> None:
        from mogilefs import AsyncClient

        self.loop = asyncio.new_event_loop()
        self.client = AsyncClient(domain, tracker)
        self.mogile_class = mogile_class or None

    def turn(self, do: str, key: str, size: int, count: int) -> list[float]:
        """``count`` operations, by 64 tasks; how long each took."""
        return self.loop.run_until_complete(self._turn(do, key, size, count))

    async def _turn(self, do: str, key: str, size: int, count: int) -> list[float]:
        numbers = iter(range(count))
        latencies: list[float] = []

        async def task() -> None:
            for number in numbers:
                start = time.perf_counter()
                await self._operation(do, key, size, number)
                latencies.append(time.perf_counter() - start)

        await asyncio.gather(*(task() for _ in range(TASKS)))
        return latencies

    async def _operation(self, do: str, key: str, size: int, number: int) -> None:
        if do == "store":
            name = f"{key}-{number % 100}"
            await self.client.store(name, bytes(size), mogile_class=self.mogile_class)
        elif do == "fetch":
            await self.client.read(key)
        else:
            await self.client.paths(key, count=2)


CONTESTANTS: dict[str, Callable[[str, str, str, str], Any]] = {
    "floor": Floor,
    "Client": Ours,
    "AsyncClient, 64 tasks": OursAsync,
    "pymogilefs": Pymogilefs,
}


def turn(contestant: Any, do: str, key: str, size: int, count: int) -> list[float]:
    """``count`` operations one after the other; how long each took."""
    if hasattr(contestant, "turn"):
        latencies: list[float] = contestant.turn(do, key, size, count)
        return latencies
    act = getattr(contestant, do)
    latencies = []
    for number in range(count):
        arguments = {"paths": (key,), "fetch": (key, size)}.get(do, (f"{key}-{number % 100}", size))
        start = time.perf_counter()
        act(*arguments)
        latencies.append(time.perf_counter() - start)
    return latencies


def main(name: str, tracker: str, domain: str, mogile_class: str, directory: str) -> None:
    """A worker: a line of JSON comes in for each turn, what it took goes out."""
    contestant = CONTESTANTS[name](tracker, domain, mogile_class, directory)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        cpu, start = time.process_time(), time.perf_counter()
        latencies = turn(contestant, **asked)
        told = {
            "latencies": latencies,
            "seconds": time.perf_counter() - start,
            "cpu": time.process_time() - cpu,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        }
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
