"""Small files that were asked for a moment ago, still open: what is asked for often is not opened
each time.

An open file is looked at before each answer: one that was deleted or replaced has no name any more,
and is opened anew. After a second or two each is closed, so that a device that was moved is noticed
and a disk can be unmounted soon after the last request.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from mogilefs.node.devices import Devices
from mogilefs.node.layout import Place
from mogilefs.node.storage import replies
from mogilefs.node.storage.downloads import SMALL, Download, read_whole

MOST = 64
"""Files that are kept open, part of ``openfiles.RESERVE``."""

Key = tuple[int, str]


class Opened(NamedTuple):
    """A file that a thread has opened."""

    place: Place
    fd: int
    found: os.stat_result


class HotFiles:
    """The files of ``devices`` that are asked for often. For one event loop."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._young: dict[Key, int] = {}
        self._old: dict[Key, int] = {}

    def __contains__(self, place: Place) -> bool:
        """Whether a file is open: ``reply`` need not wait for its disk."""
        return self._still_open((place.devid, place.path)) is not None

    def open(self, place: Place) -> Opened:
        """Open a file for ``reply``, and read it into memory where it is small; ``OSError``.

        Waits for the disk: for a thread.
        """
        opened = Opened(place, *self._devices.open(place))
        try:
            if opened.found.st_size <= SMALL:
                os.pread(opened.fd, SMALL, 0)
        except OSError:
            os.close(opened.fd)
            raise
        return opened

    def reply(self, place: Place, opened: Opened | None = None) -> bytes | Download:
        """The whole reply to a plain GET where the file is small and in memory, else a download.

        ``opened`` spares opening the file. Raises OSError where it cannot be read.
        """
        key = (place.devid, place.path)
        held = self._still_open(key)
        if held is None and opened is not None:
            held = opened.fd, opened.found
        elif opened is not None:  # somebody else was quicker
            os.close(opened.fd)
        fd, found = held or self._devices.open(place)
        try:
            head = replies.file_head(found.st_size, int(found.st_mtime), None, keep_alive=True)
            reply = read_whole(found, fd, *head) if found.st_size <= SMALL else b""
        except OSError:
            self._forget(key)
            os.close(fd)
            raise
        if reply:
            self._keep(key, fd)
            return reply
        self._forget(key)
        return Download(place.devid, found.st_dev, fd, *head)

    def _still_open(self, key: Key) -> tuple[int, os.stat_result] | None:
        fd = self._young.get(key) or self._old.get(key)
        if fd is None:
            return None
        try:
            found = os.fstat(fd)
            if found.st_nlink:
                return fd, found
        except OSError:  # a network file system's handle went stale
            pass
        self._forget(key)
        os.close(fd)
        return None

    def _keep(self, key: Key, fd: int) -> None:
        if key in self._young or key in self._old:
            return
        if len(self._young) < MOST // 2:
            self._young[key] = fd
        else:
            os.close(fd)

    def _forget(self, key: Key) -> None:
        self._young.pop(key, None)
        self._old.pop(key, None)

    def grow_old(self) -> None:
        """Close what was opened before the last time that this was called."""
        for fd in self._old.values():
            os.close(fd)
        self._young, self._old = {}, self._young

    def close(self) -> None:
        """Close all. May be repeated."""
        self.grow_old()
        self.grow_old()
