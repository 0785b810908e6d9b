"""As much of HTTP/1.x as a storage node speaks, over a driver's links.

Storage nodes answer GET, HEAD and PUT with a Content-Length, some of them in HTTP/1.0 with
keep-alive. Reading that ourselves takes a third of the time that http.client takes for it.
"""

from __future__ import annotations

import functools
import re
from functools import partial
from typing import NamedTuple

from .config import Address
from .content import Content
from .errors import ContentMismatch, ProtocolError
from .pool import Health, Pool
from .steps import BULK, CHUNK, Link, Network, Op

MAX_HEAD_BYTES = 64 * 1024
"""The longest status line and headers; storage nodes send some hundred bytes."""

SMALL_BODY = 64 * 1024
"""A body of up to so many bytes travels in one piece with its head, or is read to its end to
keep the connection; a larger one that nobody wants costs the connection."""

_URL = re.compile(
    r"http://(?P<host>\[[^\]]+\]|[^/:@\[\]]+)(?::(?P<port>[0-9]{1,5}))?(?P<path>/[!-~]*)"
)
MAX_LENGTH_DIGITS = 19
"""Digits of a Content-Length, enough for 2^63."""

_STATUS = re.compile(rb"HTTP/1\.([01]) (\d{3})(?: [^\r\n]*)?\r\n")

_FRAMING = re.compile(rb"\r\n(connection|content-length|transfer-encoding):[ \t]*([^\r\n]*)")
"""The headers, in lower case, that tell where a response ends and what comes after it."""


class Url(NamedTuple):
    """A replica's URL in its parts."""

    address: Address
    path: str
    host: str


@functools.lru_cache(maxsize=1024)
def parse_url(url: str) -> Url:
    """The parts of a URL that a tracker gave. Raises ProtocolError if it is none."""
    match = _URL.fullmatch(url)
    port = int(match["port"] or 80) if match else 0
    if match is None or not 0 < port < 65536:
        raise ProtocolError(f"not a URL on a storage node: {url!r}")
    host = match["host"]
    return Url(Address(host.strip("[]"), port), match["path"], f"{host}:{port}")


class Head:
    """A response's status and headers, its Content-Length, and whether the connection stays.

    ``data`` are its lines, each with its end, without the empty line. Raises ProtocolError for
    what is no response, or one whose body ends otherwise than a storage node's does.
    """

    __slots__ = ("_data", "keep_alive", "length", "status")

    def __init__(self, data: bytes) -> None:
        match = _STATUS.match(data)
        if match is None:
            raise ProtocolError(f"not an HTTP response: {data[:80]!r}")
        version, status = match.groups()
        self._data, self.status = data, int(status)
        self.keep_alive = version == b"1"
        self.length: int | None = None
        for name, value in _FRAMING.findall(data.lower()):
            if name == b"connection":
                self._take_connection(value.rstrip())
            elif name == b"content-length":
                self._take_length(value.rstrip())
            else:
                raise ProtocolError("a storage node's answer must have a Content-Length")

    def _take_connection(self, value: bytes) -> None:
        self.keep_alive = value != b"close" if self.keep_alive else value == b"keep-alive"

    def _take_length(self, value: bytes) -> None:
        if not value.isdigit() or len(value) > MAX_LENGTH_DIGITS:
            raise ProtocolError(f"not a Content-Length: {value[:80]!r}")
        length = int(value)
        if self.length is not None and self.length != length:
            raise ProtocolError("two different Content-Length headers")
        self.length = length

    def header(self, name: str) -> str:
        """A header's value, ``""`` where there is none."""
        found = re.search(rf"\r\n{name}:([^\r\n]*)", self._data.decode("latin-1"), re.IGNORECASE)
        return found[1].strip() if found else ""


class Response:
    """A response whose body is read as it comes. Its connection goes back to the pool at the end.

    The body ends after ``length`` bytes; with no length, when the server closes.
    """

    def __init__(self, http: Http, address: Address, link: Link, head: Head, early: bytes) -> None:
        self.status, self.header, self.length = head.status, head.header, head.length
        self._left = self.length
        self._http, self._address, self._head = http, address, head
        self._link: Link | None = link
        self._early = early

    def empty(self) -> Response:
        """This response has no body, whatever its headers say (HEAD, 204)."""
        self._left = 0
        self._finish()
        return self

    def read(self, limit: int = CHUNK) -> Op[bytes]:
        """The next bytes of the body, ``b""`` at its end. Raises OSError where it breaks off."""
        if self._link is None:
            return b""
        if self._left == 0:
            self._finish()
            return b""
        if self._early:
            data, self._early = self._early[:limit], self._early[limit:]
        else:
            try:
                data = yield partial(self._link.receive, limit)
            except TimeoutError:
                self._http.health.failed(self._address)
                raise
        return self._count(data)

    def _count(self, data: bytes) -> bytes:
        if self._left is None:
            if not data:
                self.close()
            return data
        if not data:
            self.close()
            raise ConnectionResetError(f"closed {self._left} bytes before the end")
        if len(data) > self._left:
            data, self._early = data[: self._left], data[self._left :] + self._early
        self._left -= len(data)
        if not self._left:
            self._finish()
        return data

    def skip(self) -> Op[None]:
        """Read a small body to its end, so that the connection can be kept; close a large one."""
        if self._left is None or self._left > SMALL_BODY:
            self.close()
        try:
            while self._link is not None:
                yield from self.read()
        except BaseException:
            self.close()
            raise

    def _finish(self) -> None:
        link, self._link = self._link, None
        if link is None:
            return
        if self._head.keep_alive and not self._early:
            self._http.pool.give(self._address, link)
        else:
            link.close()

    def close(self) -> None:
        """Throw the connection away unless the body was read to its end."""
        link, self._link = self._link, None
        if link is not None:
            link.close()


