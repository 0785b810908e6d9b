"""Small files that were asked for a moment ago, still open: what is asked for often is not opened
each time.

An open file is looked at before each answer: one that was deleted or replaced has no name any more,
and is opened anew. After a second or two each is closed, so that a device that was moved is noticed
and a disk can be unmounted soon after the last request.
"""

from __future__ import annotations

import os

from mogilefs.node.devices import Devices
from mogilefs.node.layout import Place
from mogilefs.node.storage import replies
from mogilefs.node.storage.downloads import SMALL, read_whole

MOST = 64
"""Files that are kept open; the door counts them among those that the process may have."""

Key = tuple[int, str]


class HotFiles:
    """The files of ``devices`` that are asked for often. For one event loop."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._young: dict[Key, int] = {}
        self._old: dict[Key, int] = {}

    def reply(self, place: Place) -> bytes:
        """The whole reply to a GET where the file is small and in memory, else nothing.

        Raises OSError where it cannot be read.
        """
        key = (place.devid, place.path)
        fd = self._young.get(key) or self._old.get(key)
        if fd is not None:
            found = os.fstat(fd)
            if found.st_nlink:
                return _reply(fd, found)
        fd, found = self._devices.open(place)
        try:
            reply = _reply(fd, found)
            if reply and len(self._young) < MOST // 2:
                fd = self._keep(key, fd)
        finally:
            if fd >= 0:
                os.close(fd)
        return reply

    def _keep(self, key: Key, fd: int) -> int:
        """Keep a file open; the descriptor that is to be closed for it, -1 for none."""
        replaced = self._young.pop(key, -1)
        self._young[key] = fd
        return replaced

    def grow_old(self) -> None:
        """Close what was opened before the last time that this was called."""
        for fd in self._old.values():
            os.close(fd)
        self._young, self._old = {}, self._young

    def close(self) -> None:
        """Close all. May be repeated."""
        self.grow_old()
        self.grow_old()


def _reply(fd: int, found: os.stat_result) -> bytes:
    if found.st_size > SMALL:
        return b""
    head = replies.file_head(found.st_size, int(found.st_mtime), None, keep_alive=True)
    return read_whole(found, fd, *head)
