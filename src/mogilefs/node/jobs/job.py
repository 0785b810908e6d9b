"""A background job: a loop that works while there is something, and sleeps until it is woken."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

Item = TypeVar("Item")

AFTER_FAILURE_SECONDS = 1.0
"""A pause after a step that raised, so that a lasting fault (a full disk) does not spin."""

LONG_SECONDS = 10.0
"""Work that takes longer than this keeps no other from being begun: its disk may hang."""

MOST = 4
"""How many times its workers a job has at the most, with those that take so long."""

STOP_SECONDS = 2.0
"""How long a stop waits for work under way before it breaks it off."""


async def sleep_until(event: asyncio.Event, seconds: float) -> None:
    """Wait for ``event``, at most ``seconds``; then clear it.

    Not with ``asyncio.wait_for``: before Python 3.12 that may swallow a cancellation.
    """
    timer = asyncio.get_running_loop().call_later(seconds, event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()
    event.clear()


class Job(ABC):
    """One loop. ``wake`` makes it look at once; ``step`` says whether there is more to do."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    @abstractmethod
    async def step(self) -> bool:
        """Do a bounded amount of work; True when there is more that can be done now."""

    def wake(self) -> None:
        """There is something to do. To be called on the event loop's thread."""
        self._woken.set()

    def start(self) -> None:
        """Begin to loop."""
        self._stopping = False
        self._task = asyncio.create_task(self._run(), name=type(self).__name__)

    async def stop(self) -> None:
        """End the loop; work under way gets a moment to finish. May be called twice."""
        task, self._task = self._task, None
        if task is not None:
            self._stopping = True  # a library may lose the cancellation, as wait_for does
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while not self._stopping:
            try:
                more = await self.step()
            except Exception:  # the loop must outlive any fault of one step
                log.exception("%s failed and goes on", type(self).__name__)
                more = False
                await asyncio.sleep(AFTER_FAILURE_SECONDS)
            if not more:
                await sleep_until(self._woken, self.interval)


class QueueJob(Job, Generic[Item]):
    """A job that works on several items of a queue at the same time, each in a task of its own."""

    def __init__(self, interval: float, workers: int) -> None:
        super().__init__(interval)
        self.workers = workers
        self._running: dict[asyncio.Task[None], float] = {}
        """What is under way, and since when."""

    @abstractmethod
    def due(self, limit: int) -> list[Item]:
        """Claim up to ``limit`` items that nobody works on."""

    @abstractmethod
    async def work(self, item: Item) -> None:
        """Finish or postpone one item."""

    @abstractmethod
    async def failed(self, item: Item) -> None:
        """Postpone an item whose work raised something unforeseen."""

    @abstractmethod
    def done(self, item: Item) -> None:
        """Give back the claim on an item."""

    async def step(self) -> bool:
        """Fill the free workers. A finished one wakes the loop, so it never waits for a batch."""
        free = self._free()
        for item in self.due(free) if free > 0 else []:
            task = asyncio.create_task(self._guard(item))
            self._running[task] = time.monotonic()
            task.add_done_callback(self._finished)
        return False

    def _free(self) -> int:
        """How many items can be begun now."""
        lately = time.monotonic() - LONG_SECONDS
        busy = sum(since > lately for since in self._running.values())
        return min(self.workers - busy, MOST * self.workers - len(self._running))

    def _finished(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self.wake()

    async def _guard(self, item: Item) -> None:
        try:
            await self.work(item)
        except Exception:  # one file's fault must not end the others' work
            log.exception("%s failed on %s", type(self).__name__, item)
            await self._hold_back(item)
        finally:
            self.done(item)

    async def _hold_back(self, item: Item) -> None:
        """Postpone an item; where not even that can be done, hold it: it would be due at once."""
        try:
            await self.failed(item)
        except Exception:  # the catalogue cannot be written
            log.exception("%s cannot postpone %s", type(self).__name__, item)
            await asyncio.sleep(AFTER_FAILURE_SECONDS)

    async def stop(self) -> None:
        await super().stop()
        if self._running:
            _, unfinished = await asyncio.wait(self._running, timeout=STOP_SECONDS)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
