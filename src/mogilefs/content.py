"""What a caller wants stored, in one shape: so many bytes, to be read again from the beginning."""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import AsyncIterable, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import IO, Any, Protocol, Union

from .errors import ContentMismatch, ProtocolError
from .localfiles import Spool
from .steps import CHUNK, Network, Op
from .wire import CHECKSUMS

Storable = Union[
    bytes,
    bytearray,
    memoryview,
    "os.PathLike[str]",
    IO[bytes],
    Iterable[bytes],
    AsyncIterable[bytes],
]
"""What ``store`` takes: bytes, a path, a binary file, or an iterable of bytes; an AsyncClient also
takes files with an async ``read`` and async iterables."""


AS_A_DEVICE = (OSError, ProtocolError)
"""What a source that is itself read from a network, or from a disk, raises as a device does."""


class SourceFailed(Exception):
    """The caller's file could not be read; ``__cause__`` says why. Never leaves this package."""


class Source(Protocol):
    """Bytes that can be read again from their beginning."""

    def rewind(self) -> Op[None]: ...
    def read(self, limit: int) -> Op[bytes]: ...
    def close(self) -> None: ...


class Content:
    """``size`` bytes from a source, with the checksum of what was read since the last rewind."""

    def __init__(self, source: Source, size: int, checksum: str | None) -> None:
        self._source, self.size, self._algorithm = source, size, checksum
        self._digest = hashlib.new(CHECKSUMS[checksum], usedforsecurity=False) if checksum else None

    @property
    def checksum(self) -> str | None:
        """``MD5:…`` or ``SHA-1:…``, as MogileFS writes it, or None."""
        return f"{self._algorithm}:{self._digest.hexdigest()}" if self._digest else None

    def rewind(self) -> Op[None]:
        """Begin again."""
        if self._algorithm:
            self._digest = hashlib.new(CHECKSUMS[self._algorithm], usedforsecurity=False)
        try:
            yield from self._source.rewind()
        except AS_A_DEVICE as error:  # must not look like the device's
            raise SourceFailed from error

    def read(self, limit: int) -> Op[bytes]:
        """At most ``limit`` bytes, ``b""`` at the end. Raises SourceFailed."""
        try:
            data: bytes = yield from self._source.read(limit)
        except AS_A_DEVICE as error:
            raise SourceFailed from error
        if self._digest is not None:
            self._digest.update(data)
        return data

    def close(self) -> None:
        """Let go of what this opened itself; a caller's file stays open."""
        self._source.close()


class Memory:
    """Bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def rewind(self) -> Op[None]:
        self._at = 0
        yield from ()

    def read(self, limit: int) -> Op[bytes]:
        yield from ()
        at, self._at = self._at, min(self._at + limit, len(self._data))
        return self._data if self._at - at == len(self._data) else self._data[at : self._at]

    def close(self) -> None:
        """Nothing to let go."""


class File:
    """A seekable file, from where it stood to its end."""

    def __init__(
        self, file: IO[bytes], network: Network, *, start: int, own: IO[bytes] | Spool | None
    ) -> None:
        """``own`` is what to close at the end."""
        self._file, self._network, self._start, self._own = file, network, start, own
        self._at_start = True

    def rewind(self) -> Op[None]:
        if not self._at_start:
            yield partial(self._network.call, self._file.seek, self._start)
        self._at_start = True

    def read(self, limit: int) -> Op[bytes]:
        self._at_start = False
        return as_bytes((yield partial(self._network.call, self._file.read, limit)))

    def close(self) -> None:
        if self._own is not None:
            self._own.close()


def as_bytes(chunk: object) -> bytes:
    """``chunk`` as bytes. Raises TypeError for what is none: text, or a None that means "later"."""
    if isinstance(chunk, bytes):
        return chunk
    if isinstance(chunk, (bytearray, memoryview)):
        return bytes(chunk)
    raise TypeError(f"content must be bytes, not {type(chunk).__name__}")


def prepare(
    content: Storable, size: int | None, checksum: str | None, network: Network, max_spool: int
) -> Op[Content]:
    """The content in the shape that an upload needs; what cannot be rewound is read and spooled.

    Raises ContentMismatch when it is not ``size`` bytes long, TypeError when it is no content.
    """
    source, counted = yield from _source(content, network, max_spool)
    if size is not None and size != counted:
        source.close()
        raise ContentMismatch(f"the content is {counted} bytes long, not {size}")
    return Content(source, counted, checksum)


def _source(content: Any, network: Network, max_spool: int) -> Op[tuple[Source, int]]:
    if isinstance(content, (bytes, bytearray, memoryview)):
        data = as_bytes(content)
        return Memory(data), len(data)
    if isinstance(content, os.PathLike):
        file = yield partial(network.call, open, content, "rb")
        with suppress(OSError):
            if file.seekable():
                return _file(file, network, own=file)
        with file:
            return (yield from _spooled(file, network, max_spool))
    with suppress(OSError):  # of files that only pretend, as those in /proc do
        if hasattr(content, "read") and _seekable(content):
            return _file(content, network, own=None)
    return (yield from _spooled(content, network, max_spool))


def _seekable(file: Any) -> bool:
    if inspect.iscoroutinefunction(file.read):
        return False
    told = getattr(file, "seekable", None)
    return bool(told()) if told else hasattr(file, "seek") and hasattr(file, "tell")


def _file(file: IO[bytes], network: Network, *, own: IO[bytes] | None) -> tuple[Source, int]:
    start = file.tell()
    file.seek(0, os.SEEK_END)
    size = max(file.tell() - start, 0)
    file.seek(start)
    return File(file, network, start=start, own=own), size


def _spooled(content: Any, network: Network, max_spool: int) -> Op[tuple[Source, int]]:
    """Read what cannot be rewound into memory, or a temporary file beyond ``max_spool`` bytes."""
    spool = Spool(max_spool)
    try:
        yield from _copy(content, network, lambda chunk: spool.file.write(as_bytes(chunk)))
    except BaseException:
        spool.close()
        raise
    size = spool.file.tell()
    spool.file.seek(0)
    return File(spool.file, network, start=0, own=spool), size


def _copy(content: Any, network: Network, write: Callable[[Any], object]) -> Op[None]:
    awaits = inspect.iscoroutinefunction(getattr(content, "read", None))
    if (awaits or isinstance(content, AsyncIterable)) and not network.awaits:
        raise TypeError("content that has to be awaited needs an AsyncClient")
    if awaits:
        while chunk := as_bytes((yield partial(content.read, CHUNK))):
            write(chunk)
    elif hasattr(content, "read"):
        while chunk := as_bytes((yield partial(network.call, content.read, CHUNK))):
            write(chunk)
    elif isinstance(content, AsyncIterable):
        iterator = aiter(content)
        while (chunk := (yield partial(anext, iterator, iterator))) is not iterator:
            write(chunk)
    elif isinstance(content, Iterable) and not isinstance(content, str):
        for chunk in content:
            write(chunk)
    else:
        kind = type(content).__name__
        raise TypeError(f"content must be bytes, a path object or a binary file, not {kind}")
