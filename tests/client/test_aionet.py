"""The asyncio client's connections: every byte that came is given out, once and in order."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any, ClassVar

import pytest

from mogilefs import AsyncClient
from mogilefs.aionet import READS_IN_A_TURN, AsyncLink
from tests.client.conftest import Tiny


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


async def test_whoever_comes_after_a_cancelled_reader_is_heard():
    with connected() as (link, theirs):
        first = asyncio.create_task(link.receive())
        await asyncio.sleep(0)
        first.cancel()
        asyncio.get_running_loop().call_later(0.05, theirs.sendall, b"abc")
        assert await link.receive() == b"abc"  # waits before the first has had its turn
        assert first.cancelled()


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


async def test_a_cancellation_is_heard_whenever_it_comes(tiny: Tiny):
    tiny.cluster.add("key", b"body")
    for turns in range(60):
        async with AsyncClient("d", tiny.addresses) as client:
            task = asyncio.create_task(client.read("key"))
            for _ in range(turns):
                await asyncio.sleep(0)
            if task.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await task


class Resolving(asyncio.SelectorEventLoop):
    """An event loop that knows the addresses of ``two.example``."""

    addresses: ClassVar[list[str]] = []

    async def getaddrinfo(self, host: Any, port: Any, **how: Any) -> Any:
        found = []
        for each in self.addresses if host == "two.example" else [host]:
            found += await super().getaddrinfo(each, port, **how)
        return found


def test_a_name_is_reached_at_the_first_of_its_addresses_that_answers(tiny: Tiny):
    tiny.cluster.add("key", b"body")
    with deaf(tiny.tracker.port) as host, closing(Resolving()) as loop:
        loop.addresses = [host, "127.0.0.1"]
        client = AsyncClient("d", f"two.example:{tiny.tracker.port}", connect_timeout=0.3)
        assert loop.run_until_complete(client.read("key")) == b"body"
        loop.run_until_complete(client.close())
        loop.run_until_complete(loop.shutdown_default_executor())


@contextmanager
def deaf(port: int) -> Iterator[str]:
    """An address where connections are neither taken nor refused: nobody accepts them."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.9", port), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield "127.0.0.9"