class Http:
    """Requests to storage nodes over kept connections."""

    def __init__(self, network: Network) -> None:
        self.pool = Pool()
        self.health = Health()
        self._network = network
        self.tears = not network.awaits
        """Whether bytes are lost where an exception ends a wait, as a signal's handler raises."""

    def pause(self, url: str) -> float:
        """Seconds for which the URL's server is not to be asked, because it failed lately."""
        try:
            return self.health.pause(parse_url(url).address)
        except ProtocolError:
            return 0.0

    def get(self, url: str, start: int = 0, stop: int | None = None) -> Op[Response]:
        """The response to GET, asking for the bytes from ``start`` to before ``stop`` only."""
        ranged = start or stop is not None
        wanted = f"Range: bytes={start}-{'' if stop is None else stop - 1}\r\n" if ranged else ""
        return (yield from self._request("GET", url, wanted))

    def head(self, url: str) -> Op[Response]:
        """The response to HEAD; it has no body."""
        response = yield from self._request("HEAD", url)
        return response.empty()

    def put(self, url: str, content: Content, size: int) -> Op[Response]:
        """The response to PUT of ``content`` from its beginning, which is ``size`` bytes long."""
        length = f"Content-Length: {size}\r\n"
        return (yield from self._request("PUT", url, length, content, size))

    def _request(
        self,
        method: str,
        url: str,
        headers: str = "",
        content: Content | None = None,
        size: int = 0,
    ) -> Op[Response]:
        parts = parse_url(url)
        head = f"{method} {parts.path} HTTP/1.1\r\nHost: {parts.host}\r\n{headers}\r\n".encode()
        address = parts.address
        while (link := self.pool.take(address)) is not None:
            try:
                return (yield from self._talk(address, link, head, content, size))
            except (ConnectionError, ProtocolError):
                # A kept connection may have ended unseen. GET, HEAD and PUT can be sent again.
                continue
            except TimeoutError:
                self.health.failed(address)
                raise
        self.health.asking(address)
        try:
            link = yield partial(self._network.connect, *address)
            response = yield from self._talk(address, link, head, content, size)
        except OSError:
            self.health.failed(address)
            raise
        if not self.health.all_well:
            self.health.answered(address)
        return response

    def _talk(
        self, address: Address, link: Link, head: bytes, content: Content | None, size: int
    ) -> Op[Response]:
        try:
            if content is None:
                data = yield partial(link.exchange, head)
            else:
                data = yield from _send(link, head, content, size)
            return (yield from self._response(address, link, data))
        except BaseException:
            link.close()
            raise

    def _response(self, address: Address, link: Link, data: bytes) -> Op[Response]:
        while True:
            end = data.find(b"\r\n\r\n")
            if end >= 0:
                head = Head(data[: end + 2])
                data = data[end + 4 :]
                if head.status >= 200:
                    return Response(self, address, link, head, data)
                continue
            if len(data) > MAX_HEAD_BYTES:
                raise ProtocolError(f"headers of more than {MAX_HEAD_BYTES} bytes")
            more = yield link.receive
            if not more:
                raise ConnectionResetError("closed the connection before it had answered")
            data += more


def _send(link: Link, head: bytes, content: Content, size: int) -> Op[bytes]:
    """Send a request and its body; the first bytes of the answer.

    Head and last chunk travel with their neighbours, so a small file is one packet. One more
    byte is asked of the content, so that a file that grew is noticed before the request is whole.
    """
    pending, left = head, size
    yield from content.rewind()
    while left:
        chunk = yield from content.read(min(left, BULK))
        if not chunk:
            raise ContentMismatch(f"the content ended after {size - left} of {size} bytes")
        left -= len(chunk)
        if left:
            yield partial(link.send, pending + chunk)
            pending = b""
        else:
            pending += chunk
    if (yield from content.read(1)):
        raise ContentMismatch(f"the content goes on after its {size} bytes")
    answer: bytes = yield partial(link.exchange, pending)
    return answer
