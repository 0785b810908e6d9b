"""Group fsync: files of one device that are to be made durable at the same time share the work.

Each thread takes what waits, so that sixty-four closes at once cost a few trips to threads, and
one fsync of a directory that they have in common, instead of sixty-four. One close alone waits
for nobody. What the catalogue is to say of a file is committed in the same trip.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, NamedTuple

GROUPS = 3
"""How many groups a device works on at the same time."""

MAX_GROUP = 16
"""Files in a group: bounds how long the first waits for the last."""


class Job(NamedTuple):
    """A file to be made durable, and the change of the catalogue that may follow."""

    path: Path
    change: Callable[..., Any] | None


class Outcome(NamedTuple):
    """What the change returned, or what went wrong."""

    result: Any
    error: BaseException | None


Sync = Callable[[Sequence[Job]], Sequence[Outcome]]
"""Does the jobs, and says of each what came of it."""


class Syncs:
    """The files of one device that wait for their fsync. For one event loop."""

    def __init__(self, sync: Sync, executor: Executor) -> None:
        self._sync = sync
        self._executor = executor
        self._waiting: deque[tuple[Job, asyncio.Future[Any]]] = deque()
        self._groups = 0

    async def sync(self, job: Job) -> Any:
        """Wait until a job is done. Raises what went wrong with it: OSError, a CatalogError."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((job, future))
        self._begin()
        return await future

    def _begin(self) -> None:
        """Give what waits to a thread, unless all are at work."""
        if not self._waiting or self._groups >= GROUPS:
            return
        size = min(len(self._waiting), MAX_GROUP)
        group = [self._waiting.popleft() for _ in range(size)]
        self._groups += 1
        work = asyncio.get_running_loop().run_in_executor(
            self._executor, self._sync, [job for job, _ in group]
        )
        work.add_done_callback(lambda done: self._finish([future for _, future in group], done))

    def _finish(
        self, futures: list[asyncio.Future[Any]], work: asyncio.Future[Sequence[Outcome]]
    ) -> None:
        self._groups -= 1
        self._begin()
        if work.cancelled():
            outcomes: Sequence[Outcome] = [Outcome(None, asyncio.CancelledError())] * len(futures)
        else:
            failure = work.exception()
            outcomes = work.result() if failure is None else [Outcome(None, failure)] * len(futures)
        for future, outcome in zip(futures, outcomes, strict=True):
            _settle(future, outcome)


def _settle(future: asyncio.Future[Any], outcome: Outcome) -> None:
    if future.done():
        return
    if outcome.error is None:
        future.set_result(outcome.result)
    elif isinstance(outcome.error, asyncio.CancelledError):
        future.cancel()
    else:
        future.set_exception(outcome.error)
