"""Storage nodes of other hosts that answer oddly, or stall."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from mogilefs.node import remote
from mogilefs.node.remote import RemoteError

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def storage(serve: Serve) -> AsyncIterator[str]:
    """The URL of a file at a server that does this with each connection, and then closes it."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}/dev1/0/000/000/0000000001.fid"


@pytest.mark.parametrize(
    ("answer", "length"),
    [
        (b"HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n", 7),
        (b"HTTP/1.0 404 Not Found\r\nContent-Length: 9\r\n\r\n", None),
    ],
)
async def test_the_length_of_a_file(answer: bytes, length: int | None) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    async with storage(serve) as url:
        assert await remote.length(url) == length


async def test_a_file_whose_length_is_not_told_is_not_taken_for_missing() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    async with storage(serve) as url:
        with pytest.raises(RemoteError, match="no Content-Length"):
            await remote.length(url)


async def test_a_storage_node_that_takes_no_more_bytes_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote, "STALL_SECONDS", 0.3)
    given_up = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert isinstance(writer.transport, asyncio.ReadTransport)
        writer.transport.pause_reading()
        await given_up.wait()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(remote.BLOCK)

    async with storage(serve) as url:
        with pytest.raises(RemoteError, match="no answer within"):
            async with remote.request("PUT", url, body=endless(), length=2**40):
                pass
        given_up.set()


async def test_an_address_that_cannot_be_in_a_url_is_that_storage_node_s_trouble() -> None:
    with pytest.raises(RemoteError, match="usage"):
        async with remote.request("GET", "http://[:7500/dev1/usage"):
            pass
