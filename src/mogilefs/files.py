"""A file in MogileFS as a Python file: read where one seeks to, or written until it is closed."""

from __future__ import annotations

import io
import os
from abc import abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .download import Download
from .errors import StorageUnavailable
from .localfiles import Spool
from .models import Found
from .operations import Operations
from .steps import BULK, Op, T

if TYPE_CHECKING:
    from typing_extensions import Buffer

BUFFER = 64 * 1024
"""Bytes that a file reads ahead, so that small reads do not become small steps."""

FIRST_WINDOW = 256 * 1024
LONGEST_WINDOW = 16 * 2**20
"""Bytes asked for after a seek: doubling while reading goes straight on. Whoever jumps about gets
little that is not wanted, and the connection is kept."""

LOOKS = 3
"""How often a key is looked up whose first bytes no replica gives: it may just be stored anew."""


class Cursor:
    """A place in a file, and the bytes from there. It is one file from what is told of it first,
    its size or its bytes."""

    def __init__(self, operations: Operations, key: str) -> None:
        self._operations, self.key = operations, key
        self.position = 0
        self._found: Found | None = None
        self._download: Download | None = None
        self._stop: int | None = None
        self._window = FIRST_WINDOW
        self._pinned = self._closed = False

    def found(self) -> Op[Found]:
        """Where the file is; asked once."""
        if self._found is None:
            self._found = yield from self._operations.find(self.key)
        return self._found

    def size(self) -> Op[int]:
        """The file's length in bytes."""
        found = yield from self.found()
        self._pinned = True
        return found.length

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> Op[int]:
        """Go to another place; the new position. Raises ValueError before the beginning."""
        if whence == os.SEEK_END:
            offset += yield from self.size()
        elif whence == os.SEEK_CUR:
            offset += self.position
        elif whence != os.SEEK_SET:
            raise ValueError(f"whence must be 0, 1 or 2, not {whence!r}")
        if offset < 0:
            raise ValueError(f"negative seek position {offset}")
        self.position = offset
        return offset

    def read(self, limit: int = BULK) -> Op[bytes]:
        """The bytes at the position, at most ``limit``; ``b""`` at the end of the file."""
        for look in range(LOOKS):
            found = yield from self.found()
            if self.position >= found.length or not limit:
                return b""
            try:
                data = yield from self._begun(found).read(min(limit, BULK))
                break
            except StorageUnavailable:
                if look == LOOKS - 1 or not (yield from self._let_go(found)):
                    raise
        self._pinned = True
        self.position += len(data)
        return data

    def _begun(self, found: Found) -> Download:
        """What reads on from the position."""
        if self._download is None or self._download.offset != self.position:
            self._open(found)
        elif self.position == self._stop:
            self._window = min(2 * self._window, LONGEST_WINDOW)
            self._open(found)
        assert self._download is not None  # _open has just made it
        return self._download

    def _let_go(self, found: Found) -> Op[bool]:
        """Begin the next read anew; whether it may go elsewhere, as nothing was told yet."""
        self._stop_reading()
        self._download = None
        if self._pinned:
            return False
        self._found = None
        now = yield from self.found()
        return now.fid != found.fid or not set(now.paths) <= set(found.paths)

    def read_whole(self, limit: int | None = None) -> Op[bytes]:
        """``limit`` bytes, or all that are left; fewer only at the end of the file.

        Where that fails or is interrupted nothing of it counts as read.
        """
        at, chunks = self.position, []
        left = limit
        try:
            while left is None or left:
                chunk = yield from self.read(BULK if left is None else left)
                if not chunk:
                    break
                chunks.append(chunk)
                left = None if left is None else left - len(chunk)
        except BaseException:
            self.position = at
            raise
        return b"".join(chunks)

    def _open(self, found: Found) -> None:
        """The whole file for whoever begins at the beginning, a window of it after a seek."""
        size = found.length
        straight = self._download is None and self.position == 0
        if self._download is not None and self._download.offset != self.position:
            self._window = FIRST_WINDOW
        self._stop_reading()
        if self._closed:  # while it waited for the tracker
            raise ValueError("I/O operation on closed file")
        self._stop = size if straight else min(self.position + self._window, size)
        self._download = self._operations.reading(
            self.key, start=self.position, stop=self._stop, paths=found.paths, size=size
        )

    def back_to(self, position: int) -> None:
        """What was read from there on did not reach the caller."""
        self.position = position
        if self._download is not None:
            self._download.back_to(self._download.offset)

    def close(self) -> None:
        """Stop reading, for good."""
        self._closed = True
        self._stop_reading()

    def _stop_reading(self) -> None:
        if self._download is not None:
            self._download.close()


_Buffered = io.BufferedReader


