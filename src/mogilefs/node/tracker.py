"""The tracker door: MogileFS's line protocol over TCP.

Requests of one connection are answered strictly in order; a client may send ahead. Commands that
only read answer at once on the event loop; those that write or wait run as a task, and the
connection's later lines wait for it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import deque
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from ..errors import ProtocolError
from ..wire import Err, LineBuffer, Request, decode_request, encode_ok, encode_reply, to_text
from .commands import COMMANDS, CommandError, Context, Values
from .commands.files import rename_ahead
from .commands.manage import manage
from .eager import begin
from .listening import stop_listening
from .openfiles import clients
from .outbox import Outbox
from .stats import RECENT_BYTES, TrackerStats
from .watch import MAX_UNREAD, Watchers

if TYPE_CHECKING:
    from .node import Node

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 4096
"""Clients at once; each costs some 10 KB, and an open file. One more is closed."""

MAX_LINES_AHEAD = 1024
"""Requests read but not answered on one connection; beyond it the socket is not read."""

MAX_BYTES_AHEAD = 2**20
"""The same in bytes, for long requests."""

MAX_HELD_BYTES = 64 * 2**20
"""Bytes of unfinished lines in all connections together; who goes beyond it is closed."""

REPLY_BYTES = 256 * 2**10
"""Bytes of replies to one connection in one go; then the others have their turn, and what is
written is looked at: ten bytes of a request may ask for a megabyte."""

REPLIES = 64
"""The same in lines."""

READ_BYTES = 64 * 2**10
"""Bytes read from a connection at once. All share one buffer, for each read is used up at once."""

LINE_SECONDS = 120.0
"""How long a client may take to finish a line it has begun, or to read its replies."""

IDLE_SECONDS = 3600.0
"""A connection that asks nothing for that long is closed (clients simply connect again)."""

SWEEP_SECONDS = 15.0

_MANAGE = re.compile(rb"!\S+(\s.+)?", re.DOTALL)
"""A ``!`` command: a word at once behind the mark, and perhaps something behind the word."""


class TrackerDoor:
    """Listens, and keeps the connections."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.stats = TrackerStats()
        self.outbox = Outbox()
        self.watchers = Watchers()
        self.connections: set[TrackerConnection] = set()
        self.buffer = memoryview(bytearray(READ_BYTES))
        self.most = MAX_CONNECTIONS
        self.held = 0
        """Bytes of lines that are not complete yet."""
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; returns the address as bound."""
        loop = asyncio.get_running_loop()
        self.most = clients(MAX_CONNECTIONS, files_each=1)
        self._server = await loop.create_server(
            lambda: TrackerConnection(self), host, port, backlog=1024
        )
        self._sweeper = asyncio.create_task(self._sweep(), name="tracker-sweep")
        bound: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
        return bound

    async def stop(self) -> None:
        """Stop listening, let the commands that run finish, close every connection."""
        if self._server is not None:
            await stop_listening(self._server)
            self._server = None
        if self._sweeper is not None:
            self._sweeper.cancel()
        running = [c.running for c in self.connections if c.running is not None]
        if running:
            await asyncio.wait(running, timeout=10)
        for connection in list(self.connections):
            connection.close()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = time.monotonic()
            for connection in list(self.connections):
                connection.close_if_stuck(now)


class TrackerConnection(asyncio.BufferedProtocol):
    """One client."""

    def __init__(self, door: TrackerDoor) -> None:
        self._door = door
        self._buffer = LineBuffer()
        self._lines: deque[bytes] = deque()
        self._ahead = 0
        self._held = 0
        self._writable = True
        self._reading = True
        self._closing = False
        self._since = self._line_since = time.monotonic()
        self.running: asyncio.Task[None] | None = None
        self.context = Context(door.node, None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        peer = transport.get_extra_info("peername")
        self.context.peer = peer[0] if isinstance(peer, tuple) else None
        if not self._door.node.networks.allows(self.context.peer or ""):
            log.warning("%s may not talk to the tracker: closed", self.context.peer)
            transport.abort()
            return
        if len(self._door.connections) >= self._door.most:
            log.warning("%s turned away: %d connections", self.context.peer, self._door.most)
            transport.abort()
            return
        self._door.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._door.connections.discard(self)
        self._door.watchers.discard(self)
        self._lines.clear()
        self._closing = True
        self._door.held -= self._held
        self._held = 0

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._door.buffer

    def buffer_updated(self, size: int) -> None:
        self._since = time.monotonic()
        try:
            self._take(self._door.buffer[:size].tobytes())
        except ProtocolError as error:
            log.warning("closed %s: %s", self.context.peer, error)
            self._door.outbox.reply(self.transport, encode_reply(Err("bad_params", str(error))))
            self.close()
            return
        if self.running is None:
            self._advance()
        if self._reading and self._is_far_ahead():
            self._reading = False
            self.transport.pause_reading()

    def _take(self, data: bytes) -> None:
        lines = self._buffer.feed(data)
        self._lines.extend(lines)
        self._ahead += sum(map(len, lines))
        if lines or not self._held:
            self._line_since = self._since
        held = len(self._buffer)
        self._door.held += held - self._held
        self._held = held
        if self._door.held > MAX_HELD_BYTES and held > len(data):
            raise ProtocolError(f"over {MAX_HELD_BYTES} bytes of unfinished lines are held already")

    def _is_far_ahead(self) -> bool:
        return len(self._lines) > MAX_LINES_AHEAD or self._ahead > MAX_BYTES_AHEAD

    def eof_received(self) -> bool:
        """A client that has said all it has to say still gets its answers."""
        self._closing = True
        if self.running is None:
            self._advance()
        return self.running is not None or bool(self._lines)

    def pause_writing(self) -> None:
        self._writable = False
        self._since = time.monotonic()

    def resume_writing(self) -> None:
        self._writable = True
        if self.running is None:
            self._advance()

    def close(self) -> None:
        """Send what is written, then close."""
        self._door.outbox.flush()
        self.transport.close()

    def watch(self) -> bool:
        """Begin or end to be told what is logged; returns whether it began."""
        watchers = self._door.watchers
        if self in watchers:
            watchers.discard(self)
            return False
        watchers.add(self, self._tell)
        return True

    def _tell(self, line: bytes) -> None:
        if self.transport.get_write_buffer_size() < MAX_UNREAD:
            self._door.outbox.reply(self.transport, line)

    def close_if_stuck(self, now: float) -> None:
        """Drop a client that neither asks, nor finishes its line, nor reads its replies."""
        if self.running is not None or self in self._door.watchers:
            return
        idle = now - self._since
        slow = now - self._line_since if self._held else 0.0
        if max(slow, 0.0 if self._writable else idle) > LINE_SECONDS:
            log.info("closed %s: too slow", self.context.peer)
        elif idle > IDLE_SECONDS:
            log.info("closed %s: idle", self.context.peer)
        else:
            return
        self.transport.abort()

    def _advance(self, *answered: bytes) -> None:
        """Answer the lines that wait, until one has to wait itself."""
        replies, size = list(answered), 0
        while self._lines and self._writable and not self.transport.is_closing():
            if size > REPLY_BYTES or len(replies) > REPLIES:
                asyncio.get_running_loop().call_soon(self._go_on)
                break
            line = self._lines.popleft()
            self._ahead -= len(line)
            if self._lines and line.startswith(b"create_close "):
                self.context.ahead = rename_ahead(self.context, self._lines[0])
            answer = self._answer(line)
            if not isinstance(answer, bytes):
                self.running = asyncio.create_task(self._finish(answer))
                break
            replies.append(answer)
            size += len(answer)
        if replies:
            self._door.outbox.reply(self.transport, b"".join(replies))
        if not self._reading and not self._is_far_ahead() and not self._closing:
            self._reading = True
            self.transport.resume_reading()
        if self._closing and self.running is None and not self._lines:
            self.close()

    def _go_on(self) -> None:
        if self.running is None:
            self._advance()

    async def _finish(self, answer: Awaitable[bytes]) -> None:
        reply = await answer
        self.running = None
        if not self.transport.is_closing():
            self._advance(reply)

    def _answer(self, line: bytes) -> bytes | Awaitable[bytes]:
        """The reply to a line, or what will become one. An empty line gets none."""
        if line.startswith(b"!") and _MANAGE.fullmatch(line):
            return manage(self._door, self, to_text(line[1:]))
        if not line:
            return b""
        started = time.perf_counter()
        request = decode_request(line)
        stats = self._door.stats
        stats.queries += 1
        command = COMMANDS.get(request.command)
        if command is None:
            return self._reply(request, line, started, _unknown(request))
        try:
            result = command(self.context, request)
        except Exception as error:  # noqa: BLE001  # a command's failure never ends the connection
            return self._reply(request, line, started, _error(request, error))
        if isinstance(result, dict):
            return self._reply(request, line, started, result)
        return begin(self._wait(request, line, started, result))

    async def _wait(
        self, request: Request, line: bytes, started: float, result: Awaitable[Values]
    ) -> bytes:
        try:
            values: Values | Err = await result
        except Exception as error:  # noqa: BLE001  # a command's failure never ends the connection
            values = _error(request, error)
        return self._reply(request, line, started, values)

    def _reply(self, request: Request, line: bytes, started: float, result: Values | Err) -> bytes:
        callid = request.args.get("callid")
        seconds = time.perf_counter() - started
        stats = self._door.stats
        stats.recent.append((self.context.peer or "", line[:RECENT_BYTES], seconds))
        if isinstance(result, dict):
            stats.note(request.command, seconds, ok=True)
            return encode_ok(result, callid)
        if result.code != "unknown_command":
            stats.note(request.command, seconds, ok=False)
        return encode_reply(Err(result.code, result.text, callid))


def _unknown(request: Request) -> Err:
    return Err("unknown_command", "Unknown server command")


def _error(request: Request, error: Exception) -> Err:
    if isinstance(error, CommandError):
        return Err(error.code, error.text)
    log.error("%s failed: %s: %s", request.command, type(error).__name__, error, exc_info=error)
    return Err("failure", f"{request.command} failed: {type(error).__name__}")
