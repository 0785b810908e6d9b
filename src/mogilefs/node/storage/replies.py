"""The bytes of the storage door's replies, and the dates in them."""

from __future__ import annotations

import time
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache

REASONS = {
    200: "OK",
    201: "Created",
    204: "No Content",
    206: "Partial Content",
    304: "Not Modified",
    400: "Bad request",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    507: "Insufficient Storage",
}

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_STARTS = {
    status: f"HTTP/1.1 {status} {reason}\r\nDate: ".encode() for status, reason in REASONS.items()
}
_CONNECTION = {True: b"keep-alive", False: b"close"}


@lru_cache(4096)
def http_date(seconds: int) -> bytes:
    """A time in unix seconds as HTTP writes it."""
    return formatdate(seconds, usegmt=True).encode()


@lru_cache(256)
def parse_http_date(text: bytes) -> float | None:
    """The unix seconds of a date in HTTP's form; None for anything else."""
    try:
        return parsedate_to_datetime(text.decode("latin-1")).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def head(status: int, fields: bytes, keep_alive: bool) -> bytes:
    """A status line and headers; ``fields`` are whole lines, each with its line end."""
    date = http_date(int(time.time()))
    connection = _CONNECTION[keep_alive]
    return b"%b%b\r\n%bConnection: %b\r\n\r\n" % (_STARTS[status], date, fields, connection)


def page(status: int, text: str = "", *, keep_alive: bool, body: bool = True) -> bytes:
    """A whole reply with a line or two for people; ``body=False`` answers HEAD."""
    fields, content = _lines(status, text)
    return head(status, fields, keep_alive) + (content if body else b"")


@lru_cache(256)
def _lines(status: int, text: str) -> tuple[bytes, bytes]:
    """The headers that a page has of its own, and its content."""
    if status == 204:
        return b"", b""
    content = f"<h1>{status} - {REASONS[status]}</h1>\n{text}".encode("latin-1")
    return b"Content-Type: text/html\r\nContent-Length: %d\r\n" % len(content), content


def file_head(
    size: int, modified: int, window: tuple[int, int] | None, keep_alive: bool
) -> tuple[bytes, int, int]:
    """The head of a file's reply, and which bytes of it follow: the first, and how many."""
    start, stop = window or (0, size)
    fields = (
        b"Last-Modified: %b\r\nAccept-Ranges: bytes\r\n"
        b"Content-Type: text/plain\r\nContent-Length: %d\r\n"
    ) % (http_date(modified), stop - start)
    if window:
        fields += b"Content-Range: bytes %d-%d/%d\r\n" % (start, stop - 1, size)
    return head(206 if window else 200, fields, keep_alive), start, stop - start


def not_modified(modified: int, keep_alive: bool) -> bytes:
    """The reply to a client whose copy is still good."""
    return head(304, b"Last-Modified: %b\r\n" % http_date(modified), keep_alive)


def unsatisfiable(size: int, modified: int, keep_alive: bool) -> bytes:
    """The reply to a range outside the file; it tells the file's size."""
    fields = (
        b"Last-Modified: %b\r\nAccept-Ranges: bytes\r\n"
        b"Content-Range: bytes */%d\r\nContent-Length: 0\r\n"
    ) % (http_date(modified), size)
    return head(416, fields, keep_alive)
