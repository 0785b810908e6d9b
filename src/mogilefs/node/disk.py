"""Who waits for a disk, so that removing files does not stand in the way of writing them.

A file system that tells its disk what it has freed (ext4 mounted with ``discard``) may take a
millisecond to remove a small file that was synced, and every fsync waits behind that.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

TOGETHER = 8
"""Files that are removed in one trip while nobody else waits for the disk."""

RESTS = 4
"""How many times as long as a file took the next one waits while somebody does."""

LATELY = 0.05
"""Seconds for which whoever waited is believed to come again: the next of a client's uploads."""

Remove = Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]
"""Removes some files; what went wrong, by file."""


class Disk:
    """One disk, whichever devices lie on it. For one event loop."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        rest: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._clock, self._rest = clock, rest
        self._waiting = 0
        self._waited = -LATELY
        self._turn = asyncio.Lock()

    @contextlib.contextmanager
    def awaited(self) -> Iterator[None]:
        """Somebody waits for the disk as long as this lasts."""
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
            self._waited = self._clock()

    @property
    def _in_use(self) -> bool:
        return self._waiting > 0 or self._clock() < self._waited + LATELY

    async def remove(self, files: Sequence[K], remove: Remove[K, V], *, hurry: bool) -> dict[K, V]:
        """Remove files. Returns what went wrong, by file.

        While somebody waits for the disk they go one by one, whoever asks for them, with rests
        between, unless there is a ``hurry``.
        """
        refused: dict[K, V] = {}
        left = files
        while left:
            yields = self._in_use and not hurry
            some, left = (left[:1], left[1:]) if yields else (left[:TOGETHER], left[TOGETHER:])
            refused.update(await (self._give_way(some, remove) if yields else remove(some)))
        return refused

    async def _give_way(self, files: Sequence[K], remove: Remove[K, V]) -> Mapping[K, V]:
        async with self._turn:
            began = self._clock()
            refused = await remove(files)
            await self._rest(RESTS * (self._clock() - began))
        return refused
