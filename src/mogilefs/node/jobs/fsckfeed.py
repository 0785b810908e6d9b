"""Feeding fsck: files in the order of their fids into the queue of what is to be checked."""

from __future__ import annotations

from collections.abc import Callable
from sqlite3 import Connection

from ..registry import number_setting, whole
from . import fsckstate, records
from .context import JobContext
from .job import Job


class FsckFeed(Job):
    """Works while the setting ``fsck_host`` is there, so that a restart goes on by itself."""

    def __init__(self, context: JobContext, check: Callable[[], None]) -> None:
        super().__init__(context.timings.poll)
        self._context = context
        self._check = check

    async def step(self) -> bool:
        if not fsckstate.running(self._context.catalog) or self._queued() >= self._room():
            return False
        batch = self._context.timings.batch
        more = await self._context.catalog.write(lambda db: _feed(db, batch), durable=False)
        self._check()
        return more

    def _queued(self) -> int:
        ((count,),) = self._context.catalog.read(
            "SELECT count(*) FROM file_to_queue WHERE type = ?", (records.FSCK_QUEUE,)
        )
        return int(count)

    def _room(self) -> int:
        """How many files may be queued: MogileFS's setting, else the node's own measure."""
        return (
            number_setting(self._context.catalog, "queue_size_for_fsck")
            or self._context.timings.backlog
        )


def _feed(db: Connection, limit: int) -> bool:
    """Queue the next files; at the end, end the run. True where there are more."""
    settings = dict(db.execute("SELECT field, value FROM server_settings WHERE field LIKE 'fsck%'"))
    if not settings.get(fsckstate.HOST):
        return False
    reached, end = (whole(settings.get(name)) for name in (fsckstate.REACHED, fsckstate.END))
    fids = [
        fid
        for (fid,) in db.execute(
            "SELECT fid FROM file WHERE fid > ? AND fid <= ? ORDER BY fid LIMIT ?",
            (reached, end, limit),
        )
    ]
    at = records.now()
    db.executemany(
        "INSERT OR IGNORE INTO file_to_queue (fid, type, nexttry) VALUES (?, ?, ?)",
        [(fid, records.FSCK_QUEUE, at) for fid in fids],
    )
    if len(fids) == limit:
        records.set_setting(db, fsckstate.REACHED, fids[-1])
        return True
    records.set_setting(db, fsckstate.REACHED, max(reached, end))
    fsckstate.stop(db)
    return False
