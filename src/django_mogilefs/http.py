"""What HTTP asks of whoever serves a file: preconditions, ranges, names in headers.

Pure: strings and numbers in, a decision out. No Django, no network, no clock. The rules are
those of RFC 9110 (sections 8.8, 13 and 14) and RFC 6266/8187 for Content-Disposition.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import formatdate, parsedate_tz
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

MAX_POSITION = 2**63 - 1
"""Positions beyond this are taken as this: no file is longer, and int() refuses 4,300 digits."""

_ENTITY_TAG = re.compile(r'[ \t]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?:,[ \t,]*|$)')
_RANGES = re.compile(r"[ \t]*bytes[ \t]*=(.*)", re.IGNORECASE | re.DOTALL)
_RANGE = re.compile(r"([0-9]*)-([0-9]*)")


class Span(NamedTuple):
    """Bytes ``start`` up to, not including, ``stop`` of a file."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start


class Representation(NamedTuple):
    """What conditions are compared with: a strong ETag (quoted), a date or None, bytes."""

    etag: str
    modified: int | None
    """Seconds since 1970 (UTC); None where nothing is known of it."""
    size: int


class Decision(NamedTuple):
    """``status`` is one of 200, 206, 304, 412, 416; ``span`` the bytes that a GET gets."""

    status: int
    span: Span


NO_BYTES = Span(0, 0)


def decide(method: str, headers: Mapping[str, str], what: Representation) -> Decision:
    """Which answer a GET or HEAD for a file that exists gets (RFC 9110, 13.2.2's order).

    ``headers`` has lower-case names; absent and empty mean the same.
    """
    whole = Span(0, what.size)
    if not headers:
        return Decision(200, whole)
    if _precondition_failed(headers, what):
        return Decision(412, NO_BYTES)
    if _not_modified(headers, what):
        return Decision(304, NO_BYTES)
    asked = headers.get("range", "")
    if method != "GET" or not asked or not _if_range_holds(headers.get("if-range", ""), what):
        return Decision(200, whole)
    span = parse_range(asked, what.size)
    if span is None:
        return Decision(200, whole)
    return Decision(206, span) if span.length else Decision(416, NO_BYTES)


def _precondition_failed(headers: Mapping[str, str], what: Representation) -> bool:
    if wanted := headers.get("if-match"):
        return not matches(wanted, what.etag, weakly=False)
    unmodified_since = parse_date(headers.get("if-unmodified-since", ""))
    if unmodified_since is None or what.modified is None:
        return False
    return what.modified > unmodified_since


def _not_modified(headers: Mapping[str, str], what: Representation) -> bool:
    if known := headers.get("if-none-match"):
        return matches(known, what.etag, weakly=True)
    since = parse_date(headers.get("if-modified-since", ""))
    if since is None or what.modified is None:
        return False
    return what.modified <= since


def _if_range_holds(condition: str, what: Representation) -> bool:
    """If-Range takes one strong ETag or the very date that was sent, nothing near it."""
    condition = condition.strip()
    if not condition or condition == what.etag:
        return True
    date = parse_date(condition)
    return date is not None and date == what.modified


def matches(header: str, etag: str, *, weakly: bool) -> bool:
    """Whether an If-Match (strong comparison) or If-None-Match (weak) header names the ETag.

    A header that is no list of entity tags from its beginning to its end matches nothing.
    """
    if header.strip() == "*":
        return True
    position, found = 0, False
    header = header.lstrip(" \t,")
    while position < len(header):
        tag = _ENTITY_TAG.match(header, position)
        if tag is None:
            return False
        found = found or (f'"{tag[2]}"' == etag and (weakly or not tag[1]))
        position = tag.end()
    return found


def parse_range(header: str, size: int) -> Span | None:
    """The span that a Range header asks of a file of that size.

    None where the whole file is to be sent: another unit, a malformed header, or several
    ranges (one body whole is allowed, and no browser needs more). An empty span where the
    header is fine and no byte of it exists: 416.
    """
    unit = _RANGES.fullmatch(header)
    wanted = [part.strip(" \t") for part in unit[1].split(",")] if unit else []
    wanted = [part for part in wanted if part]
    only = _RANGE.fullmatch(wanted[0]) if len(wanted) == 1 else None
    if only is None or only[0] == "-":
        return None
    first, last = only.groups()
    if not first:
        return _span(size - min(_position(last), size), size, size)
    if last and _position(last) < _position(first):
        return None
    return _span(_position(first), _position(last) + 1 if last else size, size)


def is_plain_range(header: str) -> bool:
    """Whether a Range header has the one form that any server reads alike: ``bytes=5-[9]``."""
    return re.fullmatch(r"bytes=[0-9]{1,18}-[0-9]{0,18}", header) is not None


def _position(digits: str) -> int:
    return min(int(digits), MAX_POSITION) if len(digits) < 20 else MAX_POSITION


def _span(start: int, stop: int, size: int) -> Span:
    return Span(start, min(stop, size)) if start < size else NO_BYTES


def content_range(span: Span, size: int) -> str:
    """The value of Content-Range on a 206, or (for an empty span) on a 416."""
    return f"bytes {span.start}-{span.stop - 1}/{size}" if span.length else f"bytes */{size}"


def parse_date(text: str) -> int | None:
    """Seconds since 1970 of an HTTP date in any of its three forms; None for anything else."""
    parsed = parsedate_tz(text)
    if parsed is None:
        return None
    try:
        return int(datetime(*parsed[:6], tzinfo=timezone.utc).timestamp()) - (parsed[9] or 0)
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=1024)  # hot files are dated again and again
def format_date(seconds: int) -> str:
    """An HTTP date for seconds since 1970."""
    return formatdate(seconds, usegmt=True)


def content_disposition(filename: str, *, attachment: bool = True) -> str:
    """A Content-Disposition with any name: quoted where it is plain, RFC 8187 where not.

    Control characters (line ends among them) and path separators never come through.
    """
    kind = "attachment" if attachment else "inline"
    name = re.sub(r"[\x00-\x1f\x7f-\x9f/\\]", "_", filename).strip()
    if not name:
        return kind
    plain = re.sub(r'[^\x20-\x7e]|["%]', "_", name)
    fallback = f'{kind}; filename="{plain}"'
    if plain == name:
        return fallback
    encoded = quote(name.encode("utf-8", "surrogateescape"), safe="!#$&+-.^_`|~")
    return f"{fallback}; filename*=utf-8''{encoded}"
