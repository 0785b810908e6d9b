"""When a disk may be asked on the event loop itself, and when only from a thread.

Almost every call on a file ends within microseconds in the page cache, where a thread would cost
ten times as much. A disk that once kept the loop waiting is asked from threads for a while, so that
a slow disk takes at most a small share of the loop's time from all others.
"""

from __future__ import annotations

SLOW_SECONDS = 0.004
"""A call that takes longer than this costs a disk its trust: its heads had to move."""

SHARE = 20
"""Trust returns after this many times as long as the slow call took."""


class Trust:
    """What is thought of each device. For one event loop; times are in seconds, of its clock."""

    def __init__(self) -> None:
        self._until: dict[int, float] = {}

    def given(self, devid: int, now: float) -> bool:
        """Whether the device may be asked on the loop."""
        return now >= self._until.get(devid, 0.0)

    def took(self, devid: int, started: float, now: float) -> None:
        """Note that a call kept the loop waiting from ``started`` until ``now``."""
        seconds = now - started
        if seconds > SLOW_SECONDS:
            self._until[devid] = now + SHARE * seconds
