"""What comes in from one client of the storage door, and how long one waits for it."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections import deque
from typing import TYPE_CHECKING

import httptools

from mogilefs.node.storage import replies
from mogilefs.node.storage.plain import MAX_HEAD
from mogilefs.node.storage.requests import WANTED, Refusal, Request

if TYPE_CHECKING:
    from mogilefs.node.storage.door import StorageDoor

log = logging.getLogger(__name__)


class Incoming(asyncio.BufferedProtocol):
    """Parses what arrives into requests, and drops who is too slow, too long or no HTTP.

    ``busy`` says that the first request waits for a disk or a reader; meanwhile nothing is read, so
    that no more than one read's worth of bytes is ever kept in memory.
    """

    def __init__(self, door: StorageDoor) -> None:
        self._door = door
        self._limits = door.limits
        self._plain_head = min(MAX_HEAD, door.limits.head)
        self._loop = door.loop
        self._devices = door.devices
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Request] = deque()
        self._request = Request()
        self._in_head = False
        self._between = True
        self._begun = 0
        self._body_came = False
        self._unfinished_bytes = 0
        self._busy = False
        self._writable = True
        self._reading = True
        self._closing = False
        self._lingering = False
        self._lost = False
        self._broken: Refusal | None = None
        self._task: asyncio.Task[None] | None = None
        self._look_anew()
        self.peer = "?"

    # Called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.peer = str((transport.get_extra_info("peername") or "?")[0])
        self._door.enter(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        self._door.leave(self)
        if not self._busy:
            self._release()

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._door.buffer

    def buffer_updated(self, size: int) -> None:
        if self._closing:
            return
        if self._is_idle() and self._answer_plain(size):
            return
        self._received += size
        began_here, self._begun, self._body_came = self._between, 0, False
        self._parse(memoryview(self._door.buffer)[:size])
        self._count_unfinished(size, began_here and self._begun == 1)
        if self._unfinished_bytes > self._limits.head:
            self._break(Refusal(431))
        self._advance()

    def _count_unfinished(self, size: int, alone: bool) -> None:
        """Bytes of a head, or of what stands behind the last chunk, that the parser has to keep.

        ``alone``: all that came is of one message. Where one ended in front of it, nobody knows how
        much of that is another's, and it counts from the next read on.
        """
        if self._between or self._body_came:
            self._unfinished_bytes = 0
        elif self._begun:
            self._unfinished_bytes = size if alone and self._in_head else 0
        else:
            self._unfinished_bytes += size

    def _parse(self, data: memoryview) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._break(Refusal(400))

    def _ignore_upgrade(self, rest: memoryview) -> None:
        """Go on after the head of a request that would like another protocol.

        A server may ignore that wish (RFC 9110, 7.8), but the parser then leaves the body out: so
        the head is parsed anew without it.
        """
        request = self._queue[-1]
        if request.method == b"CONNECT":  # which wants nothing else
            self._break(Refusal(400))
            return
        self._queue.pop()
        head = request.head(self._parser.get_http_version())
        self._parser = httptools.HttpRequestParser(self)
        self._parse(memoryview(head))
        self._parse(rest)

    def _is_idle(self) -> bool:
        """Whether nothing has been asked that is not answered, and no request has begun."""
        return not (self._queue or self._in_head or self._broken) and self._writable

    def eof_received(self) -> bool:
        """A client that says no more is still answered what it asked for."""
        if self._closing or not self._queue or not self._queue[-1].complete:
            return False
        self._queue[-1].keep_alive = False
        self._flow()
        return True

    def pause_writing(self) -> None:
        self._writable = False
        self._since = self._loop.time()

    def resume_writing(self) -> None:
        self._writable = True
        self._since = self._loop.time()
        self._advance()

    # Called by the parser

    def on_message_begin(self) -> None:
        self._request = Request()
        self._in_head = True
        self._between = False
        self._begun += 1
        if not self._queue:
            self._look_anew()

    def on_url(self, url: bytes) -> None:
        self._request.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:  # behind a body in chunks, where nothing is that is wanted
            return
        request = self._request
        request.head_size += len(name) + len(value)
        name = name.lower()
        if name in WANTED:
            request.headers[name] = value

    def on_headers_complete(self) -> None:
        request, parser = self._request, self._parser
        request.method = parser.get_method()
        request.keep_alive = parser.should_keep_alive()
        request.refusal = self._objection(request, parser.get_http_version())
        self._in_head = False
        self._queue.append(request)

    def _objection(self, request: Request, version: str) -> Refusal | None:
        if len(request.url) > self._limits.url:
            return Refusal(414)
        if request.head_size > self._limits.head:
            return Refusal(431)
        if request.headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
            return Refusal(400, "The only transfer coding understood is chunked")
        if version == "1.0" or (version == "1.1" and b"host" in request.headers):
            return None
        return Refusal(400, "HTTP/1.0, or HTTP/1.1 with a Host header, is spoken here")

    def on_body(self, data: bytes) -> None:
        self._body_came = True
        self._request.chunks.append(data)

    def on_message_complete(self) -> None:
        self._between = True
        self._request.complete = True

    # Called by the door

    def finish(self) -> None:
        """Take no further request; close when what is under way has been answered."""
        for request in self._queue:
            request.keep_alive = False
        if not self._queue:
            self._closing = True
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._closing = True
        if self._task:  # it closes when it has taken its hands off the socket
            self._task.cancel()
        else:
            self._transport.abort()

    def turn_away(self) -> None:
        """Close with the answer that there are too many connections."""
        self._closing = True
        self._transport.write(replies.page(503, "Too many connections", keep_alive=False))
        self._transport.close()

    def look(self, now: float) -> None:
        """Drop the client where it has been too slow."""
        limits, waited = self._limits, now - self._since
        if self._closing:
            patience = limits.linger_seconds if self._lingering else limits.write_seconds
            self._drop_if(waited > patience, "did not read its last reply")
        elif self._task or not self._writable:
            self._drop_if(waited > limits.write_seconds, "does not read its reply")
        elif self._busy:
            self._look_anew()
        elif self._queue:
            self._look_at_body(waited)
        elif self._in_head:
            self._break_if(waited > limits.head_seconds)
        elif waited > limits.idle_seconds:
            self.finish()

    def _look_at_body(self, waited: float) -> None:
        if waited < self._limits.body_seconds:
            return
        self._break_if(self._received < waited * self._limits.body_rate)
        self._look_anew()

    def _look_anew(self) -> None:
        self._since = self._loop.time()
        self._received = 0

    def _drop_if(self, slow: bool, why: str) -> None:
        if slow:
            log.info("%s dropped: it %s", self.peer, why)
            self.abort()

    def _break_if(self, slow: bool) -> None:
        if slow:
            log.info("%s dropped: it sends too slowly", self.peer)
            self._break(Refusal(408))
            self._advance()

    # Ending

    def _break(self, refusal: Refusal) -> None:
        """Read no further: answer what was asked before, then this, and close."""
        self._broken = self._broken or refusal

    def _refuse_and_close(self, refusal: Refusal) -> None:
        """Answer now and read on for a while, so that the answer is seen and no reset instead."""
        self._closing = self._lingering = True
        self._since = self._loop.time()
        reply = replies.page(refusal.status, refusal.text, keep_alive=False)
        self._door.note(self._request.method, reply)
        self._door.outbox.flush()
        self._transport.write(reply)
        self._transport.write_eof()

    def _flow(self) -> None:
        """Read from the client only while what it sends can be used."""
        reading = not self._busy and self._writable
        if reading != self._reading and not self._lost and not self._transport.is_closing():
            self._reading = reading
            (self._transport.resume_reading if reading else self._transport.pause_reading)()

    @abstractmethod
    def _answer_plain(self, size: int) -> bool:
        """Answer at once what has come, if that is a plain request; else nothing has happened."""

    @abstractmethod
    def _advance(self) -> None:
        """Do all that can be done without waiting."""

    @abstractmethod
    def _release(self) -> None:
        """Give back what the requests that nobody waits for any more hold."""
