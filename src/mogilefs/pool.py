"""Connections kept for the next question, and a memory of who failed.

Nothing here locks: threads share a pool through the atomic ends of a deque, and what two threads
may do twice (ask a failed server once more) does no harm.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections import deque
from collections.abc import Sequence

from .config import Address
from .steps import Link

MAX_IDLE = 64
"""Idle connections kept for one server; more than the threads of a busy process."""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds for which a failed server is not asked: doubling from the first to the longest."""

chance = random.Random()  # noqa: S311 - spreads load, keeps no secret
"""A generator of its own: a program that seeds ``random`` is not disturbed."""


class Pool:
    """Idle connections by server. A fork's child begins with an empty one."""

    def __init__(self) -> None:
        self._idle: dict[Address, deque[Link]] = {}
        self._pid = os.getpid()

    def take(self, address: Address) -> Link | None:
        """A connection that nothing came in on since it was given back, or None."""
        if self._pid != os.getpid():
            self._forget()
        idle = self._idle.get(address)
        while idle:
            try:
                link = idle.pop()
            except IndexError:  # another thread took the last one
                return None
            if not link.stale():
                return link
            link.close()
        return None

    def give(self, address: Address, link: Link) -> None:
        """Keep a connection whose every answer has been read."""
        idle = self._idle.get(address)
        if idle is None:
            idle = self._idle.setdefault(address, deque())
        if len(idle) < MAX_IDLE:
            idle.append(link)
        else:
            link.close()

    def close(self) -> None:
        """Close every idle connection. The pool can be used again."""
        for idle in list(self._idle.values()):
            with contextlib.suppress(IndexError):  # it is empty
                while True:
                    idle.pop().close()

    def _forget(self) -> None:
        """In a fork's child: close the copies, which leaves the parent's connections alone."""
        self.close()
        self._idle, self._pid = {}, os.getpid()


class Health:
    """Which servers failed lately, and so are asked last for a while that grows."""

    def __init__(self) -> None:
        self._failures: dict[Address, int] = {}
        self._not_before: dict[Address, float] = {}

    @property
    def all_well(self) -> bool:
        """Whether nobody failed lately."""
        return not self._failures

    def order(self, addresses: Sequence[Address]) -> Sequence[Address]:
        """The servers in the order given, those that are not to be asked now at the end.

        Of these the one whose pause ends first comes first.
        """
        return sorted(addresses, key=self.pause)

    def pause(self, address: Address) -> float:
        """Seconds for which the server is not to be asked."""
        return max(self._not_before.get(address, 0.0) - time.monotonic(), 0.0)

    def failed(self, address: Address) -> None:
        """The server could not be reached, or did not answer as it should."""
        failures = self._failures.get(address, 0)
        self._failures[address] = failures + 1
        self._pause(address, failures)

    def asking(self, address: Address) -> None:
        """A server that failed is tried again: until it answers, other threads leave it alone."""
        failures = self._failures.get(address)
        if failures:
            self._pause(address, failures)

    def answered(self, address: Address) -> None:
        """The server is well (again)."""
        self._failures.pop(address, None)
        self._not_before.pop(address, None)

    def _pause(self, address: Address, failures: int) -> None:
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures, 10))
        jitter = chance.uniform(0.75, 1.25)
        self._not_before[address] = time.monotonic() + pause * jitter
