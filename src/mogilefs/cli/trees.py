"""Whole trees up, down and away, several files at a time."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from mogilefs.errors import KeyNotFound

from .exits import Tally, UsageError
from .transfer import Transfers

Task = tuple[str, Callable[[], None]]
"""What a transfer or deletion is called in an error, and what does it."""

WAITING_PER_JOB = 2
"""Transfers that are lined up behind each running one: enough that no thread idles, few enough
that a tree of millions takes constant memory."""


LEADS_NOWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""Why a symbolic link to no file cannot be looked at. Such links are passed over."""


def put_tree(transfers: Transfers, root: Path, prefix: str, jobs: int) -> None:
    """Store every regular file below ``root`` under ``prefix`` and its path from there."""
    if not root.is_dir():
        raise UsageError(f"{root} is not a directory")
    tally = Tally()
    if transfers.progress.visible:
        transfers.progress.expect(_size_below(root))
    run(_puts(transfers, root, prefix, tally), transfers, jobs, tally)
    tally.settle()


def _size_below(root: Path) -> int:
    """Bytes in the files below; what cannot be looked at is told when it is to be stored."""
    total = 0
    for path in files_below(root):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total


def get_tree(transfers: Transfers, prefix: str, target: Path, jobs: int) -> None:
    """Fetch every key below ``prefix`` into ``target``. Raises Failures, also if there is none."""
    if transfers.progress.visible:
        transfers.progress.files = sum(1 for _ in transfers.client.keys(prefix))
    tally = Tally()
    run(_some(_gets(transfers, prefix, target), prefix), transfers, jobs, tally)
    tally.settle()


def remove_tree(transfers: Transfers, prefix: str, jobs: int, tally: Tally) -> None:
    """Delete every key below ``prefix``. Where there is none a KeyNotFound is noted."""
    delete = transfers.client.delete
    tasks = ((key, partial(delete, key)) for key in transfers.client.keys(prefix))
    run(_some(tasks, prefix), transfers, jobs, tally)


def _some(tasks: Iterable[Task], prefix: str) -> Iterator[Task]:
    count = 0
    for count, task in enumerate(tasks, 1):  # noqa: B007 - how many there were in the end
        yield task
    if not count:
        raise KeyNotFound("unknown_key", "nothing below it", "list_keys", prefix)


def files_below(root: Path, failed: Callable[[OSError], None] | None = None) -> Iterator[Path]:
    """Every regular file below a directory, links to files followed, links to directories not.

    A directory that cannot be read is told to ``failed`` and passed over. A file that cannot be
    looked at comes too: whoever opens it learns why.
    """
    for folder, folders, names in os.walk(root, onerror=failed):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if _may_be_file(path):
                yield path


def _may_be_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        return error.errno not in LEADS_NOWHERE


def local_path(target: Path, name: str) -> Path:
    """Where ``name``, a key's part after the prefix, belongs below ``target``.

    Raises UsageError for a name that would lie elsewhere or is no file name: keys are other
    people's text, and may begin with a slash or hold ``..``.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise UsageError(f"no file name below {target}: {name!r}")
    return target.joinpath(*parts)


def run(tasks: Iterable[Task], transfers: Transfers, jobs: int, tally: Tally) -> None:
    """Run the tasks, ``jobs`` at a time.

    A failure, also to tell what more is to be done, is told on stderr at once and noted in
    ``tally``, and the others go on. What a signal raises here ends them all first.
    """
    outcome: SimpleQueue[BaseException | None] = SimpleQueue()
    work = partial(_run, tasks, transfers, jobs, tally)
    # Where signals raise, nothing may wait with a lock of threading's or of a future's: that would
    # be left taken for ever, and who wants it next would never end.
    conductor = Thread(target=_tell_outcome, args=(work, outcome), daemon=True)
    try:
        conductor.start()
        error = outcome.get()
    except BaseException:
        transfers.end()
        if conductor.is_alive():
            conductor.join()
        raise
    if error is not None:
        raise error


def _tell_outcome(work: Callable[[], None], outcome: SimpleQueue[BaseException | None]) -> None:
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
        outcome.put(error)
    else:
        outcome.put(None)


def _run(tasks: Iterable[Task], transfers: Transfers, jobs: int, tally: Tally) -> None:
    running: dict[Future[None], str] = {}
    with ThreadPoolExecutor(jobs) as pool:
        try:
            with tally.noting():
                for name, task in tasks:
                    running[pool.submit(task)] = name
                    _collect(running, transfers, tally, leave=jobs * WAITING_PER_JOB)
            _collect(running, transfers, tally, leave=0)
        except BaseException:
            transfers.end()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _puts(transfers: Transfers, root: Path, prefix: str, tally: Tally) -> Iterator[Task]:
    def failed(error: OSError) -> None:
        with tally.noting():
            raise error

    for path in files_below(root, failed):
        key = prefix + path.relative_to(root).as_posix()
        yield str(path), partial(transfers.put, path, key)


def _gets(transfers: Transfers, prefix: str, target: Path) -> Iterator[Task]:
    for key in transfers.client.keys(prefix):
        yield key, partial(_get, transfers, key, target, key[len(prefix) :])


def _get(transfers: Transfers, key: str, target: Path, name: str) -> None:
    path = local_path(target, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    transfers.get(key, path)


def _collect(
    running: dict[Future[None], str], transfers: Transfers, tally: Tally, leave: int
) -> None:
    """Wait until no more than ``leave`` transfers are under way, and note what failed.

    Raises KeyboardInterrupt if they were ended: what fails then is nobody's failure.
    """
    while len(running) > leave:
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            if transfers.stop.is_set():
                raise KeyboardInterrupt
            with tally.noting(running.pop(future)):
                future.result()
