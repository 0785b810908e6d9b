"""A node with disks to spoil, a client, and a look behind both: into the catalogue and on disk."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from mogilefs import Client
from mogilefs.node import Node
from mogilefs.node.jobs import Timings
from mogilefs.node.layout import file_path

T = TypeVar("T")

QUICK = Timings(
    monitor=0.1,
    foreign_test_write=0.1,
    poll=0.1,
    gather=0.0,
    reap=0.1,
    drain_settles=0.2,
    drain_again=0.5,
)
"""Short intervals, so that nobody waits for a poll."""

UNSEEN = replace(QUICK, monitor=3600.0)
"""The same, but the monitor looks at the disks at the start only."""

DEADLINE_SECONDS = 20.0
LOOK_SECONDS = 0.02

CLASSES = {"thumb": 1, "pair": 2, "avatar": 3}


def until(condition: Callable[[], T], what: str = "it") -> T:
    """What ``condition`` gives once that is true; an error where it never is."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what} did not come about: {found!r}"
        time.sleep(LOOK_SECONDS)


class Farm:
    """A running node in ``directory``, with domain ``demo`` and the classes in CLASSES."""

    def __init__(self, directory: Path, devices: int = 4, **options: Any) -> None:
        self.directory = directory
        addresses = {"tracker": "127.0.0.1:0", "storage": "127.0.0.1:0"}
        self.options: dict[str, Any] = {
            "devices": devices,
            "domains": {"demo": CLASSES},
            "sidechannel": "127.0.0.1:0",
            "durability": "relaxed",
            "timings": QUICK,
            **addresses,
            **options,
        }
        self._running = ExitStack()

    def __enter__(self) -> Farm:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self.node = self._running.enter_context(Node(self.directory, **self.options).in_thread())
        self.client = self._running.enter_context(Client("demo", self.node.tracker))

    def stop(self) -> None:
        self._running.close()

    # The catalogue

    def rows(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        """Rows of the catalogue, as another program sees them; also changes them."""
        with closing(sqlite3.connect(self.directory / "mogilefs.sqlite", timeout=10)) as db:
            found = db.execute(sql, params).fetchall()
            db.commit()
            return found

    def locations(self, key: str) -> list[int]:
        """The devices that the catalogue has a key's file on."""
        return [
            devid
            for (devid,) in self.rows(
                "SELECT devid FROM file_on JOIN file USING (fid) WHERE dkey = ? ORDER BY 1", key
            )
        ]

    def fid(self, key: str) -> int:
        return self.client.info(key).fid

    def idle(self) -> bool:
        """Is nothing left to do now in any queue?"""
        now = int(time.time())
        return not self.rows(
            "SELECT fid FROM file_to_replicate WHERE nexttry <= ?"
            " UNION SELECT fid FROM file_to_delete2 WHERE nexttry <= ?"
            " UNION SELECT fid FROM file_to_queue WHERE nexttry <= ?",
            *[now] * 3,
        )

    # The disks

    def copy(self, devid: int, fid: int) -> Path:
        """Where a file's bytes lie on a device."""
        return self.directory / f"dev{devid}" / file_path(fid)

    def copies(self, fid: int) -> dict[int, bytes]:
        """The bytes of a file on each device that has them."""
        found = {}
        for devid in self.node.device_numbers:
            with suppress(FileNotFoundError):  # or deleted in this moment
                found[devid] = self.copy(devid, fid).read_bytes()
        return found

    def fids_on_disk(self) -> set[int]:
        return {int(path.stem) for path in self.directory.glob("dev*/*/*/*/*.fid")}

    # Doing

    def store(self, key: str, content: bytes, mogile_class: str = "thumb", copies: int = 1) -> int:
        """Store a file and wait for its copies; returns its fid."""
        fid = self.client.store(key, content, mogile_class=mogile_class).fid
        until(lambda: len(self.locations(key)) == copies and self.idle(), f"{copies} copies")
        return fid

    def set_state(self, devid: int, state: str, host: str = "node") -> None:
        self.client.admin.set_device_state(host, devid, state)

    def observed(self, devid: int) -> str:
        """What the monitor has seen of a device."""
        devices = self.client.admin.devices()
        return next(device.observed_state or "" for device in devices if device.devid == devid)

    def fsck(self, **options: Any) -> Mapping[str, int]:
        """A whole fsck from the first file on; how often it found what."""
        admin = self.client.admin
        admin.fsck_clear_log()
        admin.fsck_reset(**options)
        admin.fsck_start()
        until(lambda: not admin.fsck_status().running and self._checked(), "the end of fsck")
        codes = [entry.code for entry in admin.fsck_log()]
        return {code: codes.count(code) for code in codes}

    def _checked(self) -> bool:
        return not self.rows("SELECT 1 FROM file_to_queue WHERE type = 1")
