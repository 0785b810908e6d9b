"""Our clients beside pymogilefs 0.1.2 and bare sockets, on one node or on any tracker.

    python benchmarks/client_vs_peers.py                       # starts a node of its own
    python benchmarks/client_vs_peers.py --tracker host:7001 --domain bench

Every client runs in a process of its own; rounds are shuffled and interleaved, so that a busy
moment of the machine hits all alike; medians and ratios are what counts. The floor makes only the
round trips that are needed, with requests written by hand. pymogilefs gets an environment of its
own beside this program's results (``--peers DIR``), made once, with uv or venv and pip.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PEER = "pymogilefs==0.1.2"
SMALL = b"x" * 4096
LARGE = 64 * 2**20
TASKS = 64

Operation = Callable[[int], Any]

# The workers: each gives the operations that it can, by name


class Floor:
    """Bare sockets: the same questions on two connections, written by hand, hardly checked."""

    def __init__(self, tracker: str, domain: str) -> None:
        self.domain = domain
        self.tracker = self.connect(tracker)
        self.storage: dict[str, socket.socket] = {}

    def connect(self, address: str) -> socket.socket:
        host, port = address.rsplit(":", 1)
        sock = socket.create_connection((host, int(port)), 10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def ask(self, request: str) -> str:
        self.tracker.sendall(request.encode())
        data = b""
        while not data.endswith(b"\n"):
            data += self.tracker.recv(65536)
        return data.decode()

    def http(self, url: str) -> tuple[socket.socket, str]:
        _, _, address, path = url.split("/", 3)
        if address not in self.storage:
            self.storage[address] = self.connect(address)
        return self.storage[address], path

    def paths(self, key: str) -> str:
        return self.ask(
            f"get_paths domain={self.domain}&key={key}&noverify=1&pathcount=2&callid=1\r\n"
        )

    def fetch(self, key: str) -> int:
        url = re.search(r"path1=([^&\s]+)", self.paths(key))[1]
        sock, path = self.http(url)
        sock.sendall(f"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        data = sock.recv(262144)
        head, _, body = data.partition(b"\r\n\r\n")
        left = int(re.search(rb"(?i)content-length: *(\d+)", head)[1]) - len(body)
        size = len(body)
        while left:
            got = len(sock.recv(min(left, 262144)))
            left -= got
            size += got
        return size

    def store(self, key: str, chunk: bytes, times: int = 1) -> None:
        opened = self.ask(f"create_open domain={self.domain}&key={key}&multi_dest=1\r\n")
        values = dict(re.findall(r"(\w+)=([^&\s]+)", opened))
        url, devid = values["path_1"], values["devid_1"]
        sock, path = self.http(url)
        size = len(chunk) * times
        head = f"PUT /{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
        sock.sendall(head + chunk)
        for _ in range(times - 1):
            sock.sendall(chunk)
        assert b" 20" in sock.recv(65536)
        closed = self.ask(
            f"create_close domain={self.domain}&key={key}&fid={values['fid']}&devid={devid}"
            f"&path={url}&size={size}\r\n"
        )
        assert closed.startswith("OK"), closed


def floor(tracker: str, domain: str) -> dict[str, Operation]:
    client = Floor(tracker, domain)
    chunk = bytes(262144)
    return {
        "paths": lambda n: client.paths("bench"),
        "fetch": lambda n: client.fetch("bench"),
        "store": lambda n: client.store(f"bench{n % 100}", SMALL),
        "fetch 64M": lambda n: client.fetch("benchlarge"),
        "store 64M": lambda n: client.store("benchlarge2", chunk, LARGE // len(chunk)),
    }


def ours(tracker: str, domain: str) -> dict[str, Operation]:
    from mogilefs import Client

    client = Client(domain, tracker)
    large = _large_file()

    def drain(n: int) -> int:
        return sum(len(chunk) for chunk in client.stream("benchlarge"))

    return {
        "paths": lambda n: client.paths("bench", count=2),
        "fetch": lambda n: client.read("bench"),
        "store": lambda n: client.store(f"bench{n % 100}", SMALL),
        "create": lambda n: client.store(f"bench-{time.time_ns()}", SMALL, overwrite=False),
        "fetch 64M": drain,
        "store 64M": lambda n: client.store("benchlarge2", large),
    }


def asyncio_ours(tracker: str, domain: str) -> dict[str, Operation]:
    """An operation is one of 64 tasks' share: ``n`` counts a batch of them."""
    from mogilefs import AsyncClient

    loop = asyncio.new_event_loop()
    client = AsyncClient(domain, tracker)

    async def many(operation: Callable[[], Any], times: int) -> None:
        async def task() -> None:
            for _ in range(times):
                await operation()

        await asyncio.gather(*(task() for _ in range(TASKS)))

    return {"fetch": lambda n: loop.run_until_complete(many(lambda: client.read("bench"), 4))}


def pymogilefs(tracker: str, domain: str) -> dict[str, Operation]:
    import io

    from pymogilefs.client import Client

    client = Client(trackers=[tracker], domain=domain)
    large = _large_file()

    def drain(n: int) -> int:
        body = client.get_file("benchlarge")
        return sum(len(chunk) for chunk in iter(lambda: body.read(262144), b""))

    def store_large(n: int) -> None:
        with large.open("rb") as file:
            client.store_file(file, "benchlarge2")

    return {
        "paths": lambda n: client.get_paths("bench"),
        "fetch": lambda n: client.get_file("bench").read(),
        "store": lambda n: client.store_file(io.BytesIO(SMALL), f"bench{n % 100}"),
        "fetch 64M": drain,
        "store 64M": store_large,
    }


