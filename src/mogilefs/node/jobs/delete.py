"""The deletion queue: bytes of files that are no longer in the namespace."""

from __future__ import annotations

import asyncio
import logging
from sqlite3 import Connection
from typing import NamedTuple

from . import records
from .context import JobContext
from .foreign import StorageError
from .job import Job, QueueJob
from .timings import forbidden_backoff, refused_backoff, unseen_backoff

log = logging.getLogger(__name__)


class Queued(NamedTuple):
    """A row of ``file_to_delete2``."""

    fid: int
    failures: int


_DUE = "SELECT fid, failcount FROM file_to_delete2 WHERE nexttry <= ? ORDER BY nexttry LIMIT ?"


class Delete(QueueJob[Queued]):
    """Removes the bytes of deleted, replaced and abandoned files, and their rows at last."""

    def __init__(self, context: JobContext) -> None:
        super().__init__(context.timings.poll, context.timings.workers)
        self._context = context
        self._gathering: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """There is something to do, but nobody waits for it: soon, with whatever else comes."""
        if self._gathering is None:
            loop = asyncio.get_running_loop()
            self._gathering = loop.call_later(self._context.timings.gather, self._gathered)

    def _gathered(self) -> None:
        self._gathering = None
        super().wake()

    async def stop(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
        await super().stop()

    def due(self, limit: int) -> list[Queued]:
        claims = self._context.claims
        rows = self._context.catalog.read(_DUE, (records.now(), limit + len(claims)))
        return claims.pick(map(Queued._make, rows), limit)

    def done(self, item: Queued) -> None:
        self._context.claims.release(item.fid)

    async def work(self, item: Queued) -> None:
        if self._lives(item.fid):
            log.error("fid %d was queued for deletion, but is in use: it stays", item.fid)
            await self._write("DELETE FROM file_to_delete2 WHERE fid = ?", item.fid)
            return
        known = records.locations(self._context.catalog, item.fid)
        strays = self._context.replicas.strays(item.fid, known)
        removed, waits = [], []
        for devid in [*known, *strays]:
            wait = await self._remove(item, devid)
            if wait is None:
                removed.append(devid)
            else:
                waits.append(wait)
        await self._context.catalog.write(
            lambda db: _settle(db, item.fid, removed, min(waits, default=None)), durable=False
        )

    def _lives(self, fid: int) -> bool:
        """Is it a file, or an upload that may still become one?"""
        return bool(
            self._context.catalog.read(
                "SELECT 1 FROM file WHERE fid = :fid UNION SELECT 1 FROM tempfile WHERE fid = :fid",
                {"fid": fid},
            )
        )

    async def _remove(self, item: Queued, devid: int) -> int | None:
        """Remove one copy: None once it is gone, else the seconds until it may be tried again."""
        device = self._context.registry.devices.get(devid)
        if device is None or device.status == "dead":
            return None
        if not device.deletable:
            return forbidden_backoff(item.failures)
        if not self._context.registry.seen_readable(devid):
            return unseen_backoff(item.failures)
        try:
            await self._context.replicas.delete(devid, item.fid)
        except StorageError as error:
            log.warning("fid %d stays on device %d: %s", item.fid, devid, error)
            return refused_backoff(item.failures)
        return None

    async def failed(self, item: Queued) -> None:
        await self._context.catalog.write(
            lambda db: _postpone(db, item.fid, refused_backoff(item.failures)), durable=False
        )

    async def _write(self, sql: str, fid: int) -> None:
        await self._context.catalog.write(lambda db: db.execute(sql, (fid,)), durable=False)


def _settle(db: Connection, fid: int, removed: list[int], wait: int | None) -> None:
    """Note which copies are gone; with all of them, everything that is known of the file."""
    db.executemany(
        "DELETE FROM file_on WHERE fid = ? AND devid = ?", [(fid, devid) for devid in removed]
    )
    if wait is not None:
        _postpone(db, fid, wait)
        return
    for table in ("checksum", "file_to_replicate", "file_to_queue", "file_to_delete2"):
        db.execute(f"DELETE FROM {table} WHERE fid = ?", (fid,))  # noqa: S608 - constant names


def _postpone(db: Connection, fid: int, seconds: int) -> None:
    db.execute(
        "UPDATE file_to_delete2 SET nexttry = ?, failcount = min(failcount + 1, 255) WHERE fid = ?",
        (records.now() + seconds, fid),
    )


class Reap(Job):
    """Gives up uploads that were opened long ago and never closed, and empties old queues."""

    def __init__(self, context: JobContext, delete: Delete) -> None:
        super().__init__(context.timings.reap)
        self._context = context
        self._delete = delete

    async def step(self) -> bool:
        found = self._abandoned()
        if found:
            await self._context.catalog.write(lambda db: _abandon(db, found), durable=False)
        moved = await self._move_old_queues() if self._has_old_rows() else 0
        if found or moved:
            self._delete.wake()
        return max(len(found), moved) >= self._context.timings.batch

    def _abandoned(self) -> list[tuple[int, str]]:
        """Old uploads. fids are handed out in order, so that the oldest come first."""
        before = records.now() - self._context.timings.upload_lives
        rows = self._context.catalog.read(
            "SELECT fid, createtime, devids FROM tempfile ORDER BY fid LIMIT ?",
            (self._context.timings.batch,),
        )
        return [(fid, devids or "") for fid, created, devids in rows if created < before]

    def _has_old_rows(self) -> bool:
        return bool(
            self._context.catalog.read(
                "SELECT 1 FROM file_to_delete"
                " UNION ALL SELECT 1 FROM file_to_delete_later WHERE delafter <= ? LIMIT 1",
                (records.now(),),
            )
        )

    async def _move_old_queues(self) -> int:
        batch = self._context.timings.batch
        return await self._context.catalog.write(lambda db: _move_old(db, batch), durable=False)


def _abandon(db: Connection, uploads: list[tuple[int, str]]) -> None:
    """An open upload may have bytes on each device that it was offered."""
    for fid, devids in uploads:
        if not db.execute("DELETE FROM tempfile WHERE fid = ?", (fid,)).rowcount:
            continue  # closed in this moment
        if db.execute("SELECT 1 FROM file WHERE fid = ?", (fid,)).fetchone():
            continue
        db.executemany(
            "INSERT OR IGNORE INTO file_on (fid, devid) VALUES (?, ?)",
            [(fid, int(devid)) for devid in devids.split(",") if devid.strip().isdigit()],
        )
        records.queue_deletion(db, [fid])


def _move_old(db: Connection, limit: int) -> int:
    """Rows of MogileFS's two older deletion queues, into the one that is worked on."""
    fids = [
        fid
        for (fid,) in db.execute(
            "SELECT fid FROM file_to_delete"
            " UNION SELECT fid FROM file_to_delete_later WHERE delafter <= ? LIMIT ?",
            (records.now(), limit),
        )
    ]
    records.queue_deletion(db, fids)
    for table in ("file_to_delete", "file_to_delete_later"):
        db.executemany(
            f"DELETE FROM {table} WHERE fid = ?",  # noqa: S608 - constant names
            [(fid,) for fid in fids],
        )
    return len(fids)
