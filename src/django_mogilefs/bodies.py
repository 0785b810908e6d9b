"""The bytes of a file on their way from a replica to a browser, for WSGI and for ASGI.

A body is opened before the reply's status goes out: its first bytes are there, or the error is.
Closing it frees the replica's connection. A WSGI server does that when its browser goes away;
Django under ASGI drops what it was sending, so there being dropped closes the body too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Final

from asgiref.sync import async_to_sync

from mogilefs import AsyncClient, Client
from mogilefs.steps import BULK

from .http import Span
from .pathcache import Place

if TYPE_CHECKING:
    from mogilefs.aio import AsyncStream

SMALL: Final = 64 * 1024
"""Up to so many bytes are read at once: a replica that breaks off then is still a clean error."""

PIECE: Final = BULK // 4
"""So many bytes of a large file go to the ASGI server at once. Django cuts after 64 KiB, which is
53 bytes more than a packet on loopback holds, and each packet wakes the reader."""


class Body(Iterator[bytes]):
    """A file's bytes for WSGI. StorageUnavailable if no replica gives the first ones."""

    def __init__(self, client: Client, key: str, place: Place, span: Span) -> None:
        self._stream = client.stream(
            key, start=span.start, stop=span.stop, paths=place.paths, size=place.length
        )
        self._chunks = iter(self._stream)
        self._first: bytes | None = next(self._chunks)

    def __next__(self) -> bytes:
        first, self._first = self._first, None
        return next(self._chunks) if first is None else first

    def close(self) -> None:
        self._stream.close()


def read_small(client: Client, key: str, place: Place, span: Span) -> bytes:
    """All bytes of a small part. StorageUnavailable if the replicas do not give them."""
    with closing(Body(client, key, place, span)) as body:
        return b"".join(body)


class AsyncBody(AsyncIterator[bytes]):
    """A file's bytes for ASGI: no thread waits, neither for the replica nor for the browser."""

    def __init__(self, first: bytes, stream: AsyncStream | None = None) -> None:
        self._chunk, self._at = first, 0
        self._stream = stream
        self._loop = asyncio.get_running_loop() if stream else None

    @classmethod
    def open(cls, client: AsyncClient, key: str, place: Place, span: Span) -> AsyncBody:
        """StorageUnavailable if no replica gives the first bytes.

        To be called in a thread that the event loop has started, which is where Django runs
        views that are no coroutines.
        """
        return async_to_sync(cls._open)(client, key, place, span)

    @classmethod
    async def _open(cls, client: AsyncClient, key: str, place: Place, span: Span) -> AsyncBody:
        stream = client.stream(
            key, start=span.start, stop=span.stop, paths=place.paths, size=place.length
        )
        return cls(await stream.__anext__(), stream)

    async def __anext__(self) -> bytes:
        if self._at >= len(self._chunk):
            self._chunk, self._at = await self._receive(), 0
        if len(self._chunk) <= SMALL:
            piece, self._chunk = self._chunk, b""
            return piece
        self._at += PIECE
        return self._chunk[self._at - PIECE : self._at]

    async def _receive(self) -> bytes:
        if self._stream is None:
            raise StopAsyncIteration
        try:
            return await self._stream.__anext__()
        except BaseException:  # the end, an error, or the browser has gone
            await self.aclose()
            raise

    async def aclose(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()

    def __del__(self) -> None:
        # Wherever that happens, the connection belongs to the loop.
        if self._stream and self._loop and not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._stream.close(), self._loop)
