"""The threads that ask the devices' disks, so that one slow disk does not hold up the rest."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

THREADS = 8
"""How many reads, writes and syncs one device is given at the same time; as many copies and sums
of whole files besides, so that nobody who waits for a moment's work waits for these."""

Pools = dict[int, ThreadPoolExecutor]


class DiskThreads:
    """Each device's own, made when they are first needed."""

    def __init__(self, root: str) -> None:
        """``root`` is the directory that the devices' directories are in."""
        self._root = root
        self._short: Pools = {}
        self._long: Pools = {}

    def short(self, devid: int) -> ThreadPoolExecutor:
        """For a moment's work; ``FileNotFoundError`` for a device that never was there."""
        return self._of(self._short, devid)

    def long(self, devid: int) -> ThreadPoolExecutor:
        """For what takes as long as a file is large."""
        return self._of(self._long, devid)

    def _of(self, pools: Pools, devid: int) -> ThreadPoolExecutor:
        if devid not in pools:
            os.lstat(f"{self._root}/dev{devid}")
            pools[devid] = ThreadPoolExecutor(THREADS, f"dev{devid}")
        return pools[devid]

    def close(self) -> None:
        """Let them end when what they do now is done. May be repeated."""
        for pools in (self._short, self._long):
            for threads in pools.values():
                threads.shutdown(wait=False, cancel_futures=True)
            pools.clear()