def _large_file() -> Path:
    path = Path(tempfile.gettempdir()) / "mogilefs-benchmark-64M"
    if not path.exists() or path.stat().st_size != LARGE:
        path.write_bytes(bytes(LARGE))
    return path


WORKERS = {"floor": floor, "ours": ours, "ours, 64 tasks": asyncio_ours, "pymogilefs": pymogilefs}


def work(name: str, tracker: str, domain: str) -> None:
    """A worker's process: a line with operation and count comes in, times and CPU go out."""
    operations = WORKERS[name](tracker, domain)
    print(json.dumps(list(operations)), flush=True)
    for line in sys.stdin:
        operation, count = json.loads(line)
        run = operations[operation]
        times = []
        cpu = time.process_time()
        for n in range(count):
            start = time.perf_counter()
            run(n)
            times.append(time.perf_counter() - start)
        print(json.dumps([times, time.process_time() - cpu]), flush=True)


# The program that starts them


class Worker:
    def __init__(self, name: str, python: str, tracker: str, domain: str) -> None:
        self.name = name
        command = [python, __file__, "--worker", name, "--tracker", tracker, "--domain", domain]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.operations: list[str] = json.loads(self.process.stdout.readline())
        self.times: dict[str, list[float]] = {}
        self.cpu: dict[str, float] = {}

    def run(self, operation: str, count: int, *, keep: bool = True) -> None:
        self.process.stdin.write(json.dumps([operation, count]) + "\n")
        self.process.stdin.flush()
        times, cpu = json.loads(self.process.stdout.readline())
        if keep:
            self.times.setdefault(operation, []).extend(times)
            self.cpu[operation] = self.cpu.get(operation, 0.0) + cpu

    def median(self, operation: str) -> float:
        share = 4 * TASKS if self.name == "ours, 64 tasks" else 1
        return statistics.median(self.times[operation]) / share

    def cpu_each(self, operation: str) -> float:
        share = 4 * TASKS if self.name == "ours, 64 tasks" else 1
        return self.cpu[operation] / len(self.times[operation]) / share

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def peers_python(directory: Path) -> str:
    python = directory / "bin" / "python"
    if not python.exists():
        if shutil.which("uv"):
            subprocess.run(["uv", "venv", "-q", directory], check=True)
            install = ["uv", "pip", "install", "-q", "--python", str(python)]
        else:
            subprocess.run([sys.executable, "-m", "venv", directory], check=True)
            install = [str(python), "-m", "pip", "install", "-q"]
        subprocess.run([*install, PEER], check=True)
    return str(python)


@contextmanager
def tracker_of(asked: str | None, durability: str) -> Iterator[str]:
    if asked:
        yield asked
        return
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "mogilefs", "node", directory]
        for door in ("--tracker", "--storage", "--sidechannel"):
            command += [door, "127.0.0.1:0"]
        node = subprocess.Popen(
            [*command, "--devices", "2", "--durability", durability],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield re.search(r"tracker (\S+),", node.stdout.readline())[1]
        finally:
            node.terminate()
            node.wait(30)
            node.stdout.close()


def prepare(tracker: str, domain: str) -> None:
    from mogilefs import AlreadyExists, Client

    with Client(domain, tracker) as client:
        with suppress(AlreadyExists):
            client.admin.create_domain(domain)
        client.store("bench", SMALL)
        client.store("benchlarge", _large_file())


def measure(workers: list[Worker], rounds: int) -> None:
    counts = {"paths": 100, "fetch": 50, "store": 30, "create": 30}
    jobs = [(worker, operation) for worker in workers for operation in worker.operations]
    for round_number in range(rounds + 1):
        random.shuffle(jobs)
        for worker, operation in jobs:
            large = operation.endswith("64M")
            if large and round_number > max(5, rounds // 4):
                continue
            count = 1 if large or worker.name == "ours, 64 tasks" else counts[operation]
            worker.run(operation, count, keep=round_number > 0)


def report(workers: list[Worker]) -> None:
    base = workers[0]
    print(f"{'':16}{'operation':12}{'p50 us':>10}{'x floor':>9}{'a second':>10}{'CPU us':>9}")
    for operation in dict.fromkeys(name for worker in workers for name in worker.operations):
        for worker in workers:
            if operation not in worker.operations:
                continue
            p50 = worker.median(operation)
            floor_p50 = base.median("store" if operation == "create" else operation)
            rate = f"{LARGE / p50 / 2**20:.0f} MB/s" if "64M" in operation else f"{1 / p50:.0f}"
            print(
                f"{worker.name:16}{operation:12}{p50 * 1e6:10.0f}{p50 / floor_p50:9.2f}"
                f"{rate:>10}{worker.cpu_each(operation) * 1e6:9.0f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracker", help="host:port of a running tracker")
    parser.add_argument("--domain", default="bench")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--durability", default="relaxed", help="of the node started here")
    parser.add_argument(
        "--peers", type=Path, default=Path(tempfile.gettempdir()) / "mogilefs-peers"
    )
    parser.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.tracker, options.domain)
        return
    pythons = dict.fromkeys(WORKERS, sys.executable) | {"pymogilefs": peers_python(options.peers)}
    with tracker_of(options.tracker, options.durability) as tracker:
        prepare(tracker, options.domain)
        workers = [
            Worker(name, python, tracker, options.domain) for name, python in pythons.items()
        ]
        measure(workers, options.rounds)
        report(workers)
        for worker in workers:
            worker.stop()


if __name__ == "__main__":
    main()
