"""The asyncio client's connections: every byte that came is given out, once and in order."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mogilefs.aionet import READS_IN_A_TURN, AsyncLink


@contextmanager
def connected(timeout: float = 5) -> Iterator[tuple[AsyncLink, socket.socket]]:
    """A link and the other end of it."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    link = AsyncLink(ours, asyncio.get_running_loop(), timeout)
    with theirs:
        yield link, theirs
        link.close()


async def test_what_was_left_of_one_piece_is_not_lost_to_the_next():
    with connected() as (link, theirs):
        theirs.sendall(b"a" * 100)
        got = await link.receive(10)
        theirs.sendall(b"b" * 100)
        theirs.close()
        for _ in range(3):  # the loop sees what came although nobody asks
            await asyncio.sleep(0)
        while piece := await link.receive(30):
            got += piece
    assert got == b"a" * 100 + b"b" * 100


async def test_what_came_for_a_cancelled_reader_is_for_the_next():
    with connected() as (link, theirs):
        reader = asyncio.create_task(link.receive())
        await asyncio.sleep(0)
        theirs.sendall(b"abc")
        for _ in range(2):  # the loop has read it, and the reader has not had its turn
            await asyncio.sleep(0)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        assert await link.receive(2) == b"ab"
        assert await link.receive(2) == b"c"


async def test_each_wait_has_the_whole_timeout():
    clock = asyncio.get_running_loop().time
    with connected(timeout=0.2) as (link, theirs):
        theirs.sendall(b"at once")
        assert await link.exchange(b"first") == b"at once"
        await asyncio.sleep(0.1)
        began = clock()
        with pytest.raises(TimeoutError):
            await link.exchange(b"second")
        assert clock() - began >= 0.2
        assert await asyncio.to_thread(theirs.recv, 100) == b"firstsecond"


async def test_what_does_not_go_out_at_once_goes_out_all_the_same():
    with connected() as (link, theirs):
        request = b"0123456789" * 2**18
        answer = asyncio.create_task(link.exchange(request))
        got = b""
        while len(got) < len(request):
            got += await asyncio.to_thread(theirs.recv, 2**20)
        theirs.sendall(b"thanks")
        assert await answer == b"thanks"
    assert got == request


async def test_whoever_waits_hears_of_a_broken_connection():
    listener = socket.create_server(("127.0.0.1", 0))
    ours = socket.create_connection(listener.getsockname())
    theirs, _ = listener.accept()
    ours.setblocking(False)
    with listener, theirs:
        link = AsyncLink(ours, asyncio.get_running_loop(), timeout=5)
        reader = asyncio.create_task(link.receive())
        await asyncio.sleep(0)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        theirs.close()
        with pytest.raises(ConnectionResetError):
            await reader
        link.close()


async def test_a_large_file_leaves_the_loop_to_others_now_and_then():
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    with connected() as (link, theirs):
        theirs.sendall(b"x" * READS_IN_A_TURN * 3)
        other = asyncio.create_task(others())
        for _ in range(READS_IN_A_TURN * 3):
            assert await link.receive(1) == b"x"
        other.cancel()
    assert turns >= 2
