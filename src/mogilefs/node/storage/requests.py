"""A request as it comes in, and which place of a device its URL names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from mogilefs.node import layout

if TYPE_CHECKING:
    from mogilefs.node.storage.uploads import Upload

READING = (b"GET", b"HEAD")

WANTED = frozenset(
    (
        b"content-length",
        b"content-md5",
        b"expect",
        b"host",
        b"if-modified-since",
        b"if-range",
        b"range",
        b"transfer-encoding",
    )
)
"""The headers that change an answer; the others are counted and forgotten."""

_ABSOLUTE = re.compile(r"(?i:https?)://[^/?#]*(?=[/?]|$)")


class Refusal(Exception):
    """An answer other than the one that was wanted: a status and a line for people."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text


class Request:
    """What is known of a request; its body, where nobody takes it yet, waits in ``chunks``."""

    __slots__ = (
        "chunks",
        "complete",
        "discarded",
        "head_size",
        "headers",
        "keep_alive",
        "method",
        "refusal",
        "upload",
        "url",
    )

    def __init__(self) -> None:
        self.method = b""
        self.url = b""
        self.headers: dict[bytes, bytes] = {}
        self.head_size = 0
        self.keep_alive = False
        self.chunks: list[bytes] = []
        self.complete = False
        self.discarded = 0
        self.refusal: Refusal | None = None
        self.upload: Upload | None = None

    @classmethod
    def plain(cls, url: str) -> Request:
        """A plain GET, which has no parts that matter."""
        request = cls()
        request.method, request.url = b"GET", url.encode()
        request.keep_alive = request.complete = True
        return request

    @property
    def length(self) -> int | None:
        """The promised length of the body; None where it comes in chunks of unknown number."""
        if b"transfer-encoding" in self.headers:
            return None
        return int(self.headers.get(b"content-length", b"0"))

    @property
    def expects_continue(self) -> bool:
        """Whether the sender waits for a word before it sends the body."""
        return self.headers.get(b"expect", b"").lower() == b"100-continue"

    def head(self, version: str) -> bytes:
        """The request's head, as far as it matters."""
        fields = {**self.headers, b"connection": b"keep-alive" if self.keep_alive else b"close"}
        lines = [b"%s %s HTTP/%s" % (self.method, self.url, version.encode("ascii"))]
        lines += [b"%s: %s" % field for field in fields.items()]
        return b"\r\n".join([*lines, b"", b""])

    def take(self) -> bytes:
        """What of the body has come in since the last time."""
        chunks = self.chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        return data


def place_to_read(url: bytes) -> layout.Place | None:
    """The place a GET or HEAD means; None for a directory, whose listing is never shown.

    As on the original, the query is dropped, and ``%XX``, ``//`` and ``/./`` are understood. Raises
    ``Refusal`` where MogileFS has no such name.
    """
    text = url.decode("latin-1")
    return layout.parse(text) or _place_spelled_otherwise(text)


def _place_spelled_otherwise(url: str) -> layout.Place | None:
    path = unquote(_ABSOLUTE.sub("", url, count=1).partition("?")[0], "latin-1")
    segments = path.split("/")
    if ".." in segments:
        raise Refusal(403, "Bogus URL")
    if "\0" in path:
        raise Refusal(400, "Invalid filename")
    plain = "/" + "/".join(segment for segment in segments if segment not in ("", "."))
    place = layout.parse(plain)
    if place is None and plain != "/" and layout.parse_directory(plain) is None:
        raise Refusal(404)
    return place


def place_to_change(url: bytes) -> layout.Place:
    """The place a PUT or DELETE means: spelled exactly as the tracker gave it, else ``Refusal``."""
    text = url.decode("latin-1")
    place = layout.parse(text) or layout.parse(_ABSOLUTE.sub("", text, count=1))
    if place is None:
        raise Refusal(400, "Invalid filename")
    if place.path == layout.USAGE:
        raise Refusal(403, "The node writes this file itself")
    return place
