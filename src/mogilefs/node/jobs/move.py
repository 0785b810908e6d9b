"""The rebalance queue: files that are to leave a device for another."""

from __future__ import annotations

import logging
from typing import NamedTuple

from . import records
from .context import JobContext
from .job import QueueJob
from .placement import Outcome, Placer, Wish
from .timings import replicate_backoff

log = logging.getLogger(__name__)

MAX_FAILURES = 5
"""A move that has failed so often is given up; a drained device's files are queued again."""


class Queued(NamedTuple):
    """A row of ``file_to_queue`` of type 2."""

    fid: int
    devid: int
    targets: str | None
    failures: int


class Move(QueueJob[Queued]):
    """Copies files elsewhere and then removes the copy that was to go."""

    def __init__(self, context: JobContext) -> None:
        super().__init__(context.timings.poll, context.timings.workers)
        self._context = context
        self._placer = Placer(context)

    def due(self, limit: int) -> list[Queued]:
        claims = self._context.claims
        rows = self._context.catalog.read(
            "SELECT fid, coalesce(devid, 0), arg, failcount FROM file_to_queue"
            " WHERE type = ? AND nexttry <= ? ORDER BY nexttry LIMIT ?",
            (records.REBALANCE_QUEUE, records.now(), limit + len(claims)),
        )
        return claims.pick(map(Queued._make, rows), limit)

    def done(self, item: Queued) -> None:
        self._context.claims.release(item.fid)

    async def work(self, item: Queued) -> None:
        targets = None
        if item.targets:
            targets = frozenset(int(devid) for devid in item.targets.split(",") if devid.isdigit())
        settled = await self._placer.settle(Wish(item.fid, leaving=item.devid, targets=targets))
        if settled.outcome is Outcome.RETRY:
            await self.failed(item)
        else:
            await self._give_up(item)

    async def failed(self, item: Queued) -> None:
        if item.failures + 1 >= MAX_FAILURES:
            log.warning("fid %d could not leave device %d", item.fid, item.devid)
            await self._give_up(item)
            return
        at = records.now() + replicate_backoff(item.failures)
        await self._write(
            "UPDATE file_to_queue SET nexttry = ?, failcount = failcount + 1", at, item
        )

    async def _give_up(self, item: Queued) -> None:
        await self._write("DELETE FROM file_to_queue", None, item)

    async def _write(self, sql: str, value: int | None, item: Queued) -> None:
        params = [item.fid, records.REBALANCE_QUEUE]
        if value is not None:
            params.insert(0, value)
        await self._context.catalog.write(
            lambda db: db.execute(f"{sql} WHERE fid = ? AND type = ?", params), durable=False
        )
