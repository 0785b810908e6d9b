"""When a disk may be asked on the event loop itself, and when only from a thread.

Almost every call on a file ends within microseconds in the page cache, where a thread would cost
ten times as much. A disk that once kept the loop waiting is asked from threads for a while, so that
a slow disk takes at most a small share of the loop's time from all others.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SLOW_SECONDS = 0.004
"""A call that takes longer than this costs a disk its trust: its heads had to move."""

SHARE = 20
"""Trust returns after this many times as long as the slow call took."""


class Trust:
    """What is thought of each device. For one event loop; the clock counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[int, float] = {}

    def given(self, devid: int) -> bool:
        """Whether the device may be asked on the loop."""
        return devid not in self._until or self._clock() >= self._until[devid]

    def ask(self, devid: int, work: Callable[..., T], *args: object) -> T:
        """Do ``work``, which asks the device, on the loop, and note how long it kept that waiting.

        Returns what it returns, and raises what it raises.
        """
        started = self._clock()
        try:
            return work(*args)
        finally:
            now = self._clock()
            if now - started > SLOW_SECONDS:
                self._until[devid] = now + SHARE * (now - started)
