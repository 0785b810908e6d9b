"""The deletion queue: bytes of files that are no longer in the namespace."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from sqlite3 import Connection
from typing import NamedTuple

from . import records
from .context import JobContext
from .job import Job, QueueJob
from .timings import forbidden_backoff, refused_backoff, unseen_backoff

log = logging.getLogger(__name__)


GROUP = 50
"""Files that are looked up together and forgotten in one transaction."""

BACKLOG = 10_000
"""Files that may wait while clients write, who go first; with more, deletion goes first, too."""


class Queued(NamedTuple):
    """A row of ``file_to_delete2``."""

    fid: int
    failures: int


Group = Sequence[Queued]


class Settled(NamedTuple):
    """A file's copies that are gone, and the seconds after which the others are tried again."""

    fid: int
    removed: list[int]
    wait: int | None


_DUE = "SELECT fid, failcount FROM file_to_delete2 WHERE nexttry <= ? ORDER BY nexttry LIMIT ?"
_MANY = "SELECT 1 FROM file_to_delete2 WHERE nexttry <= ? LIMIT 1 OFFSET ?"


class Delete(QueueJob[Group]):
    """Removes the bytes of deleted, replaced and abandoned files, and their rows at last."""

    def __init__(self, context: JobContext) -> None:
        super().__init__(context.timings.poll, context.timings.workers)
        self._context = context
        self._gathering: asyncio.TimerHandle | None = None
        self._has_more = self._hurries = False

    def wake(self) -> None:
        """There is something to do, but nobody waits for it: soon, with whatever else comes.

        At once where the queue held more than was taken from it the last time.
        """
        if self._has_more:
            super().wake()
        elif self._gathering is None:
            loop = asyncio.get_running_loop()
            self._gathering = loop.call_later(self._context.timings.gather, self._gathered)

    def _gathered(self) -> None:
        self._gathering = None
        super().wake()

    async def stop(self) -> None:
        await super().stop()
        if self._gathering is not None:
            self._gathering.cancel()

    def due(self, limit: int) -> list[Group]:
        claims = self._context.claims
        most = limit * GROUP
        now = records.now()
        rows = self._context.catalog.read(_DUE, (now, most + len(claims)))
        claimed = claims.pick(map(Queued._make, rows), most)
        self._has_more = len(claimed) == most
        self._hurries = bool(self._has_more and self._context.catalog.read(_MANY, (now, BACKLOG)))
        return [claimed[start : start + GROUP] for start in range(0, len(claimed), GROUP)]

    def done(self, item: Group) -> None:
        for queued in item:
            self._context.claims.release(queued.fid)

    async def work(self, item: Group) -> None:
        living = records.in_use(self._context.catalog, [queued.fid for queued in item])
        for fid in sorted(living):
            log.error("fid %d was queued for deletion, but is in use: it stays", fid)
        doomed = [queued for queued in item if queued.fid not in living]
        waits = await self._remove(await self._copies(doomed))
        settled = [
            Settled(
                queued.fid,
                [devid for devid, wait in copies.items() if wait is None],
                min((wait for wait in copies.values() if wait is not None), default=None),
            )
            for queued, copies in waits.items()
        ]
        await self._context.catalog.write(
            lambda db: _settle_all(db, sorted(living), settled), durable=False
        )

    async def _copies(self, group: Group) -> dict[Queued, list[int]]:
        """The devices that each file is on, whether the catalogue knows it or not."""
        known = records.locations_of(self._context.catalog, [queued.fid for queued in group])
        strays = self._context.replicas.strays
        return {
            queued: [*known[queued.fid], *await strays(queued.fid, known[queued.fid])]
            for queued in group
        }

    async def _remove(
        self, copies: Mapping[Queued, Sequence[int]]
    ) -> dict[Queued, dict[int, int | None]]:
        """Remove copies, device by device.

        Says of each None once it is gone, else the seconds until it may be tried again.
        """
        waits: dict[Queued, dict[int, int | None]] = {queued: {} for queued in copies}
        asked: dict[int, list[Queued]] = {}
        for queued, devids in copies.items():
            for devid in devids:
                waits[queued][devid] = wait = self._forbidden(queued, devid)
                if wait is None and not self._context.is_lost(devid):
                    asked.setdefault(devid, []).append(queued)
        for devid, group in asked.items():
            refused = await self._context.replicas.delete_all(
                devid, [queued.fid for queued in group], hurry=self._hurries
            )
            for queued in group:
                if queued.fid in refused:
                    log.warning(
                        "fid %d stays on device %d: %s", queued.fid, devid, refused[queued.fid]
                    )
                    waits[queued][devid] = refused_backoff(queued.failures)
        return waits

    def _forbidden(self, queued: Queued, devid: int) -> int | None:
        """Seconds until a copy may be removed, None where it may be now or is lost anyway."""
        if self._context.is_lost(devid):
            return None
        if not self._context.registry.devices[devid].deletable:
            return forbidden_backoff(queued.failures)
        if not self._context.registry.seen_readable(devid):
            return unseen_backoff(queued.failures)
        return None

    async def failed(self, item: Group) -> None:
        waits = [Settled(each.fid, [], refused_backoff(each.failures)) for each in item]
        await self._context.catalog.write(lambda db: _settle_all(db, [], waits), durable=False)


def _settle_all(db: Connection, living: Sequence[int], settled: Sequence[Settled]) -> None:
    """Forget what was queued by mistake, and note what became of the others.

    Which of their copies are gone; with all of them, everything that is known of the file.
    """
    db.executemany(
        "DELETE FROM file_on WHERE fid = ? AND devid = ?",
        [(one.fid, devid) for one in settled for devid in one.removed],
    )
    db.executemany(
        _POSTPONE, [(records.now() + one.wait, one.fid) for one in settled if one.wait is not None]
    )
    gone = [(one.fid,) for one in settled if one.wait is None]
    for table in ("checksum", "file_to_replicate", "file_to_queue"):
        db.executemany(f"DELETE FROM {table} WHERE fid = ?", gone)  # noqa: S608 - constant names
    db.executemany(
        "DELETE FROM file_to_delete2 WHERE fid = ?", [*gone, *((fid,) for fid in living)]
    )


_POSTPONE = (
    "UPDATE file_to_delete2 SET nexttry = ?, failcount = min(failcount + 1, 255) WHERE fid = ?"
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
    """Give up uploads, by fid and the devices that they were offered."""
    for fid, devids in uploads:
        if not db.execute("DELETE FROM tempfile WHERE fid = ?", (fid,)).rowcount:
            continue  # closed in this moment
        if db.execute("SELECT 1 FROM file WHERE fid = ?", (fid,)).fetchone():
            continue
        offered = [int(devid) for devid in devids.split(",") if devid.strip().isdigit()]
        records.give_up(db, fid, offered)


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
