"""The asyncio client's connections: every byte that came is given out, once and in order."""

from __future__ import annotations

import asyncio
import socket

from mogilefs.aionet import AsyncLink


async def test_what_was_left_of_one_piece_is_not_lost_to_the_next():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    link = AsyncLink(ours, asyncio.get_running_loop(), timeout=5)
    try:
        theirs.sendall(b"a" * 100)
        got = await link.receive(10)
        theirs.sendall(b"b" * 100)
        theirs.close()
        for _ in range(3):  # the loop sees what came although nobody asks
            await asyncio.sleep(0)
        while piece := await link.receive(30):
            got += piece
    finally:
        link.close()
    assert got == b"a" * 100 + b"b" * 100
