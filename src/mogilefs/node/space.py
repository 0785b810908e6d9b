"""How full a device is: asked of its file system, or of a quota that the node keeps itself."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

REFRESH_SECONDS = 1.0
"""How old the last answer of a file system may be when an upload asks whether it fits."""

REFRESH_BYTES = 64 * 2**20
"""An upload larger than this, or a device with less left, always asks the file system anew."""


class Space(NamedTuple):
    """Bytes of a device, counted as MogileFS does: ``total`` is ``used`` plus ``available``."""

    used: int
    available: int

    @property
    def total(self) -> int:
        return self.used + self.available

    @property
    def percent(self) -> int:
        """How full the device is, 0 to 100, rounded up like df's."""
        return -(-100 * self.used // self.total) if self.total else 100


def file_system_space(directory: str | Path) -> Space:
    """The space of the file system below ``directory``; root's reserve counts as gone."""
    found = os.statvfs(directory)
    unit = found.f_frsize
    return Space((found.f_blocks - found.f_bfree) * unit, found.f_bavail * unit)


def used_bytes(directory: str | Path) -> int:
    """The sizes of all regular files below ``directory``, added up."""
    total = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            found = os.lstat(os.path.join(parent, name))
            total += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return total


class Room:
    """What may still be put into one device, with the uploads under way taken into account."""

    def __init__(
        self, directory: str, quota: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Of ``quota`` bytes, where given, the files there already take their part."""
        self._directory = directory
        self._quota = quota
        self._clock = clock
        self._lock = threading.Lock()
        self._stored = used_bytes(directory) if quota is not None else 0
        self._promised = 0
        self._asked = -REFRESH_SECONDS
        self._free = 0

    @property
    def limited(self) -> bool:
        """Whether a quota is kept, so that every change of size must be told."""
        return self._quota is not None

    def space(self) -> Space:
        """What is used and left now; a quota that is smaller than the file system decides."""
        found = file_system_space(self._directory)
        if self._quota is None:
            return found
        left = max(0, self._quota - self._stored)
        return Space(self._stored, min(left, found.available))

    def take(self, size: int) -> bool:
        """Promise ``size`` bytes to an upload; False where they would not fit any more."""
        with self._lock:
            if size > self._left(size):
                return False
            self._promised += size
            return True

    def _left(self, size: int) -> int:
        now = self._clock()
        stale = now - self._asked >= REFRESH_SECONDS
        if stale or size > REFRESH_BYTES or self._free - self._promised < REFRESH_BYTES:
            self._free, self._asked = self.space().available, now
        return self._free - self._promised

    def written(self, size: int) -> int:
        """Note that ``size`` promised bytes are on the file system; how many it counts itself now.

        A quota counts a file only when it is whole, and so keeps the promise until then.
        """
        if self._quota is not None:
            return 0
        with self._lock:
            self._promised -= size
            self._free -= size
        return size

    def give_back(self, size: int) -> None:
        """End a promise; ``size`` bytes of it were still to come."""
        with self._lock:
            self._promised -= size
            self._asked = -REFRESH_SECONDS

    def changed(self, size: int, promised: int = 0) -> None:
        """Note that the device holds ``size`` bytes more (or fewer, below zero).

        ``promised`` are bytes whose promise that fulfils, and so ends.
        """
        with self._lock:
            self._promised -= promised
            self._stored += size
            self._asked = -REFRESH_SECONDS if size < 0 else self._asked
