"""Replies to several clients, sent together at the end of the event loop's turn.

A send wakes the client that waits for it, and that takes the kernel longer than most of what the
node does for a small file. So where clients take turns, all that a turn of the loop has found is
answered before anything is sent: with many small replies to one process that is a quarter more of
them a second. A client that is alone is answered without delay.
"""

from __future__ import annotations

import asyncio

MAX_HELD = 2**20
"""Bytes of replies that may be in memory until the end of a turn."""


class Outbox:
    """What one door has to send. For one event loop."""

    def __init__(self) -> None:
        self._held: list[tuple[asyncio.WriteTransport, bytes]] = []
        self._size = 0
        self._latest: asyncio.WriteTransport | None = None

    def reply(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        """Send ``data``, within this turn of the loop. Nothing may be sent past it: ``flush``."""
        alone = transport is self._latest and not self._held
        self._latest = transport
        if alone:
            transport.write(data)
            return
        if not self._held:
            asyncio.get_running_loop().call_soon(self.flush)
        self._held.append((transport, data))
        self._size += len(data)
        if self._size > MAX_HELD:
            self.flush()

    def flush(self) -> None:
        """Send all that is held back; before a connection is closed or written to otherwise."""
        held, self._held, self._size = self._held, [], 0
        for transport, data in held:
            transport.write(data)
