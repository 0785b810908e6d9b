"""Devices of other hosts: what a tracker asks of a storage node, over HTTP."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import AsyncIterator
from typing import NamedTuple

from .. import remote
from ..chance import chance
from ..remote import RemoteError

HTTP_OK = range(200, 300)
NOT_FOUND = 404

MAX_SMALL_BODY = 64 * 1024
"""More than this is no ``usage`` file and no file of a test write."""

_USAGE_LINE = re.compile(rb"^([A-Za-z]+)[ \t]*:[ \t]*(.+?)[ \t\r]*$", re.MULTILINE)


class StorageError(Exception):
    """A device or its host was not reached, or refused."""


class Usage(NamedTuple):
    """What a ``usage`` file says, in bytes."""

    used: int
    total: int
    available: int


async def size(url: str) -> int | None:
    """The length of a file in bytes, None where it is missing. Raises StorageError."""
    try:
        return await remote.length(url)
    except RemoteError as error:
        raise StorageError(str(error)) from error


async def delete(url: str) -> None:
    """Delete a file; one that is not there counts as deleted. Raises StorageError."""
    try:
        async with remote.request("DELETE", url) as response:
            if response.status not in HTTP_OK and response.status != NOT_FOUND:
                raise StorageError(f"DELETE {url}: status {response.status}")
    except RemoteError as error:
        raise StorageError(str(error)) from error


async def blocks(url: str) -> AsyncIterator[bytes]:
    """The bytes of a file. Raises StorageError."""
    try:
        async with remote.request("GET", url) as response:
            if response.status not in HTTP_OK:
                raise StorageError(f"GET {url}: status {response.status}")
            async for block in response.chunks():
                yield block
    except RemoteError as error:
        raise StorageError(str(error)) from error


async def checksum(url: str, algorithm: str) -> str:
    """The digest of a file in hex, by hashlib's name of the algorithm. Raises StorageError."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    async for block in blocks(url):
        digest.update(block)
    return digest.hexdigest()


async def put(url: str, content: AsyncIterator[bytes], length: int) -> None:
    """Store ``length`` bytes of ``content``. Raises StorageError, and what ``content`` raises."""
    try:
        async with remote.request("PUT", url, body=content, length=length) as response:
            if response.status not in HTTP_OK:
                raise StorageError(f"PUT {url}: status {response.status}")
    except RemoteError as error:
        raise StorageError(str(error)) from error


async def _read_small(url: str) -> bytes:
    body = b""
    async for block in blocks(url):
        body += block
        if len(body) > MAX_SMALL_BODY:
            raise StorageError(f"GET {url}: not the small file that it should be")
    return body


async def usage(url: str) -> Usage:
    """How full a device is, from its ``usage`` file. Raises StorageError."""
    lines = {
        name.decode(): value.decode("latin-1")
        for name, value in _USAGE_LINE.findall(await _read_small(url))
    }
    try:
        used, total = int(lines["used"]) * 1024, int(lines["total"]) * 1024
        available = int(lines.get("available", (total - used) // 1024)) * 1024
    except (KeyError, ValueError) as error:
        raise StorageError(f"GET {url}: not a usage file") from error
    return Usage(used, total, available)


async def test_write(directory: str) -> None:
    """Write a small file below the URL ``directory`` and read it back. Raises StorageError."""
    number = chance.randrange(100)
    url = f"{directory}/test-write-{number}"
    text = f"time={int(time.time())} rand={number}".encode()

    async def body() -> AsyncIterator[bytes]:
        yield text

    await put(url, body(), len(text))
    if await _read_small(url) != text:
        raise StorageError(f"GET {url}: not what was written")
