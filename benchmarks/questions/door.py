"""How fast is the storage door? Beside nginx, static and with DAV."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import parse_qsl, urlsplit

from .. import load, servers
from ..harness import Batch, Sheet, Table, compete
from ..servers import Address, Server
from ..setting import Setting

SIZES = {"4 KiB": 4096, "64 KiB": 65536, "1 MiB": 2**20, "64 MiB": 64 * 2**20}
QUICK = ("4 KiB", "1 MiB")
CONNECTIONS = 8


def run(setting: Setting) -> list[Table | Sheet]:
    """GET and PUT at every size: the node, nginx, and the storage nodes of the cluster given."""
    with contextlib.ExitStack() as stack:
        node = stack.enter_context(servers.node(setting.directory / "node-door"))
        doors = {"node": _Door(node.storage, node, _node_paths)}
        if servers.nginx_binary():
            other = stack.enter_context(servers.nginx(setting.directory / "nginx"))
            doors["nginx"] = _Door(other.storage, other, _node_paths)
        if setting.tracker:
            address, path = _offered(setting.tracker, setting.domain)
            doors["cluster"] = _Door(address, None, lambda size: itertools.repeat(path))
        labels = [label for label in SIZES if not setting.quick or label in QUICK]
        return [_contest(setting, doors, do, label) for label in labels for do in ("PUT", "GET")]


Paths = Callable[[int], Iterator[str]]


class _Door:
    def __init__(self, address: Address, server: Server | None, paths: Paths) -> None:
        self._address, self._server, self._paths = address, server, paths

    def turn(self, do: str, size: int, connections: int, seconds: float) -> Batch:
        """PUT files, or GET the first of them, again and again."""
        if do == "PUT":
            body = os.urandom(size)
            requests = (_put(path, body) for path in self._paths(size))
        else:
            self._drive(iter([_put(next(self._paths(size)), os.urandom(size))]), 1, 60)
            requests = itertools.repeat(_get(next(self._paths(size))))
        batch = self._drive(requests, connections, seconds)
        batch.moved = size * batch.operations
        return batch

    def _drive(self, requests: Iterator[bytes], connections: int, seconds: float) -> Batch:
        return load.drive(
            self._address, requests, load.http,
            connections=connections, seconds=seconds, server=self._server,
        )  # fmt: skip


def _node_paths(size: int) -> Iterator[str]:
    """The same hundred files of MogileFS's layout for each size, again and again."""
    first = 1_000_000 + size % 977 * 1000
    for number in itertools.cycle(range(first, first + 100)):
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


def _contest(setting: Setting, doors: dict[str, _Door], do: str, label: str) -> Table:
    size = SIZES[label]
    connections = CONNECTIONS if size <= 2**20 else 2
    turns = {
        name: partial(door.turn, do, size, connections, setting.seconds)
        for name, door in doors.items()
    }
    return compete(
        f"door/{do}/{label}", f"{do} {label}, {connections} connections", turns,
        rounds=min(setting.rounds, 5), baseline="nginx" if "nginx" in doors else "node",
    )  # fmt: skip