class ReplicaFile(io.RawIOBase):
    """The raw file under FileReader."""

    def __init__(self, cursor: Cursor, run: Callable[[Op[Any]], Any]) -> None:
        super().__init__()
        self._cursor, self._run = cursor, run
        self.name = cursor.key

    @property
    def size(self) -> int:
        """The file's length in bytes."""
        return int(self._run(self._cursor.size()))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        self._check_open()
        return self._cursor.position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._check_open()
        return int(self._run(self._cursor.seek(offset, whence)))

    def readinto(self, buffer: Buffer) -> int:
        self._check_open()
        at = self._cursor.position
        view = memoryview(buffer).cast("B")
        try:
            data = self._run(self._cursor.read(len(view)))
            view[: len(data)] = data
            return len(data)
        except BaseException:  # a signal's, too, that comes when the bytes have come
            self._cursor.back_to(at)
            raise

    def readall(self) -> bytes:
        self._check_open()
        at = self._cursor.position
        try:
            return bytes(self._run(self._cursor.read_whole()))
        except BaseException:
            self._cursor.back_to(at)
            raise

    def close(self) -> None:
        if not self.closed:
            self._cursor.close()
        super().close()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")


class FileReader(io.BufferedReader):
    """A file being read: lazy, seekable, buffered.

    Nothing is asked before the first read (or seek from the end, or ``size``). Raises KeyNotFound
    and StorageUnavailable from there. Where a read fails or is interrupted nothing of it counts as
    read.
    """

    def __init__(self, raw: ReplicaFile) -> None:
        super().__init__(raw, BUFFER)
        self._replica = raw
        # Where the next read begins: to ask tell() each time would cost more than a small read. So
        # would a call of ours within it, for which read() and readline() are written out.
        self._at = 0

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            data = _Buffered.read(self, size)
        except BaseException:
            self._go_back()
            raise
        self._at += len(data)
        return data

    def readline(self, size: int | None = -1, /) -> bytes:
        try:
            line = _Buffered.readline(self, size)
        except BaseException:
            self._go_back()
            raise
        self._at += len(line)
        return line

    def read1(self, size: int = -1, /) -> bytes:
        data = self._or_back(super().read1, size)
        self._at += len(data)
        return data

    def readinto(self, buffer: Buffer, /) -> int:
        count = self._or_back(super().readinto, buffer)
        self._at += count
        return count

    def readinto1(self, buffer: Buffer, /) -> int:
        count = self._or_back(super().readinto1, buffer)
        self._at += count
        return count

    def readlines(self, hint: int = -1, /) -> list[bytes]:
        at = self._at
        try:
            return super().readlines(hint)
        except BaseException:
            self._at = at
            self._go_back()
            raise

    def _or_back(self, read: Callable[[Any], T], argument: Any) -> T:
        try:
            return read(argument)
        except BaseException:
            self._go_back()
            raise

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._at = super().seek(offset, whence)
        return self._at

    def _go_back(self) -> None:
        """To where the read began that failed: the buffer, which was emptied first, is lost."""
        if not self.closed:
            super().seek(self._at)

    @property
    def size(self) -> int:
        """The file's length in bytes."""
        return self._replica.size


class Draft:
    """What is written until it is stored: in memory up to a bound, then in a temporary file."""

    def __init__(self, operations: Operations, key: str, mogile_class: str | None, overwrite: bool):
        operations.check_writable("create_open")
        self._operations, self.key = operations, key
        self._mogile_class, self._overwrite = mogile_class, overwrite
        self._spool = Spool(operations.config.max_spool)
        self.file = self._spool.file

    def store(self) -> Op[None]:
        """Store what was written."""
        try:
            self.file.seek(0)
            yield from self._operations.store(
                self.key, self.file, mogile_class=self._mogile_class, overwrite=self._overwrite
            )
        finally:
            self.discard()

    def discard(self) -> None:
        """Forget what was written."""
        self._spool.close()


class Discardable(io.BufferedIOBase):
    """A file being written, which counts only once it is closed.

    Nothing of it counts if its ``with`` raised, or if it is dropped without ``close``.
    """

    def writable(self) -> bool:
        """Always."""
        return True

    @abstractmethod
    def discard(self) -> None:
        """Close without storing anything."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def __del__(self) -> None:
        self.discard()


class FileWriter(Discardable):
    """A file being written: under its key when it is closed, which raises what ``store`` raises."""

    def __init__(self, draft: Draft, run: Callable[[Op[Any]], Any]) -> None:
        super().__init__()
        self._draft, self._run = draft, run
        self.name = draft.key

    def write(self, data: Buffer) -> int:
        self._check_open()
        return self._draft.file.write(data)

    def tell(self) -> int:
        self._check_open()
        return self._draft.file.tell()

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go back to what was written, to write over it."""
        self._check_open()
        self._draft.file.seek(offset, whence)
        return self.tell()

    @property
    def size(self) -> int:
        """Bytes written so far."""
        at = self.tell()
        size = self.seek(0, os.SEEK_END)
        self.seek(at)
        return size

    def discard(self) -> None:
        """Close without storing anything."""
        if not self.closed:
            self._draft.discard()
            super().close()

    def close(self) -> None:
        if not self.closed:
            try:
                self._run(self._draft.store())
            finally:
                super().close()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")
