"""Storage nodes that are not this node's own, reached over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 2.0
"""How long a storage node may take to be reached, and to answer: MogileFS's own limits."""

STALL_SECONDS = 30.0
"""How long a body may stand still, in either direction."""

BLOCK = 256 * 1024
"""How many bytes of a body are in memory."""

MAX_HEADERS = 100
MAX_HEADER_LINE = 64 * 1024


class RemoteError(Exception):
    """A storage node could not be reached, or answered what it should not."""


@dataclass
class RemoteResponse:
    """The head of an answer; ``chunks`` gives the body, of ``length`` bytes (None: unknown)."""

    status: int
    headers: Mapping[str, str]
    _reader: asyncio.StreamReader

    @property
    def length(self) -> int | None:
        text = self.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdigit() else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body in pieces. RemoteError where it ends early or the node falls silent."""
        left = self.length
        while left is None or left > 0:
            wanted = BLOCK if left is None else min(BLOCK, left)
            data = await _within(self._reader.read(wanted), STALL_SECONDS)
            if not data:
                if left is not None:
                    raise RemoteError(f"the answer ended {left} bytes early")
                return
            left = None if left is None else left - len(data)
            yield data


@contextlib.asynccontextmanager
async def request(
    method: str, url: str, *, body: AsyncIterator[bytes] | None = None, length: int = 0
) -> AsyncIterator[RemoteResponse]:
    """One request on a connection of its own. ``body`` (of ``length`` bytes) is streamed."""
    try:
        parts = urlsplit(url)
        reader, writer = await _within(
            asyncio.open_connection(parts.hostname, parts.port or 80, limit=MAX_HEADER_LINE),
            CONNECT_SECONDS,
        )
        try:
            entity = f"Content-Length: {length}\r\n" if body is not None else ""
            head = f"{method} {parts.path} HTTP/1.0\r\nHost: {parts.netloc}\r\n{entity}\r\n"
            writer.write(head.encode("ascii"))
            async for data in body or _nothing():
                writer.write(data)
                await _within(writer.drain(), STALL_SECONDS)
            yield await _within(_read_head(reader), ANSWER_SECONDS)
        finally:
            writer.transport.abort()  # to close waits until all is sent, which may be never
            with contextlib.suppress(OSError):  # it failed before, and told so then
                await writer.wait_closed()
    except (OSError, ValueError) as error:
        raise RemoteError(f"{method} {url}: {error}") from error


async def _nothing() -> AsyncIterator[bytes]:
    empty: tuple[bytes, ...] = ()
    for data in empty:
        yield data


async def _within(coroutine: Coroutine[Any, Any, T], seconds: float) -> T:
    """What ``asyncio.wait_for`` does, for commands that have no task yet (``eager``), too."""
    waiting = asyncio.create_task(coroutine)
    try:
        await asyncio.wait({waiting}, timeout=seconds)
        if not waiting.done():
            raise RemoteError(f"no answer within {seconds:g} s")
        return waiting.result()
    finally:
        waiting.cancel()


async def _read_head(reader: asyncio.StreamReader) -> RemoteResponse:
    status_line = (await reader.readline()).decode("latin-1").split(None, 2)
    if len(status_line) < 2 or not status_line[0].startswith("HTTP/") or len(status_line[1]) != 3:
        raise RemoteError(f"no HTTP answer: {' '.join(status_line)[:80]!r}")
    headers: dict[str, str] = {}
    for _ in range(MAX_HEADERS):
        line = (await reader.readline()).decode("latin-1").strip()
        if not line:
            return RemoteResponse(int(status_line[1]), headers, reader)
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    raise RemoteError(f"more than {MAX_HEADERS} header lines")


async def length(url: str) -> int | None:
    """The length of a file at a storage node, None where it is missing."""
    async with request("HEAD", url) as response:
        if response.status == 404:
            return None
        if response.status != 200:
            raise RemoteError(f"HEAD {url}: status {response.status}")
        if response.length is None:
            raise RemoteError(f"HEAD {url}: no Content-Length")
        return response.length
