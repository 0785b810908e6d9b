"""A file that a PUT brings: room promised, bytes written beside its place, checked, moved there."""

from __future__ import annotations

import base64
import binascii
import errno
import hashlib
import os

from mogilefs.node.arrivals import Arrival, Emptied
from mogilefs.node.devices import Devices
from mogilefs.node.layout import Place
from mogilefs.node.parts import Part
from mogilefs.node.space import Room, file_system_space
from mogilefs.node.storage.requests import Refusal

CHECK_BYTES = 4 * 2**20
"""How many bytes are written between two looks at what is left on the device."""


def full() -> Refusal:
    """The answer where a file does not fit."""
    return Refusal(507, "No room for this file on the device")


class Upload:
    """One PUT. Its methods may wait for the disk, and none may overlap another."""

    def __init__(
        self, devices: Devices, place: Place, length: int | None, md5: bytes | None
    ) -> None:
        """``length`` None: not known before the end. ``md5``: a ``Content-MD5`` header."""
        self.place = place
        self.received = 0
        self._devices = devices
        self._length = length
        self._wanted_md5 = md5
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 is not None else None
        self._part: Part | None = None
        self._arrival: Arrival | None = None
        self._room: Room | None = None
        self._promised = 0
        self._unchecked = 0

    def open(self) -> None:
        """Find room and begin; ``Refusal`` or ``OSError``."""
        try:
            base = self._devices.base(self.place.devid)
        except FileNotFoundError as error:
            raise Refusal(404, "Base directory does not exist") from error
        self._room = self._devices.room(self.place.devid)
        self._promise(self._length or 0)
        self._arrival = self._devices.arrivals.begin(self.place.devid, self.place.path)
        self._part = Part(base, self.place.path)

    def _promise(self, size: int) -> None:
        assert self._room is not None
        if not self._room.take(size):
            raise full()
        self._promised += size

    def store(self, data: bytes) -> int:
        """Do all three for a file that came in one piece."""
        self.open()
        if data:
            self.write(data)
        return self.finish()

    def write(self, data: bytes) -> None:
        """Append to the file; ``Refusal`` or ``OSError`` where it does not fit any more."""
        assert self._part is not None
        assert self._room is not None
        if self._length is None:
            self._promise(len(data))
        self._part.write(data)
        self._promised -= self._room.written(len(data))
        if self._md5 is not None:
            self._md5.update(data)
        self.received += len(data)
        self._check_space(len(data))

    def _check_space(self, size: int) -> None:
        """Notice early that something else filled the disk: the rest would be sent in vain."""
        self._unchecked += size
        if self._length is None or self._unchecked < CHECK_BYTES:
            return
        self._unchecked = 0
        if file_system_space(self._devices.base(self.place.devid)).available < (
            self._length - self.received
        ):
            raise full()

    def finish(self) -> int:
        """Put the file into its place; the status of the answer. ``Refusal`` or ``OSError``."""
        assert self._part is not None
        assert self._arrival is not None
        assert self._room is not None
        self._compare_md5()
        replaced = self._replaced() if self._room.limited else 0
        try:
            self._arrival.publish(self._part.commit)
        except Emptied as error:
            raise Refusal(409, "Deleted while it was uploaded") from error
        self._room.changed(self.received - replaced, self._promised)
        self._promised = 0
        self._end()
        return 200 if self._md5 is None else 201

    def _end(self) -> None:
        if self._arrival is not None:
            self._devices.arrivals.end(self._arrival)
            self._arrival = None

    def _compare_md5(self) -> None:
        if self._md5 is None or self._wanted_md5 is None:
            return
        try:
            wanted = base64.b64decode(self._wanted_md5, validate=True)
        except binascii.Error:
            wanted = b""
        if wanted != self._md5.digest():
            raise Refusal(400, "Content-MD5 mismatch")

    def _replaced(self) -> int:
        try:
            return os.lstat(f"{self._devices.base(self.place.devid)}/{self.place.path}").st_size
        except FileNotFoundError:
            return 0

    def abandon(self) -> None:
        """Leave nothing behind and give the room back; nothing happens after ``finish``."""
        if self._part is not None:
            self._part.abandon()
        if self._room is not None:
            self._room.give_back(self._promised)
            self._promised = 0
        self._end()


def refusal_of(error: OSError) -> Refusal:
    """What a disk's error means to the one who asked."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return full()
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return Refusal(404)
    if error.errno == errno.ELOOP or (error.errno is None and isinstance(error, PermissionError)):
        return Refusal(403, "Behind a symbolic link")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return Refusal(503, "Too many open files")
    return Refusal(500, "The device failed")
