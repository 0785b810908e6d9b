"""A disk dies: how fast are its files copied anew, and what does the traffic feel?"""

from __future__ import annotations

import contextlib
import random
import sqlite3
import statistics
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from mogilefs import Client

from .. import servers
from ..harness import Sheet, Table, quantile
from ..setting import Setting

SIZE = 16 * 1024
DEVICES = 4
LIMIT = 180.0
"""Seconds after which waiting is given up; the sheet then says how far it came."""


def run(setting: Setting) -> list[Table | Sheet]:
    """Files of two replicas; one of four devices is marked dead while files are read and stored."""
    count = setting.count(4000, 60)
    directory = setting.directory / "node"
    with contextlib.ExitStack() as stack:
        node = stack.enter_context(servers.node(directory, "--class", "two:2", devices=DEVICES))
        client = stack.enter_context(Client("bench", str(node.tracker)))
        copied = _fill(client, directory, count)
        traffic = stack.enter_context(_Traffic(client, count))
        time.sleep(0.5 if setting.quick else 5)
        before = traffic.take()
        lost = _count(directory, "SELECT COUNT(*) FROM file_on WHERE devid = 1")
        seconds = _heal(client, directory)
        during = traffic.take()
    rows: list[list[object]] = [
        ["files stored, second replica made, a second", count / copied],
        ["replicas on the dead device", lost],
        ["seconds until all were on others", seconds],
        ["re-replicated files a second", lost / seconds],
    ]
    for what in ("fetch", "store"):
        for when, seen in (("before", before), ("meanwhile", during)):
            rows += [
                [f"{what} p50 {when}, ms", statistics.median(seen[what]) * 1e3],
                [f"{what} p99 {when}, ms", quantile(sorted(seen[what]), 0.99) * 1e3],
            ]
    title = (
        f"Healing: {count:,} files of {SIZE // 1024} KiB in two replicas, one of four disks dies"
    )
    return [Sheet("healing", title, ["what", "measured"], rows)]


def _fill(client: Client, directory: Path, count: int) -> float:
    """Store the files and wait for their second replicas; seconds that both took."""
    start = time.perf_counter()
    content = random.Random(1).randbytes(SIZE)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: client.store(f"k{n}", content, mogile_class="two"), range(count)))
    _wait(directory, "SELECT COUNT(*) FROM file WHERE devcount < 2")
    return time.perf_counter() - start


def _heal(client: Client, directory: Path) -> float:
    start = time.perf_counter()
    client.admin.set_device_state("node", 1, "dead")
    _wait(directory, "SELECT COUNT(*) FROM file_on WHERE devid = 1")
    _wait(directory, "SELECT COUNT(*) FROM file WHERE devcount < 2 AND dkey LIKE 'k%'")
    return time.perf_counter() - start


def _wait(directory: Path, query: str) -> None:
    """Until a count is zero."""
    deadline = time.monotonic() + LIMIT
    while (left := _count(directory, query)) and time.monotonic() < deadline:
        time.sleep(0.05)
    if left:
        raise TimeoutError(f"after {LIMIT:.0f} s {left} were left of: {query}")


def _count(directory: Path, query: str) -> int:
    uri = f"file:{directory / 'mogilefs.sqlite'}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as db:
        found: int = db.execute(query).fetchone()[0]
    return found


class _Traffic:
    """Two threads that fetch and store, one operation after the other, until told to stop."""

    def __init__(self, client: Client, count: int) -> None:
        self._client, self._count = client, count
        self._stop = threading.Event()
        self._news = threading.Condition()
        self._seen: dict[str, list[float]] = {"fetch": [], "store": []}
        self._pool = ThreadPoolExecutor(len(self._seen))
        self._running: list[Future[None]] = []

    def __enter__(self) -> _Traffic:
        self._running = [self._pool.submit(self._go, what) for what in self._seen]
        for future in self._running:
            future.add_done_callback(self._tell)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown()

    def take(self) -> dict[str, list[float]]:
        """What was seen since the last call, in seconds: one of each at least.

        Raises what an operation raised.
        """
        with self._news:
            self._news.wait_for(lambda: all(self._seen.values()) or self._failed())
            for failed in self._failed():
                failed.result()
            seen, self._seen = self._seen, {"fetch": [], "store": []}
        return seen

    def _failed(self) -> list[Future[None]]:
        return [future for future in self._running if future.done()]

    def _tell(self, _: object) -> None:
        with self._news:
            self._news.notify()

    def _go(self, what: str) -> None:
        rng = random.Random(what)
        content = rng.randbytes(SIZE)
        while not self._stop.wait(0.002):  # some hundred a second: traffic, not a contest
            start = time.perf_counter()
            if what == "fetch":
                self._client.read(f"k{rng.randrange(self._count)}")
            else:
                self._client.store(f"traffic{rng.randrange(100)}", content, mogile_class="two")
            with self._news:
                self._seen[what].append(time.perf_counter() - start)
                self._news.notify()
