"""File numbers: each is handed out once, ever, even after a power failure.

A block of numbers is reserved durably in ``sqlite_sequence`` (where SQLite, and so a real
tracker, keeps the highest number that ``tempfile.fid`` ever had) before its first is handed out.
A crash loses at most a block of numbers; a clean stop gives the unused ones back.
"""

from __future__ import annotations

import asyncio
import sqlite3

from .catalog import Catalog

BLOCK = 4096
"""Numbers reserved by one durable write."""


class Fids:
    """The dispenser of file numbers."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._next = 1
        self._last = 0
        self._used = 0
        self._reserving = asyncio.Lock()

    def open(self) -> None:
        """Learn which numbers were used up to now."""
        self._used = int(self._catalog.read(_HIGHEST_USED)[0][0])

    async def take(self) -> int:
        """A number that no file ever had."""
        while self._next > self._last:
            async with self._reserving:
                if self._next > self._last:
                    first, self._last = await self._catalog.write(_reserve)
                    self._next = max(self._next, first)  # one may have been chosen meanwhile
        fid = self._next
        self._next += 1
        return fid

    def choose(self, fid: int) -> bool:
        """Hand out ``fid`` itself; False if it, or a higher one, may have been handed out."""
        if fid < max(self._next, self._used + 1):
            return False
        self._next = fid + 1
        return True

    async def give_back(self) -> None:
        """Before a clean stop: what was not handed out may be, after the next start."""
        first, last = self._next, self._last
        self._next, self._last = 1, 0
        if first <= last:
            await self._catalog.write(
                lambda db: db.execute(
                    "UPDATE sqlite_sequence SET seq = ? WHERE name = 'tempfile' AND seq = ?",
                    (first - 1, last),
                )
            )


_HIGHEST_USED = (
    "SELECT max(coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'tempfile'), 0),"
    " coalesce((SELECT max(fid) FROM tempfile), 0), coalesce((SELECT max(fid) FROM file), 0),"
    " coalesce((SELECT max(fid) FROM file_on), 0),"
    " coalesce((SELECT max(fid) FROM file_to_delete2), 0))"
)


def _reserve(db: sqlite3.Connection) -> tuple[int, int]:
    """The first and last number of a new block, above all that the catalogue has seen."""
    (used,) = db.execute(_HIGHEST_USED).fetchone()
    last = used + BLOCK
    if not db.execute(
        "UPDATE sqlite_sequence SET seq = ? WHERE name = 'tempfile'", (last,)
    ).rowcount:
        db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('tempfile', ?)", (last,))
    return used + 1, last
