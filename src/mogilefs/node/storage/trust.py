"""When a disk may be asked on the event loop itself, and when only from a thread.

Almost every call on a file ends within microseconds in the page cache, where a thread would cost
ten times as much. A disk that once kept the loop waiting is asked from threads for a while, so that
a slow disk takes at most a small share of the loop's time from all others.
"""

from __future__ import annotations

SLOW_SECONDS = 0.05
"""A call that takes longer than this costs a disk its trust."""

SHARE = 20
"""Trust returns after this many times as long as the slow call took."""


class Trust:
    """What is thought of one device."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until = 0.0

    def given(self, now: float) -> bool:
        """Whether the device may be asked on the loop."""
        return now >= self._until

    def took(self, seconds: float, now: float) -> None:
        """Note how long a call kept the loop waiting."""
        if seconds > SLOW_SECONDS:
            self._until = now + SHARE * seconds
