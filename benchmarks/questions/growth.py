"""Does it stay fast as it grows? Nodes with a thousand, a hundred thousand and a million keys."""

from __future__ import annotations

import contextlib
import itertools
import random
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mogilefs import Client
from mogilefs.levels import level

from .. import load, servers
from ..harness import Batch, Sheet, Table, compete, timed
from ..servers import Server
from ..setting import Setting

SIZES = (1_000, 100_000, 1_000_000)
QUICK = (1_000, 20_000)
FIXED = 100
"""Keys below ``fixed/``, the same on every node: what a listing of one directory returns."""

FOLDER = 1_000
"""Keys in each of the other directories."""


def run(setting: Setting) -> list[Table | Sheet]:
    """The same questions to nodes of different sizes, which take turns."""
    sizes = QUICK if setting.quick else SIZES
    rows: list[list[object]] = []
    with contextlib.ExitStack() as stack:
        nodes: dict[str, Server] = {}
        for keys in sizes:
            directory = setting.directory / f"node-{keys}"
            _fill(directory, keys)
            start = time.perf_counter()
            node = stack.enter_context(servers.node(directory))
            rows.append([f"{keys:,}", time.perf_counter() - start, node.memory()])
            nodes[f"{keys:,} keys"] = node
        found = [_contest(setting, nodes, what, make) for what, make in QUESTIONS.items()]
        for row, node in zip(rows, nodes.values(), strict=True):
            row.append(node.memory())
    titles = ["keys", "start, s", "memory after start, MiB", "memory after the questions, MiB"]
    return [*found, Sheet("growth", "Start and memory of a node by its keys", titles, rows)]


def _contest(
    setting: Setting,
    nodes: dict[str, Server],
    what: str,
    make: Callable[[Setting, Server, int], Callable[[], Batch]],
) -> Table:
    turns = {
        name: make(setting, node, int(name.split()[0].replace(",", "")))
        for name, node in nodes.items()
    }
    return compete(f"growth/{what}", f"{what} by the number of keys", turns, rounds=setting.rounds)


def _get_paths(setting: Setting, node: Server, keys: int) -> Callable[[], Batch]:
    chosen = random.Random(1)

    def turn() -> Batch:
        requests = (
            f"get_paths domain=bench&key={_key(chosen.randrange(keys))}&noverify=1\r\n".encode()
            for _ in itertools.count()
        )
        return load.drive(
            node.tracker, requests, load.line, connections=1, seconds=setting.seconds, server=node
        )

    return turn


def _list_keys(setting: Setting, node: Server, keys: int) -> Callable[[], Batch]:
    request = b"list_keys domain=bench&prefix=fixed/\r\n"
    return lambda: load.drive(
        node.tracker, itertools.repeat(request), load.line,
        connections=1, seconds=setting.seconds, server=node,
    )  # fmt: skip


def _listdir(setting: Setting, node: Server, keys: int) -> Callable[[], Batch]:
    client = Client("bench", str(node.tracker))
    return partial(timed, lambda: sum(1 for _ in level(client, "")), setting.count(30))


def _create(setting: Setting, node: Server, keys: int) -> Callable[[], Batch]:
    client, numbers = Client("bench", str(node.tracker)), itertools.count()

    def create() -> None:
        client.store(f"new/{next(numbers)}", b"x" * 4096, mogile_class="one", overwrite=False)

    return partial(timed, create, setting.count(60))


QUESTIONS = {
    "get_paths": _get_paths,
    "list_keys": _list_keys,
    "listdir of the top": _listdir,
    "create": _create,
}


def _key(number: int) -> str:
    """Directories two deep: the top has three entries, whatever the size."""
    if number < FIXED:
        return f"fixed/{number:04}"
    return f"users/{number // FOLDER:04}/{number:08}.png"


def _fill(directory: Path, keys: int) -> None:
    """Let a node make its catalogue, then write the rows while it does not run."""
    with servers.node(directory):
        pass
    with contextlib.closing(sqlite3.connect(directory / "mogilefs.sqlite")) as db, db:
        [(domain,)] = db.execute("SELECT dmid FROM domain WHERE namespace = 'bench'")
        [(one,)] = db.execute("SELECT classid FROM class WHERE dmid = ?", (domain,))
        rows = ((fid, domain, _key(fid - 1), 4096, one, 1) for fid in range(1, keys + 1))
        db.executemany("INSERT INTO file VALUES (?, ?, CAST(? AS TEXT), ?, ?, ?)", rows)
        db.executemany(
            "INSERT INTO file_on VALUES (?, ?)", ((fid, fid % 3 + 1) for fid in range(1, keys + 1))
        )
        db.execute("DELETE FROM sqlite_sequence WHERE name = 'tempfile'")
        db.execute("INSERT INTO sqlite_sequence VALUES ('tempfile', ?)", (keys + 1,))
