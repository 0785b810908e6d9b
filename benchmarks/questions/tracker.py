"""How many commands a second does a tracker answer, on 1, 8 and 64 connections?"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl

from .. import load, servers
from ..harness import Batch, Sheet, Table, compete
from ..servers import Address, Server
from ..setting import Setting

CONNECTIONS = (1, 8, 64)
KEYS = 100
Turn = Callable[[], Batch]


def run(setting: Setting) -> list[Table | Sheet]:
    """Reading and writing commands: the node, the tracker given, and SQLite alone."""
    with servers.node(setting.directory / "node-tracker") as node:
        places = {"node": _Place(node.tracker, "bench", "one", node)}
        if setting.tracker:
            places["cluster"] = _Place(setting.tracker, setting.domain, "", None)
        for place in places.values():
            place.fill()
        return [
            _contest(setting, places, what, connections)
            for what in ("get_paths", "file_info", "list_keys", "create_open", "create_close")
            for connections in (CONNECTIONS[:1] if setting.quick else CONNECTIONS)
        ]


class _Place:
    """A tracker with some files in it."""

    def __init__(
        self, address: Address, domain: str, mogile_class: str, server: Server | None
    ) -> None:
        self.address, self.domain, self.server = address, domain, server
        self._class = f"&class={mogile_class}" if mogile_class else ""
        self._serial = itertools.count(1)

    def fill(self) -> None:
        """Make the files that are asked for."""
        for batch in self.closing(KEYS, name="key"):
            self.drive(iter([batch]), 1, 60)

    def requests(self, what: str) -> Iterator[bytes]:
        """Commands without end."""
        for number in itertools.count():
            key = f"domain={self.domain}&key=key{number % KEYS + 1}"
            yield {
                "get_paths": f"get_paths {key}&noverify=1&pathcount=2\r\n",
                "file_info": f"file_info {key}\r\n",
                "list_keys": f"list_keys domain={self.domain}&prefix=key&limit=100\r\n",
                "create_open": f"create_open {key}{self._class}\r\n",
            }[what].encode()

    def closing(self, count: int, name: str = "") -> list[bytes]:
        """``create_close`` commands for as many files, which are opened and uploaded here."""
        name = name or f"closed{time.time_ns()}-"
        return [self._open(f"{name}{number + 1}") for number in range(count)]

    def _open(self, key: str) -> bytes:
        reply = self._ask(f"create_open domain={self.domain}&key={key}{self._class}\r\n")
        values = dict(parse_qsl(reply.removeprefix("OK ").strip()))
        put = urllib.request.Request(values["path"], b"x" * 64, method="PUT")
        urllib.request.urlopen(put, timeout=30).close()
        return (
            f"create_close domain={self.domain}&key={key}&fid={values['fid']}"
            f"&devid={values['devid']}&path={values['path']}&size=64\r\n"
        ).encode()

    def _ask(self, line: str) -> str:
        if not hasattr(self, "_reader"):
            self._reader = load.Caller(self.address)
        return self._reader.exchange(line.encode())

    def drive(self, requests: Iterator[bytes], connections: int, seconds: float) -> Batch:
        """A closed loop of ``requests``."""
        return load.drive(
            self.address, requests, load.line,
            connections=connections, seconds=seconds, server=self.server,
        )  # fmt: skip

    def turn(self, what: str, connections: int, setting: Setting) -> Batch:
        """One turn of a contest."""
        if what == "create_close":
            requests = iter(self.closing(setting.count(64 if connections == 1 else 512, 64)))
            return self.drive(requests, connections, 60)
        return self.drive(self.requests(what), connections, setting.seconds)


def _contest(setting: Setting, places: dict[str, _Place], what: str, connections: int) -> Table:
    turns: dict[str, Turn] = {
        name: partial(place.turn, what, connections, setting) for name, place in places.items()
    }
    with contextlib.ExitStack() as stack:
        if what in ("get_paths", "create_close"):
            bare = stack.enter_context(contextlib.closing(_Bare(setting.directory, connections)))
            turns["SQLite alone, no network"] = partial(getattr(bare, what), setting)
        return compete(
            f"tracker/{what}/{connections}", f"{what} on {connections} connection(s)", turns,
            rounds=min(setting.rounds, 5),
        )  # fmt: skip


class _Bare:
    """SQLite with the same durability and nothing else: one transaction for what may share it."""

    def __init__(self, directory: Path, together: int) -> None:
        self._together = together
        self._path = directory / f"bare-{time.time_ns()}.sqlite"
        self._db = sqlite3.connect(self._path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(
            "CREATE TABLE file (fid INTEGER PRIMARY KEY, dkey TEXT UNIQUE, length INT)"
        )
        self._db.execute("CREATE TABLE file_on (fid INT, devid INT, PRIMARY KEY (fid, devid))")
        self._fids = itertools.count(KEYS + 1)
        for fid in range(1, KEYS + 1):
            self._insert(fid, f"key{fid}")
        self._folder = os.open(directory, os.O_RDONLY)

    def close(self) -> None:
        self._db.close()
        os.close(self._folder)

    def get_paths(self, setting: Setting) -> Batch:
        """The one SELECT that the question needs."""
        query = "SELECT devid FROM file JOIN file_on USING (fid) WHERE dkey = ?"
        start, latencies = time.perf_counter(), []
        for number in itertools.cycle(range(1, KEYS + 1)):
            before = time.perf_counter()
            if before - start >= setting.seconds:
                break
            self._db.execute(query, (f"key{number}",)).fetchall()
            latencies.append(time.perf_counter() - before)
        return Batch(latencies, time.perf_counter() - start)

    def create_close(self, setting: Setting) -> Batch:
        """Files and their directory made durable, rows inserted and committed."""
        count = setting.count(64 if self._together == 1 else 512, 64)
        files = [self._path.with_suffix(f".{next(self._fids)}") for _ in range(count)]
        for file in files:
            file.write_bytes(b"x" * 64)
        start, latencies = time.perf_counter(), []
        for at in range(0, count, self._together):
            before = time.perf_counter()
            self._commit(files[at : at + self._together])
            took = time.perf_counter() - before
            latencies += [took] * len(files[at : at + self._together])
        seconds = time.perf_counter() - start
        for file in files:
            file.unlink()
        return Batch(latencies, seconds)

    def _commit(self, files: list[Path]) -> None:
        for file in files:
            number = os.open(file, os.O_RDONLY)
            os.fsync(number)
            os.close(number)
        os.fsync(self._folder)
        self._db.execute("BEGIN IMMEDIATE")
        for file in files:
            self._insert(int(file.suffix[1:]), str(file))
        self._db.execute("COMMIT")

    def _insert(self, fid: int, key: str) -> None:
        self._db.execute("INSERT INTO file VALUES (?, ?, 64)", (fid, key))
        self._db.execute("INSERT INTO file_on VALUES (?, 1)", (fid,))
