"""A file that a GET or HEAD asks for: opened, compared with what the client has, read or sent."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os

from mogilefs.node.devices import Devices
from mogilefs.node.layout import Place
from mogilefs.node.storage import ranges, replies
from mogilefs.node.storage.requests import Request

SMALL = 128 * 1024
"""Up to this many bytes a file is read and written at once; ``sendfile`` pays above."""

PIECE = 4 * 2**20
"""How many bytes ``sendfile`` is given at once: a reader must take one within WRITE_SECONDS."""

AT_ONCE = 2**20
"""How many bytes ``sendfile`` is given on the event loop itself: some 200 µs of its time."""

_NOWAIT = getattr(os, "RWF_NOWAIT", 0)

_cannot_tell: set[int] = set()
"""File systems (by number) that know no RWF_NOWAIT, such as tmpfs: they are in memory anyway."""


class Download:
    """A file being sent: its descriptor, the head of the reply, and which bytes follow it."""

    __slots__ = ("_disk", "_file", "_start", "_stop", "devid", "head")

    def __init__(
        self, devid: int, disk: int, fd: int, head: bytes, start: int, length: int
    ) -> None:
        self.devid = devid
        self.head = head
        self._disk = disk
        self._file = open(fd, "rb", buffering=0)  # noqa: SIM115 - closed by close()
        self._start, self._stop = start, start + length

    @property
    def done(self) -> bool:
        """Whether every byte has been sent."""
        return self._start >= self._stop

    @property
    def cached(self) -> bool:
        """Whether the next piece can be sent without waiting for the disk, as far as one sees."""
        stop = min(self._stop, self._start + PIECE)
        return self._in_memory(self._start) and self._in_memory(stop - 1)

    def _in_memory(self, offset: int) -> bool:
        return _read_cached(self._disk, self._file.fileno(), bytearray(1), offset) == 1

    def warm(self) -> None:
        """Read the next piece into the page cache; waits for the disk."""
        offset, stop = self._start, min(self._stop, self._start + PIECE)
        while offset < stop and (block := os.pread(self._file.fileno(), 2**18, offset)):
            offset += len(block)

    def send_at_once(self, transport: asyncio.WriteTransport) -> bool:
        """Send as much as the socket takes now; whether that was all.

        What goes wrong here goes wrong in ``send_piece`` again.
        """
        if transport.get_write_buffer_size() == 0:
            socket = transport.get_extra_info("socket").fileno()
            length = min(self._stop - self._start, AT_ONCE)
            with contextlib.suppress(OSError):
                self._start += os.sendfile(socket, self._file.fileno(), self._start, length)
        return self.done

    async def send_piece(self, transport: asyncio.WriteTransport) -> None:
        """Send the next piece; ``OSError`` where the client is gone or the file has shrunk."""
        length = min(self._stop - self._start, PIECE)
        loop = asyncio.get_running_loop()
        sent = await loop.sendfile(transport, self._file, self._start, length)
        if sent != length:
            raise OSError(errno.EIO, f"{sent} bytes where {length} were promised")
        self._start += length

    def close(self) -> None:
        """Give the descriptor back. May be repeated."""
        self._file.close()


def fetch(devices: Devices, place: Place, request: Request) -> bytes | Download:
    """The whole reply where the file is small and in memory, else a download; ``OSError``."""
    fd, found = devices.open(place)
    try:
        reply = _reply(request, found.st_size, int(found.st_mtime))
        if isinstance(reply, tuple) and reply[2] <= SMALL:
            reply = read_whole(found, fd, *reply) or reply
        if isinstance(reply, tuple):
            download = Download(place.devid, found.st_dev, fd, *reply)
            fd = -1
            return download
        return reply
    finally:
        if fd >= 0:
            os.close(fd)


def _reply(request: Request, size: int, modified: int) -> bytes | tuple[bytes, int, int]:
    """A reply without a body, or a head with the first byte to follow and how many."""
    keep_alive, headers = request.keep_alive, request.headers
    if b"if-modified-since" in headers and _is_fresh(headers[b"if-modified-since"], modified):
        return replies.not_modified(modified, keep_alive)
    window = None
    if b"range" in headers and _may_resume(headers.get(b"if-range"), modified):
        try:
            window = ranges.parse_range(headers[b"range"], size)
        except ranges.Unsatisfiable:
            return replies.unsatisfiable(size, modified, keep_alive)
    reply = replies.file_head(size, modified, window, keep_alive)
    return reply[0] if request.method == b"HEAD" else reply


def _is_fresh(since: bytes, modified: int) -> bool:
    date = replies.parse_http_date(since)
    return date is not None and modified <= date


def _may_resume(validator: bytes | None, modified: int) -> bool:
    """Whether a Range counts: an ``If-Range`` must be the very date that was sent."""
    return validator is None or replies.parse_http_date(validator) == modified


def read_whole(found: os.stat_result, fd: int, head: bytes, start: int, length: int) -> bytes:
    """Head and bytes in one piece; nothing where the bytes would have to be waited for."""
    if length == 0:
        return head
    data = bytearray(length)
    return head + data if _read_cached(found.st_dev, fd, data, start) == length else b""


def _read_cached(disk: int, fd: int, data: bytearray, offset: int) -> int:
    """Read what is in the page cache; 0 where nothing is."""
    try:
        return os.preadv(fd, [data], offset, 0 if disk in _cannot_tell else _NOWAIT)
    except BlockingIOError:
        return 0
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        _cannot_tell.add(disk)
        return os.preadv(fd, [data], offset)
