"""The storage door itself: where it listens, who may come in, how many, and for how long."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter

from mogilefs.node.devices import Devices
from mogilefs.node.listening import stop_listening
from mogilefs.node.networks import Networks
from mogilefs.node.openfiles import clients
from mogilefs.node.outbox import Outbox
from mogilefs.node.storage.connection import Connection
from mogilefs.node.storage.hotfiles import HotFiles
from mogilefs.node.storage.incoming import Incoming
from mogilefs.node.storage.limits import Limits

BUFFER = 256 * 1024
"""Bytes read from a connection at once. All share one buffer, for each read is used up at once."""

STOP_SECONDS = 5.0
"""How long what is under way may take to end when the door is stopped."""

FILES_EACH = 2
"""Open files of one client: its connection, and the file that it reads or writes."""

log = logging.getLogger(__name__)


class StorageDoor:
    """Serves the files of ``devices`` over HTTP, as MogileFS's storage node does."""

    def __init__(
        self,
        devices: Devices,
        *,
        networks: Networks | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Without ``networks`` only this machine may talk."""
        self.devices = devices
        self.limits = limits or Limits()
        self.buffer = bytearray(BUFFER)
        self.outbox = Outbox()
        self.hot_files = HotFiles(devices)
        self.loop: asyncio.AbstractEventLoop
        self.answers: Counter[tuple[bytes, bytes]] = Counter()
        """How many requests were answered, by method (empty: unreadable) and status."""
        self._networks = networks or Networks()
        self._connections: set[Incoming] = set()
        self._server: asyncio.Server | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen, on a free port for 0; returns host and port as bound. Raises ``OSError``."""
        self.loop = asyncio.get_running_loop()
        self._most = clients(self.limits.connections, FILES_EACH)
        self._server = await self.loop.create_server(
            lambda: Connection(self), host, port, backlog=1024
        )
        self._tick()
        bound: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
        return bound

    async def stop(self) -> None:
        """Listen no more and end what is under way, within STOP_SECONDS. May be repeated."""
        if self._server is None:
            return
        server, self._server = self._server, None
        await stop_listening(server)
        self.outbox.flush()
        for connection in tuple(self._connections):
            connection.finish()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._wait_until_empty(), STOP_SECONDS)
        for connection in tuple(self._connections):
            connection.abort()
        if self._clock:
            self._clock.cancel()
        self.hot_files.close()
        await server.wait_closed()

    async def _wait_until_empty(self) -> None:
        while self._connections:
            self._empty.clear()
            await self._empty.wait()

    def _tick(self) -> None:
        now = self.loop.time()
        for connection in tuple(self._connections):
            connection.look(now)
        self.hot_files.grow_old()
        self._clock = self.loop.call_later(self.limits.look_seconds, self._tick)

    # For connections

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    def enter(self, connection: Incoming) -> None:
        """Let a client in, or send it away."""
        if not self._networks.allows(connection.peer):
            log.warning("%s may not talk to the storage door: closed", connection.peer)
            connection.abort()
            return
        self._connections.add(connection)
        if len(self._connections) > self._most:
            log.warning("%s turned away: %s connections", connection.peer, self._most)
            connection.turn_away()

    def leave(self, connection: Incoming) -> None:
        """Forget a client that is gone."""
        self._connections.discard(connection)
        self._empty.set()

    def note(self, method: bytes, reply: bytes) -> None:
        """Count an answer, whose status stands in its first line."""
        self.answers[method, reply[9:12]] += 1
