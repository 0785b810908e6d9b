"""What is on a disk for good: fsync of files and of the directories that name them.

Files of one device that are to be made durable at the same time share the work: a thread takes
what waits, so that sixty-four closes at once cost a few trips to threads, and one fsync of a
directory that they have in common, instead of sixty-four. One close alone waits for nobody. What
the catalogue is to say of a file is committed in the same trip.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from itertools import islice

from .writer import Change, Function

GROUPS = 3
"""How many groups a device works on at the same time, at most."""

PATIENCE = 0.05
"""Seconds after which another group is begun beside one that is still at work: a large file must
not hold up the small ones. Where the disk is quicker, more threads only get into each other's way.
"""

MAX_GROUP = 16
"""Files in a group: bounds how long the first waits for the last."""

Commit = Callable[[Sequence[Function]], Sequence[Change]]
"""Makes changes of the catalogue, in a thread that may wait."""


class Durability:
    """Makes what lies below ``root`` durable; does nothing where ``durable`` is false.

    Its methods wait for the disk. They are safe to share between threads.
    """

    def __init__(self, root: str, *, durable: bool) -> None:
        self._root = root
        self._durable = durable
        self._synced: set[str] = set()

    def sync(self, path: str) -> None:
        """One file's bytes, or one directory's entries; ``OSError``."""
        if not self._durable:
            return
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def sync_entry(self, path: str) -> None:
        """A file's own directory always; those above it once, since they can only gain entries.

        What was made before this process started may never have been synced, so that "once" counts
        from the start of the process.
        """
        directory = _parent(path)
        self.sync(directory)
        while directory not in self._synced and directory != self._root:
            self.sync(_parent(directory))
            self._synced.add(directory)
            directory = _parent(directory)

    def forget(self, directory: str) -> None:
        """Another directory is there now: what lies below it was never synced."""
        below = f"{directory}/"
        for path in list(self._synced):  # at once: other threads may add some
            if path == directory or path.startswith(below):
                self._synced.discard(path)

    def sync_files(self, paths: Sequence[str]) -> list[OSError | None]:
        """Files first, then each of their directories once; what went wrong with each file."""
        errors = [_error(self.sync, path) for path in paths]
        one_each = {_parent(path): path for path in paths}
        entries = {directory: _error(self.sync_entry, path) for directory, path in one_each.items()}
        return [error or entries[_parent(path)] for path, error in zip(paths, errors, strict=True)]


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _error(sync: Callable[[str], None], path: str) -> OSError | None:
    try:
        sync(path)
    except OSError as error:
        return error
    return None


class Job:
    """A file to be made durable, the changes of the catalogue that follow, what became of it."""

    __slots__ = ("error", "functions", "future", "made", "path")

    def __init__(self, path: str, functions: Sequence[Function]) -> None:
        self.path = path
        self.functions = functions
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.made: Sequence[Change] = ()
        self.error: BaseException | None = None


class Syncs:
    """The files of one device that wait for their fsync. For one event loop."""

    def __init__(self, durability: Durability, commit: Commit | None, executor: Executor) -> None:
        self._durability = durability
        self._commit = commit
        self._executor = executor
        self._waiting: deque[Job] = deque()
        self._groups = 0
        self._begun = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def sync(self, path: str, functions: Sequence[Function]) -> Sequence[Change]:
        """Wait until a file is durable and the changes that are to follow are committed.

        Returns these, each with its own outcome. Raises what went wrong before: OSError.
        """
        job = Job(path, functions)
        self._waiting.append(job)
        self._begin()
        await job.future
        if job.error is not None:
            raise job.error
        return job.made

    def _begin(self) -> None:
        """Give what waits to a thread, unless others are at work and have not been for long."""
        if not self._waiting or self._groups >= GROUPS:
            return
        loop = asyncio.get_running_loop()
        if self._groups and loop.time() < self._begun + PATIENCE:
            self._timer = self._timer or loop.call_at(self._begun + PATIENCE, self._look_again)
            return
        size = min(len(self._waiting), MAX_GROUP)
        group = [self._waiting.popleft() for _ in range(size)]
        self._groups += 1
        self._begun = loop.time()
        work = self._executor.submit(self._do, group)
        work.add_done_callback(partial(_tell, loop, partial(self._finish, group)))

    def _look_again(self) -> None:
        self._timer = None
        self._begin()

    def _do(self, jobs: Sequence[Job]) -> None:
        """Sync the files, then commit what is to be said of those that are durable."""
        errors = self._durability.sync_files([job.path for job in jobs])
        for job, error in zip(jobs, errors, strict=True):
            job.error = error
        self._commit_for([job for job in jobs if job.error is None])

    def _commit_for(self, jobs: Sequence[Job]) -> None:
        functions = [function for job in jobs for function in job.functions]
        if not functions:
            return
        assert self._commit is not None, "these devices have no catalogue"
        made = iter(self._commit(functions))
        for job in jobs:
            job.made = list(islice(made, len(job.functions)))

    def _finish(self, jobs: Sequence[Job], work: Future[None]) -> None:
        self._groups -= 1
        self._begin()
        failure = None if work.cancelled() else work.exception()
        for job in jobs:
            job.error = job.error or failure
            if work.cancelled():
                job.future.cancel()
            elif not job.future.done():
                job.future.set_result(None)


def _tell(
    loop: asyncio.AbstractEventLoop, finish: Callable[[Future[None]], None], work: Future[None]
) -> None:
    """Have ``finish`` called in the loop, by whichever thread the work ended in."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(finish, work)
