"""How fast is the storage door? Beside nginx, static and with DAV."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from .. import load, servers
from ..harness import Batch, Sheet, Table, compete
from ..servers import Address, Server
from ..setting import Setting

SIZES = {"4 KiB": 4096, "64 KiB": 65536, "1 MiB": 2**20, "64 MiB": 64 * 2**20}
QUICK = ("4 KiB", "1 MiB")
CONNECTIONS = 8
MAX_PUTS = 20_000
MAX_BYTES = 2**28
"""What one turn of PUTs puts at most, in files and bytes."""

LARGE = 2**20
"""Files of at least so many bytes are removed after a turn, so that the next does not pay for
writing them to the disk. Small ones stay: removing thousands would cost it more."""


def run(setting: Setting) -> list[Table | Sheet]:
    """GET and PUT at every size: the node, nginx, and the storage nodes of the cluster given."""
    labels = [label for label in SIZES if not setting.quick or label in QUICK]
    with contextlib.ExitStack() as stack:
        doors = _doors(stack, setting.directory)
        if setting.tracker:
            address, path = _offered(setting.tracker, setting.domain)
            doors["cluster"] = _Door(address, None, itertools.repeat(path))
        found = [_contest(setting, doors, do, label) for label in labels for do in ("PUT", "GET")]
    return [*found, *_in_memory(setting)]


def _in_memory(setting: Setting) -> list[Table | Sheet]:
    """Small PUTs without a disk, as the known figures of MogileFS 2.73 were recorded."""
    with contextlib.ExitStack() as stack:
        directory = setting.in_memory(stack)
        if directory is None:
            return []
        return [_contest(setting, _doors(stack, directory), "PUT", "4 KiB", " in memory")]


def _doors(stack: contextlib.ExitStack, directory: Path) -> dict[str, _Door]:
    node = stack.enter_context(servers.node(directory / "node-door"))
    doors = {"node": _Door(node.storage, node, _fresh_paths())}
    if servers.nginx_binary():
        nginx = stack.enter_context(servers.nginx(directory / "nginx"))
        doors["nginx"] = _Door(nginx.storage, nginx, _fresh_paths())
    return doors


class _Door:
    def __init__(self, address: Address, server: Server | None, paths: Iterator[str]) -> None:
        self._address, self._server, self._paths = address, server, paths

    def turn(self, do: str, size: int, connections: int, seconds: float) -> Batch:
        """PUT files, or GET one again and again."""
        body = os.urandom(size)
        if do == "PUT":
            paths = itertools.islice(
                self._paths, max(connections, min(MAX_PUTS, MAX_BYTES // size))
            )
            requests = (_put(path, body) for path in paths)
        else:
            path = next(self._paths)
            self._drive(iter([_put(path, body)]), 1, 60)
            requests = itertools.repeat(_get(path))
        batch = self._drive(requests, connections, seconds)
        batch.moved = size * batch.operations
        if size >= LARGE and self._server is not None:
            shutil.rmtree(self._server.directory / "dev1/0")
        return batch

    def _drive(self, requests: Iterator[bytes], connections: int, seconds: float) -> Batch:
        return load.drive(
            self._address, requests, load.http,
            connections=connections, seconds=seconds, server=self._server,
        )  # fmt: skip


def _fresh_paths() -> Iterator[str]:
    """Files of MogileFS's layout, each a new one, as every file in MogileFS is."""
    for number in itertools.count(1_000_000):
        padded = f"{number:010}"
        yield f"/dev1/{padded[0]}/{padded[1:4]}/{padded[4:7]}/{padded}.fid"


def _offered(tracker: Address, domain: str) -> tuple[Address, str]:
    """A storage node's address and a path on it, from the cluster's tracker."""
    reply = load.Caller(tracker).exchange(
        f"create_open domain={domain}&key=bench-door\r\n".encode()
    )
    url = urlsplit(dict(parse_qsl(reply.removeprefix("OK ").strip()))["path"])
    return Address(url.hostname or "", url.port or 80), url.path


def _put(path: str, body: bytes) -> bytes:
    return f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n".encode()


def _contest(
    setting: Setting, doors: dict[str, _Door], do: str, label: str, where: str = ""
) -> Table:
    size = SIZES[label]
    connections = CONNECTIONS if size <= 2**20 else 2
    turns = {
        name: partial(door.turn, do, size, connections, setting.seconds)
        for name, door in doors.items()
    }
    return compete(
        f"door/{do}/{label}{where}", f"{do} {label}{where}, {connections} connections", turns,
        rounds=min(setting.rounds, 5), baseline="nginx" if "nginx" in doors else "node",
    )  # fmt: skip
