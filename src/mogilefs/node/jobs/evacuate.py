"""Devices that are to hold nothing: dead ones are forgotten, drained ones emptied."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from sqlite3 import Connection

from . import records
from .context import JobContext
from .job import Job

log = logging.getLogger(__name__)


class DeadDevices(Job):
    """Forgets what was on dead devices, and has those files copied anew, the oldest first.

    In batches, and no faster than the copies are made, so that new files are not held up.
    """

    def __init__(self, context: JobContext, replicate: Callable[[], None]) -> None:
        super().__init__(context.timings.poll)
        self._context = context
        self._replicate = replicate
        self._reached: dict[int, int] = {}

    async def step(self) -> bool:
        for device in list(self._context.registry.devices.values()):
            if device.status == "dead" and self._holds_files(device.devid):
                return await self._forget_some(device.devid)
        return False

    def _holds_files(self, devid: int) -> bool:
        return bool(
            self._context.catalog.read("SELECT 1 FROM file_on WHERE devid = ? LIMIT 1", (devid,))
        )

    async def _forget_some(self, devid: int) -> bool:
        """Forget the next files of a device; False where the queue is long enough."""
        if self._backlog() >= self._context.timings.backlog:
            return False
        fids = await self._context.catalog.scan(lambda db: self._files(db, devid))
        self._reached[devid] = fids[-1] if fids else 0
        if fids:
            await self._context.catalog.write(lambda db: _forget(db, devid, fids), durable=False)
            log.info("device %d is dead: %d files are to be copied anew", devid, len(fids))
            self._replicate()
        return True

    def _files(self, db: Connection, devid: int) -> list[int]:
        """In the order of fids. The plus keeps SQLite off the index by device, which would sort."""
        rows = db.execute(
            "SELECT fid FROM file_on WHERE +devid = ? AND fid > ? ORDER BY fid LIMIT ?",
            (devid, self._reached.get(devid, 0), self._context.timings.batch),
        )
        return [fid for (fid,) in rows]

    def _backlog(self) -> int:
        """How many files wait to be copied now, as far as it matters."""
        ((count,),) = self._context.catalog.read(
            "SELECT count(*) FROM (SELECT 1 FROM file_to_replicate WHERE nexttry <= ? LIMIT ?)",
            (records.now(), self._context.timings.backlog),
        )
        return int(count)


def _forget(db: Connection, devid: int, fids: list[int]) -> None:
    (status,) = db.execute("SELECT status FROM device WHERE devid = ?", (devid,)).fetchone()
    if status != "dead":  # brought back in this moment
        return
    for fid in fids:
        records.drop_location(db, fid, devid)
        if db.execute("SELECT 1 FROM file WHERE fid = ?", (fid,)).fetchone():
            records.queue_replication(db, fid)


class Drain(Job):
    """Empties devices in state drain: queues their files to be moved off, as a rebalance does.

    Only once a device has been in that state for a while: some drain a device for a moment. One
    that a rebalance has put into drain is left to it, with its limits.
    """

    def __init__(
        self,
        context: JobContext,
        move: Callable[[], None],
        rebalanced: Callable[[], set[int]],
    ) -> None:
        super().__init__(context.timings.poll)
        self._context = context
        self._move = move
        self._rebalanced = rebalanced
        self._since: dict[int, float] = {}
        self._reached: dict[int, int] = {}
        self._rest_until: dict[int, float] = {}

    async def step(self) -> bool:
        more = False
        for devid in self._settled():
            more = await self._empty(devid) or more
        return more

    def _settled(self) -> list[int]:
        """The devices that have been in drain long enough."""
        drained = {
            device.devid
            for device in self._context.registry.devices.values()
            if device.status == "drain"
        } - self._rebalanced()
        for devid in self._since.keys() - drained:
            self._since.pop(devid, None)
            self._reached.pop(devid, None)
            self._rest_until.pop(devid, None)
        at = time.monotonic()
        for devid in drained:
            self._since.setdefault(devid, at)
        settles = self._context.timings.drain_settles
        return [devid for devid in sorted(drained) if at - self._since[devid] >= settles]

    async def _empty(self, devid: int) -> bool:
        """Queue the next files of a device; True where more can be queued now."""
        timings = self._context.timings
        if time.monotonic() < self._rest_until.get(devid, 0) or self._backlog() >= timings.backlog:
            return False
        reached = self._reached.get(devid, 0)
        rows = self._context.catalog.read(
            "SELECT rowid, fid FROM file_on WHERE devid = ? AND rowid > ? ORDER BY rowid LIMIT ?",
            (devid, reached, timings.batch),
        )
        if not rows:
            self._reached.pop(devid, None)
            self._rest_until[devid] = time.monotonic() + timings.drain_again
            return False
        self._reached[devid] = rows[-1][0]
        queued = [(fid, devid) for _, fid in rows]
        await self._context.catalog.write(lambda db: queue_moves(db, queued), durable=False)
        self._move()
        return True

    def _backlog(self) -> int:
        ((count,),) = self._context.catalog.read(
            "SELECT count(*) FROM (SELECT 1 FROM file_to_queue WHERE type = ? LIMIT ?)",
            (records.REBALANCE_QUEUE, self._context.timings.backlog),
        )
        return int(count)


def queue_moves(db: Connection, moves: list[tuple[int, int]], targets: str | None = None) -> None:
    """Queue files to be moved off devices (pairs of fid and devid), to ``targets`` if given."""
    at = records.now()
    db.executemany(
        "INSERT OR IGNORE INTO file_to_queue (fid, devid, type, nexttry, arg)"
        " VALUES (?, ?, ?, ?, ?)",
        [(fid, devid, records.REBALANCE_QUEUE, at, targets) for fid, devid in moves],
    )
