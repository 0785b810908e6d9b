"""Files on this machine: such as appear whole or not at all, and such as are gone when closed."""

from __future__ import annotations

import atexit
import contextlib
import errno
import io
import os
import secrets
import stat
import tempfile
import threading
import weakref
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO


def is_special(target: str | os.PathLike[str]) -> bool:
    """Whether a device, a pipe or a directory is there: nothing that a file could replace."""
    return os.path.exists(target) and not os.path.isfile(target)


@contextlib.contextmanager
def replacing(target: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write that becomes ``target`` at the end of the block, if nothing was raised.

    It has the permissions of the file that it replaces, and no wider ones before, and its owner and
    group as far as this process may give files away. What is special is written to as it is; so is,
    as a last resort, a file whose directory lets nobody put one beside it. Raises OSError.
    """
    if is_special(target):
        with open(target, "wb") as file:
            yield file
        return
    place = _place(target)
    part = place.with_name(f".{secrets.token_hex(8)}.part")
    try:
        beside = _created(part, place)
        with beside or _rewriting(place) as file:
            yield file
            if beside:
                _take_over(place, beside)
        if beside:
            part.replace(place)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, OSError) and error.filename == str(part):
            error.filename = str(place)
        raise


def _created(part: Path, place: Path) -> BinaryIO | None:
    """Nobody may open it who may not open what it is to replace, from the first moment.

    None where the directory lets nobody put a file there.
    """
    mode = place.stat().st_mode & 0o700 if place.exists() else 0o666  # the group is not its yet
    try:
        return open(part, "xb", opener=partial(os.open, mode=mode))
    except PermissionError:
        return None


def _take_over(place: Path, file: BinaryIO) -> None:
    """Give the file the owner, group and permissions of the one at ``place``, if it is there."""
    file.flush()  # to write, or to give away, takes a setuid bit off
    if place.exists():
        there = place.stat()
        for owner in (-1, there.st_uid):  # the group is often one's own to give
            with contextlib.suppress(OSError):
                os.fchown(file.fileno(), owner, there.st_gid)
        os.fchmod(file.fileno(), _mode_for(there, os.fstat(file.fileno())))


def _mode_for(there: os.stat_result, given: os.stat_result) -> int:
    """The permissions, less what only meant an owner or a group that could not be kept."""
    mode = stat.S_IMODE(there.st_mode)
    if given.st_uid != there.st_uid:
        mode &= ~stat.S_ISUID
    if given.st_gid != there.st_gid:
        others = (mode & stat.S_IRWXO) << 3
        mode &= ~stat.S_ISGID & ~(stat.S_IRWXG & ~others)
    return mode


@contextlib.contextmanager
def _rewriting(place: Path) -> Iterator[BinaryIO]:
    """The file at ``place`` itself: if the block raises, what was written until then is there.

    Where that is nothing, the file stays as it was.
    """
    with open(place, "wb", opener=_opened_as_it_is) as file:
        try:
            yield file
        except BaseException:
            if file.tell():
                file.truncate()
            raise
        file.truncate()


def _opened_as_it_is(path: str, flags: int) -> int:
    return os.open(path, flags & ~os.O_TRUNC)


def _place(target: str | os.PathLike[str]) -> Path:
    """What a symbolic link points to, which stays; links in a circle point to nothing else."""
    if os.path.basename(target) in ("", os.curdir, os.pardir):  # as with a slash at its end
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(target))
    return Path(os.path.realpath(target))


class SpecialFile:
    """A pipe or a device to write to, and its own context: what waits there are threads only.

    It is opened by the first ``write``. Nothing is buffered that closing would have to flush.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._file: io.FileIO | None = None
        self._busy = threading.Lock()
        self._over = False

    def write(self, data: bytes) -> None:
        """Write all of ``data``, unless it is closed meanwhile; may wait as long as a reader does.

        Raises OSError.
        """
        try:
            with self._busy:
                self._write(data)
        finally:
            if self._over:
                self.close()

    def _write(self, data: bytes) -> None:
        if self._file is None:
            self._file = io.FileIO(self._path, "w")
        left = memoryview(data)
        while left and not self._over:
            left = left[self._file.write(left) :]

    def close(self) -> None:
        """Write no more. This never waits: a write that does closes the file when it ends."""
        self._over = True
        if self._busy.acquire(blocking=False):
            try:
                if self._file is not None:
                    self._file.close()
            finally:
                self._busy.release()

    def __enter__(self) -> SpecialFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Spool:
    """A file that is kept in memory up to ``max_size`` bytes, and on disk beyond that."""

    def __init__(self, max_size: int) -> None:
        # A size of 0 would mean: in memory whatever comes.
        self.file: tempfile.SpooledTemporaryFile[bytes] = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed by close()
            max_size=max_size or 1
        )
        self.owner = os.getpid()
        self._forgotten = weakref.finalize(self, _forget, self.file, self.owner)
        self._forgotten.atexit = False  # it may be a program's last act to close a file
        _spools.add(self)

    def close(self) -> None:
        """Forget it, as is also done when nobody has it any more.

        In a fork's child the parent's file stays as it is.
        """
        # Not by calling it: when the process ends a finalizer does nothing any more.
        if self._forgotten.detach():
            _forget(self.file, self.owner)


_spools: weakref.WeakSet[Spool] = weakref.WeakSet()


@atexit.register
def _leave_to_the_parent() -> None:
    """A fork's child that ends with files which its parent writes must not write them, too."""
    for spool in list(_spools):
        if spool.owner != os.getpid():
            spool.close()


def _forget(file: tempfile.SpooledTemporaryFile[bytes], owner: int) -> None:
    on_disk = file.name
    if owner != os.getpid() and isinstance(on_disk, int):
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), on_disk)  # where this process's copy of the buffer goes
    file.close()
