"""The replication queue: files whose copies are to be looked at."""

from __future__ import annotations

from typing import NamedTuple

from . import records
from .context import JobContext
from .job import QueueJob
from .placement import Outcome, Placer, Wish
from .timings import NEVER, replicate_backoff


class Queued(NamedTuple):
    """A row of ``file_to_replicate``."""

    fid: int
    source: int | None
    failures: int


_NEW = (
    "SELECT fid, fromdevid, failcount FROM file_to_replicate WHERE nexttry = 0"
    " ORDER BY rowid LIMIT ?"
)
_OLD = (
    "SELECT fid, fromdevid, failcount FROM file_to_replicate WHERE nexttry BETWEEN 1 AND ?"
    " ORDER BY nexttry LIMIT ?"
)


class Replicate(QueueJob[Queued]):
    """Makes and trims copies. New files (``nexttry`` 0) and old trouble take turns.

    A file that is worked on is claimed in memory only, not by its ``nexttry``: after a crash the
    queue is as it was.
    """

    def __init__(self, context: JobContext) -> None:
        super().__init__(context.timings.poll, context.timings.workers)
        self._context = context
        self._placer = Placer(context)

    def due(self, limit: int) -> list[Queued]:
        catalog, claims = self._context.catalog, self._context.claims
        ahead = limit + len(claims)
        new = [Queued(*row) for row in catalog.read(_NEW, (ahead,))]
        old = [Queued(*row) for row in catalog.read(_OLD, (records.now(), ahead))]
        half = max(limit - len(old), (limit + 1) // 2)
        order = new[:half] + old + new[half:]
        found: list[Queued] = []
        for item in order:
            if len(found) < limit and claims.take(item.fid):
                found.append(item)
        return found

    async def work(self, item: Queued) -> None:
        outcome = await self._placer.settle(Wish(item.fid, source=item.source))
        if outcome is Outcome.DONE:
            await self._write("DELETE FROM file_to_replicate WHERE fid = ?", item.fid)
        elif outcome is Outcome.RETRY:
            await self.failed(item)
        else:
            await self._postpone(item, NEVER)

    async def failed(self, item: Queued) -> None:
        await self._postpone(item, records.now() + replicate_backoff(item.failures))

    async def _postpone(self, item: Queued, nexttry: int) -> None:
        await self._write(
            "UPDATE file_to_replicate SET nexttry = ?, failcount = min(failcount + 1, 255)"
            " WHERE fid = ?",
            nexttry,
            item.fid,
        )

    def done(self, item: Queued) -> None:
        self._context.claims.release(item.fid)

    async def _write(self, sql: str, *params: int) -> None:
        await self._context.catalog.write(lambda db: db.execute(sql, params), durable=False)
