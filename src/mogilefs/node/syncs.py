"""Group fsync: files of one device that are to be made durable at the same time share the work.

Each thread takes what waits, so that sixty-four closes at once cost a few trips to threads, and
one fsync of a directory that they have in common, instead of sixty-four. One close alone waits
for nobody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path

GROUPS = 3
"""How many groups a device works on at the same time."""

MAX_GROUP = 16
"""Files in a group: bounds how long the first waits for the last."""

Sync = Callable[[Sequence[Path]], "list[OSError | None]"]
"""Makes files durable; says for each what went wrong, None where nothing did."""


class Syncs:
    """The files of one device that wait for their fsync. For one event loop."""

    def __init__(self, sync: Sync, executor: Executor) -> None:
        self._sync = sync
        self._executor = executor
        self._waiting: deque[tuple[Path, asyncio.Future[None]]] = deque()
        self._groups = 0

    async def sync(self, path: Path) -> None:
        """Wait until a file is durable. OSError where the disk refuses."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((path, future))
        self._begin()
        await future

    def _begin(self) -> None:
        """Give what waits to a thread, unless all are at work."""
        if not self._waiting or self._groups >= GROUPS:
            return
        size = min(len(self._waiting), MAX_GROUP)
        group = [self._waiting.popleft() for _ in range(size)]
        self._groups += 1
        work = asyncio.get_running_loop().run_in_executor(
            self._executor, self._sync, [path for path, _ in group]
        )
        work.add_done_callback(lambda done: self._finish([future for _, future in group], done))

    def _finish(
        self, futures: list[asyncio.Future[None]], work: asyncio.Future[list[OSError | None]]
    ) -> None:
        self._groups -= 1
        self._begin()
        if work.cancelled():
            errors: Sequence[BaseException | None] = [asyncio.CancelledError()] * len(futures)
        else:
            failure = work.exception()
            errors = work.result() if failure is None else [failure] * len(futures)
        for future, error in zip(futures, errors, strict=True):
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            elif isinstance(error, asyncio.CancelledError):
                future.cancel()
            else:
                future.set_exception(error)
