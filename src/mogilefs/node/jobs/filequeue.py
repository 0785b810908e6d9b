"""The queue ``file_to_queue``: fsck and rebalance each work on the rows of one type."""

from __future__ import annotations

import logging
from typing import ClassVar, NamedTuple

from . import records
from .context import JobContext
from .job import QueueJob
from .timings import replicate_backoff

log = logging.getLogger(__name__)

MAX_FAILURES = 5
"""A file that has failed so often is taken off: a later run, or a drain, queues it again."""


class Queued(NamedTuple):
    """A row of ``file_to_queue``."""

    fid: int
    devid: int
    targets: str | None
    failures: int


class FileQueueJob(QueueJob[Queued]):
    """Works off the rows of one type."""

    kind: ClassVar[int]
    """Their ``type``."""

    def __init__(self, context: JobContext) -> None:
        super().__init__(context.timings.poll, context.timings.workers)
        self._context = context

    def due(self, limit: int) -> list[Queued]:
        claims = self._context.claims
        rows = self._context.catalog.read(
            "SELECT fid, coalesce(devid, 0), arg, failcount FROM file_to_queue"
            " WHERE type = ? AND nexttry <= ? ORDER BY nexttry LIMIT ?",
            (self.kind, records.now(), limit + len(claims)),
        )
        return claims.pick(map(Queued._make, rows), limit)

    def done(self, item: Queued) -> None:
        self._context.claims.release(item.fid)

    async def failed(self, item: Queued) -> None:
        if item.failures + 1 >= MAX_FAILURES:
            log.warning("%s gives up fid %d", type(self).__name__, item.fid)
            await self.forget(item)
            return
        nexttry = records.now() + replicate_backoff(item.failures)
        await self._context.catalog.write(
            lambda db: db.execute(
                "UPDATE file_to_queue SET nexttry = ?, failcount = failcount + 1"
                " WHERE fid = ? AND type = ?",
                (nexttry, item.fid, self.kind),
            ),
            durable=False,
        )

    async def forget(self, item: Queued) -> None:
        """Take a file off the queue."""
        await self._context.catalog.write(
            lambda db: records.unqueue(db, item.fid, self.kind), durable=False
        )
