"""Whole trees up, down and away, several files at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

from mogilefs.errors import KeyNotFound

from .exits import Tally, UsageError
from .transfer import Transfers

Task = tuple[str, Callable[[], None]]
"""What a transfer or deletion is called in an error, and what does it."""

WAITING_PER_JOB = 2
"""Transfers that are lined up behind each running one: enough that no thread idles, few enough
that a tree of millions takes constant memory."""


def put_tree(transfers: Transfers, root: Path, prefix: str, jobs: int) -> None:
    """Store every regular file below ``root`` under ``prefix`` and its path from there."""
    if not root.is_dir():
        raise UsageError(f"{root} is not a directory")
    if transfers.progress.visible:
        transfers.progress.expect(sum(path.stat().st_size for path in files_below(root)))
    tally = Tally()
    run(_puts(transfers, root, prefix), transfers, jobs, tally)
    tally.settle()


def get_tree(transfers: Transfers, prefix: str, target: Path, jobs: int) -> None:
    """Fetch every key below ``prefix`` into ``target``. KeyNotFound if there is none."""
    if transfers.progress.visible:
        transfers.progress.files = sum(1 for _ in transfers.client.keys(prefix))
    tally = Tally()
    _some(run(_gets(transfers, prefix, target), transfers, jobs, tally), prefix)
    tally.settle()


def remove_tree(transfers: Transfers, prefix: str, jobs: int, tally: Tally) -> None:
    """Delete every key below ``prefix``. KeyNotFound if there is none."""
    delete = transfers.client.delete
    tasks = ((key, partial(delete, key)) for key in transfers.client.keys(prefix))
    _some(run(tasks, transfers, jobs, tally), prefix)


def _some(count: int, prefix: str) -> None:
    if not count:
        raise KeyNotFound("unknown_key", "nothing below it", "list_keys", prefix)


def files_below(root: Path) -> Iterator[Path]:
    """Every regular file below a directory, links to files followed, links to directories not."""
    for folder, folders, names in os.walk(root, onerror=_raise):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file():
                yield path


def local_path(target: Path, name: str) -> Path:
    """Where ``name``, a key's part after the prefix, belongs below ``target``.

    Raises UsageError for a name that would lie elsewhere or is no file name: keys are other
    people's text, and may begin with a slash or hold ``..``.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise UsageError(f"no file name below {target}: {name!r}")
    return target.joinpath(*parts)


def run(tasks: Iterable[Task], transfers: Transfers, jobs: int, tally: Tally) -> int:
    """Run the tasks, ``jobs`` at a time, and return how many there were.

    A failure is told on stderr at once and noted in ``tally``, and the others go on.
    """
    running: dict[Future[None], str] = {}
    count = 0
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for count, (name, task) in enumerate(tasks, 1):  # noqa: B007 - the last is the answer
                running[pool.submit(task)] = name
                _collect(running, tally, leave=jobs * WAITING_PER_JOB)
            _collect(running, tally, leave=0)
        except BaseException:
            transfers.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return count


def _puts(transfers: Transfers, root: Path, prefix: str) -> Iterator[Task]:
    for path in files_below(root):
        key = prefix + path.relative_to(root).as_posix()
        yield str(path), partial(transfers.put, path, key)


def _gets(transfers: Transfers, prefix: str, target: Path) -> Iterator[Task]:
    for key in transfers.client.keys(prefix):
        yield key, partial(_get, transfers, key, target, key[len(prefix) :])


def _get(transfers: Transfers, key: str, target: Path, name: str) -> None:
    path = local_path(target, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    transfers.get(key, path)


def _collect(running: dict[Future[None], str], tally: Tally, leave: int) -> None:
    """Wait until no more than ``leave`` transfers are under way, and note what failed."""
    while len(running) > leave:
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            with tally.noting(running.pop(future)):
                future.result()


def _raise(error: OSError) -> None:
    raise error
