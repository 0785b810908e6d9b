"""The replication queue: files whose copies are to be looked at."""

from __future__ import annotations

from sqlite3 import Connection
from typing import NamedTuple

from . import records
from .context import JobContext
from .job import QueueJob
from .placement import Outcome, Placer, Settled, Wish
from .timings import NEVER, replicate_backoff

DISMISSED = 16
"""New files looked at in one go, between two turns of the event loop."""


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
        self._wanting: set[int] = set()

    def due(self, limit: int) -> list[Queued]:
        catalog, claims = self._context.catalog, self._context.claims
        ahead = limit + len(claims)
        new = [Queued(*row) for row in catalog.read(_NEW, (ahead,))]
        old = [Queued(*row) for row in catalog.read(_OLD, (records.now(), ahead))]
        half = max(limit - len(old), (limit + 1) // 2)
        order = new[:half] + old + new[half:]
        return claims.pick(order, limit)

    async def step(self) -> bool:
        """New files of which nothing is wanted are dismissed at once, many by one change."""
        dismissed = await self._dismiss()
        await super().step()
        return dismissed == DISMISSED

    async def _dismiss(self) -> int:
        new = self._context.catalog.read(_NEW, (DISMISSED,))
        self._wanting &= {fid for fid, _, _ in new}  # or it was deleted
        done: list[tuple[int, Settled]] = []
        for fid, _, _ in new:
            if fid in self._wanting or fid in self._context.claims:
                continue
            settled = await self._placer.settled(fid)
            if settled is None:
                self._wanting.add(fid)
            else:
                done.append((fid, settled))
        if done:
            await self._context.catalog.write(lambda db: _forget(db, done), durable=False)
        return len(done)

    async def work(self, item: Queued) -> None:
        settled = await self._placer.settle(Wish(item.fid, source=item.source))
        if settled.outcome is Outcome.DONE:
            done = [(item.fid, settled)]
            await self._context.catalog.write(lambda db: _forget(db, done), durable=False)
        elif settled.outcome is Outcome.RETRY:
            await self.failed(item)
        else:
            await self._postpone(item, NEVER)

    async def failed(self, item: Queued) -> None:
        await self._postpone(item, records.now() + replicate_backoff(item.failures))

    async def _postpone(self, item: Queued, nexttry: int) -> None:
        await self._context.catalog.write(
            lambda db: db.execute(
                "UPDATE file_to_replicate SET nexttry = ?, failcount = min(failcount + 1, 255)"
                " WHERE fid = ?",
                (nexttry, item.fid),
            ),
            durable=False,
        )

    def done(self, item: Queued) -> None:
        self._context.claims.release(item.fid)
        self._wanting.discard(item.fid)


def _forget(db: Connection, done: list[tuple[int, Settled]]) -> None:
    """Take files off the queue, unless their class or locations have changed meanwhile."""
    db.executemany(
        "DELETE FROM file_to_replicate WHERE fid = :fid AND ("
        " NOT EXISTS (SELECT 1 FROM file WHERE fid = :fid)"
        " OR (SELECT classid FROM file WHERE fid = :fid) = :classid"
        " AND (SELECT count(*) FROM file_on WHERE fid = :fid) = :locations)",
        [
            {"fid": fid, "classid": settled.classid, "locations": settled.locations}
            for fid, settled in done
        ],
    )
