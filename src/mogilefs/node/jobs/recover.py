"""What a crash or a lost disk has left behind, put right."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from sqlite3 import Connection

from .. import layout
from ..catalog import Catalog
from ..devices import Devices
from . import records
from .context import JobContext
from .job import Job

log = logging.getLogger(__name__)

SWEPT_FIDS = 2 * 4096
"""How many of the newest file numbers are looked for on disk at a start: two reserved blocks.

An upload's row can only be lost by a power failure, and then it is younger than the last durable
write, which the reserving of its block was at the latest."""

RECOVERED_ROWS = 500
"""Rows changed in one go when postponed work is taken up."""


async def sweep_orphans(context: JobContext) -> int:
    """Remove files of the newest numbers that the catalogue does not know at all.

    To be called before a new number is handed out. Returns how many there were. A node whose
    catalogue never handed out a number (another tracker uses its disks) has nothing to sweep.
    """
    last = _last_fid(context.catalog)
    if not last:
        return 0
    swept = 0
    for device in context.replicas.own_devices():
        if context.may_delete(device.devid):
            try:
                swept += await _sweep(context, device.devid, last)
            except OSError as error:  # the other disks are as good without it
                log.warning("device %d is not swept: %s", device.devid, error)
    return swept


async def _sweep(context: JobContext, devid: int, last: int) -> int:
    swept = 0
    for fid in await context.devices.run(devid, _fids_on_disk, context.devices, devid, last):
        if not _known(context.catalog, fid):
            await context.devices.delete(devid, fid)
            log.warning("fid %d on device %d belonged to no file: removed", fid, devid)
            swept += 1
    return swept


def _last_fid(catalog: Catalog) -> int:
    rows = catalog.read("SELECT max(seq) FROM sqlite_sequence WHERE name = 'tempfile'")
    return int(rows[0][0] or 0)


def _fids_on_disk(devices: Devices, devid: int, last: int) -> list[int]:
    """The fids up to ``last`` that lie in the directories of the newest numbers."""
    found = []
    for directory in _directories(max(1, last - SWEPT_FIDS + 1), last):
        try:
            names = os.listdir(devices.directory(devid) / directory)
        except FileNotFoundError:
            continue
        for name in names:
            place = layout.parse(f"/dev{devid}/{directory}/{name}")
            if place and place.fid and last - SWEPT_FIDS < place.fid <= last:
                found.append(place.fid)
    return found


def _directories(first: int, last: int) -> Iterator[str]:
    """The directories that hold the fids of a range: a thousand numbers share one."""
    known = set()
    for fid in [*range(first, last, 500), last]:
        directory = os.path.dirname(layout.file_path(fid))
        if directory not in known:
            known.add(directory)
            yield directory


def _known(catalog: Catalog, fid: int) -> bool:
    return bool(
        catalog.read(
            "SELECT 1 FROM file WHERE fid = :fid UNION SELECT 1 FROM tempfile WHERE fid = :fid"
            " UNION SELECT 1 FROM file_on WHERE fid = :fid"
            " UNION SELECT 1 FROM file_to_delete2 WHERE fid = :fid"
            " UNION SELECT 1 FROM file_to_delete WHERE fid = :fid"
            " UNION SELECT 1 FROM file_to_delete_later WHERE fid = :fid",
            {"fid": fid},
        )
    )


class Recovery(Job):
    """When a device comes (back): postponed work is taken up, short files get another copy."""

    def __init__(self, context: JobContext, wake: Callable[[], None]) -> None:
        super().__init__(interval=3600.0)
        self._context = context
        self._wake_queues = wake
        self._asked = False

    def device_recovered(self) -> None:
        """A device can do more than before."""
        self._asked = True
        self.wake()

    async def step(self) -> bool:
        if not self._asked:
            return False
        self._asked = False
        hurried = await self._hurry("file_to_replicate") + await self._hurry("file_to_delete2")
        hurried += await self._queue_short_files()
        if hurried:
            self._wake_queues()
        return self._asked

    async def _hurry(self, table: str) -> int:
        """Take up at once what waits for a later time, in small transactions."""
        total = 0
        at = records.now()
        while True:
            count = await self._context.catalog.write(
                lambda db: _hurry_some(db, table, at), durable=False
            )
            total += count
            if count < RECOVERED_ROWS:
                return total

    async def _queue_short_files(self) -> int:
        """Files with fewer copies than their class wants, which no queue holds."""
        total, reached = 0, 0
        while True:
            found = await self._context.catalog.scan(
                lambda db: _short_files(db, reached)  # noqa: B023 - awaited here
            )
            if not found:
                return total
            await self._context.catalog.write(
                lambda db: _queue(db, found),  # noqa: B023 - awaited here
                durable=False,
            )
            total, reached = total + len(found), found[-1]


def _hurry_some(db: Connection, table: str, at: int) -> int:
    return db.execute(
        f"UPDATE {table} SET nexttry = :at WHERE fid IN"  # noqa: S608 - constant names
        f" (SELECT fid FROM {table} WHERE nexttry > :at LIMIT {RECOVERED_ROWS})",
        {"at": at},
    ).rowcount


def _queue(db: Connection, fids: list[int]) -> None:
    for fid in fids:
        records.queue_replication(db, fid)


def _short_files(db: Connection, after: int) -> list[int]:
    rows = db.execute(
        "SELECT file.fid FROM file"
        " LEFT JOIN class ON class.dmid = file.dmid AND class.classid = file.classid"
        " WHERE file.fid > ? AND file.devcount < coalesce(class.mindevcount, 2)"
        " AND NOT EXISTS (SELECT 1 FROM file_to_replicate WHERE fid = file.fid)"
        " ORDER BY file.fid LIMIT ?",
        (after, RECOVERED_ROWS),
    )
    return [fid for (fid,) in rows]
