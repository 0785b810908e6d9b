"""A file on its way into a device: written beside the layout, put into its place when whole.

While bytes arrive they lie in ``devN/.incoming/``, so that a reader never sees half a file and an
upload that breaks off leaves the old file as it was. The move at the end is one rename within the
device. What a crash leaves in ``.incoming`` is swept at the next start.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

INCOMING = ".incoming"
"""The directory of unfinished files in each device; no name of MogileFS's begins with a dot."""

_process = secrets.token_hex(4)
_serial = itertools.count()


_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def opened_path(fd: int, fallback: str) -> str:
    """The real path of what was opened, no symbolic link in it."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:  # no /proc: not Linux
        return os.path.realpath(fallback)


def open_within(device: str, path: str, flags: int = 0, entry: str | None = None) -> int:
    """Open ``path`` for reading below the real directory ``device``, following no symbolic link
    below it.

    ``entry`` is another way to that directory. Raises ``PermissionError`` where the way leads
    through a symbolic link, or elsewhere, and other ``OSError`` as ``os.open`` does.
    """
    whole = f"{entry or device}/{path}"
    fd = os.open(whole, _READ | flags)
    if opened_path(fd, whole) != f"{device}/{path}":
        os.close(fd)
        raise PermissionError(f"{whole} lies behind a symbolic link")
    return fd


def open_regular(device: str, path: str, entry: str | None = None) -> tuple[int, os.stat_result]:
    """Open a file for reading, and what is known of it; what is no file is an ``OSError``."""
    fd = open_within(device, path, 0, entry)
    found = os.fstat(fd)
    if stat.S_ISREG(found.st_mode):
        return fd, found
    os.close(fd)
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(f"{device}/{path} is a directory")
    raise FileNotFoundError(f"{device}/{path} is no file")


def open_file(device: str, path: str) -> int:
    """The same, where only the file itself is wanted."""
    return open_regular(device, path)[0]


def unlink_all(device: str, paths: Iterable[str]) -> tuple[dict[str, int], dict[str, OSError]]:
    """Remove files below the real directory ``device``.

    Returns the lengths in bytes of those that are gone, and what went wrong with others, by path;
    one that was not there is in neither.
    """
    removed: dict[str, int] = {}
    refused: dict[str, OSError] = {}
    for parent, group in itertools.groupby(sorted(paths), lambda path: path.rpartition("/")[0]):
        members = list(group)
        try:
            directory = open_within(device, parent, os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        except OSError as error:
            refused.update(dict.fromkeys(members, error))
            continue
        try:
            _unlink_in(directory, members, removed, refused)
        finally:
            os.close(directory)
    return removed, refused


def _unlink_in(
    directory: int, paths: Iterable[str], removed: dict[str, int], refused: dict[str, OSError]
) -> None:
    for path in paths:
        name = path.rpartition("/")[2]
        try:
            found = os.lstat(name, dir_fd=directory)
            if not stat.S_ISREG(found.st_mode):
                raise PermissionError(f"{path} is no file")
            os.unlink(name, dir_fd=directory)
        except FileNotFoundError:
            continue
        except OSError as error:
            refused[path] = error
        else:
            removed[path] = found.st_size


def make_directories(device: str, path: str) -> None:
    """Make the directories of ``path`` below ``device``, never the device's own directory.

    ``PermissionError`` where one of them is a symbolic link, or anything else but a directory.
    """
    made = device
    for name in path.split("/"):
        made = f"{made}/{name}"
        try:
            os.mkdir(made)
        except FileExistsError as error:
            if not stat.S_ISDIR(os.lstat(made).st_mode):
                raise PermissionError(f"{made} is no directory") from error


class Part:
    """A file being written. Ends with either ``commit`` or ``abandon``; both may be repeated."""

    def __init__(self, device: str, path: str) -> None:
        """Make an empty part for ``path`` below ``device``, a real directory that exists."""
        self._device, self._path = device, path
        self._name = f"{device}/{INCOMING}/{_process}-{next(_serial)}.part"
        self.fd = self._create()

    def _create(self) -> int:
        """Open a file of a name that never was: wherever it lies, it hides or changes nothing."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return os.open(self._name, flags, 0o666)
        except FileNotFoundError:
            make_directories(self._device, INCOMING)
            return os.open(self._name, flags, 0o666)

    def write(self, data: bytes) -> None:
        """Append all of ``data``."""
        written = os.write(self.fd, data)
        while written < len(data):
            written += os.write(self.fd, memoryview(data)[written:])

    def commit(self, *, sync: bool = False) -> None:
        """Put the file into its place, over what was there; ``sync`` makes its bytes durable first.

        The directory entry is not synced here: see ``Devices.fsync``.
        """
        if self.fd < 0:
            return
        try:
            if sync:
                os.fsync(self.fd)
            self._move()
        except BaseException:
            self.abandon()
            raise
        self._close()

    def _move(self) -> None:
        parent, _, name = self._path.rpartition("/")
        try:
            into = open_within(self._device, parent, os.O_DIRECTORY)
        except FileNotFoundError:
            make_directories(self._device, parent)
            into = open_within(self._device, parent, os.O_DIRECTORY)
        try:
            os.rename(self._name, name, dst_dir_fd=into)
        finally:
            os.close(into)

    def abandon(self) -> None:
        """Leave nothing behind; does nothing after ``commit``."""
        if self.fd >= 0:
            self._close()
            with contextlib.suppress(OSError):  # the disk is gone: its next start sweeps
                os.unlink(self._name)

    def _close(self) -> None:
        fd, self.fd = self.fd, -1
        os.close(fd)


def sweep(device: Path) -> int:
    """Remove what a crash left unfinished in a device; returns how many files that were."""
    removed = 0
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for part in (device / INCOMING).iterdir():
            part.unlink(missing_ok=True)
            removed += 1
    return removed
