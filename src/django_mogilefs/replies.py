"""What a served file's reply says, as a plain value: no request, no response, no network.

The view turns a Reply into Django's response; a front may take its body over.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from mimetypes import guess_type
from typing import NamedTuple

from .http import (
    Decision,
    Representation,
    Span,
    content_disposition,
    content_range,
    decide,
    format_date,
)
from .pathcache import Place

ACTIVE_TYPES: frozenset[str] = frozenset(
    {
        "text/html",
        "text/xml",
        "application/xml",
        "text/xsl",
        "multipart/x-mixed-replace",
        "message/rfc822",
    }
)
"""Types whose content runs or loads things when a browser opens it as a page. Whatever ends in
``+xml``, as XHTML and SVG do, is one too. PDF is not, by default: a sandbox keeps browsers' PDF
viewers from opening it, and those run it apart from the page anyway."""

SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""The Content-Security-Policy of an active type: it is shown, and does nothing."""

HASHED_NAME = re.compile(r"\.[0-9a-f]{12}(?:\.[^./]*)?$")
"""A key as Django's ManifestFilesMixin names it: such a name never gets other bytes."""

YEAR = 365 * 24 * 60 * 60

# A compressed file is sent as what it is: nobody asked for the unpacked one.
_COMPRESSED = {
    "br": "application/x-brotli",
    "bzip2": "application/x-bzip2",
    "compress": "application/x-compress",
    "gzip": "application/gzip",
    "xz": "application/x-xz",
}


@dataclass(frozen=True)
class Policy:
    """How files are presented to browsers; the settings ``MOGILEFS_…`` of the same names."""

    cache_control: str | None = None
    """Cache-Control of public files; None for no header."""
    hashed_keys: bool = False
    """Whether keys that look hashed never change: they are cached for a year, ``immutable``."""
    active_content: str = "sandbox"
    """What becomes of ACTIVE_TYPES: ``sandbox``, ``attachment``, or ``inline`` (trusted)."""
    active_types: Collection[str] = ACTIVE_TYPES
    default_content_type: str = "application/octet-stream"
    retry_after: int = 5
    """Seconds after which to come back, on a 503."""


class Access(NamedTuple):
    """On what ground the file is sent."""

    private: bool = False
    """Not for everybody: no cache that several people share may keep it."""
    each_time: bool = False
    """Whether the ground is to be looked at again each time, as ``authorize`` does."""
    expires: int | None = None
    """Seconds for which the address still holds, where its signature is all that opens it."""
    download: bool = False
    """To be saved, not shown."""
    filename: str = ""
    """The name to save it under; the key's last part if empty."""


PUBLIC = Access()


class Reply(NamedTuple):
    """A status, headers, and which bytes of the file are the body (None for no body)."""

    status: int
    headers: dict[str, str]
    span: Span | None = None
    size: int = 0

    @property
    def is_partial(self) -> bool:
        return self.status == 206


def refusal(status: int, access: Access = PUBLIC, **headers: str) -> Reply:
    """A reply without the file: 403, 404, 405 or 503. Nobody is to remember it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = "private, no-store" if access.private else "no-store"
    return Reply(status, {"X-Content-Type-Options": "nosniff", "Cache-Control": kept, **named})


def answer(
    method: str,
    request: Mapping[str, str],
    key: str,
    place: Place,
    policy: Policy,
    access: Access = PUBLIC,
) -> Reply:
    """The reply to a GET or HEAD for a key that is there and may be had.

    ``request`` holds the headers about conditions and ranges, in lower case.
    """
    what = Representation(etag(place), place.modified, place.length)
    decision = decide(method, request, what)
    headers = _validators(key, what, policy, access)
    if decision.status in (304, 412):
        return Reply(decision.status, headers)
    headers["Accept-Ranges"] = "bytes"
    if decision.status != 200:
        headers["Content-Range"] = content_range(decision.span, place.length)
    if decision.status == 416:
        return Reply(416, headers)
    headers.update(_presentation(key, policy, access))
    return _with_body(method, decision, headers, place.length)


def _with_body(method: str, decision: Decision, headers: dict[str, str], size: int) -> Reply:
    headers["Content-Length"] = str(decision.span.length)
    wanted = method == "GET" and decision.span.length
    return Reply(decision.status, headers, decision.span if wanted else None, size)


def etag(place: Place) -> str:
    """A strong validator: a fid's bytes never change. The length is there for a cluster that
    was set up anew and counts its fids from 1 again."""
    return f'"{place.fid:x}-{place.length:x}"'


def _validators(key: str, what: Representation, policy: Policy, access: Access) -> dict[str, str]:
    headers = {"ETag": what.etag, "X-Content-Type-Options": "nosniff"}
    if what.modified is not None:
        headers["Last-Modified"] = format_date(what.modified)
    if kept := cache_control(key, policy, access):
        headers["Cache-Control"] = kept
    return headers


def cache_control(key: str, policy: Policy, access: Access) -> str | None:
    """How long which caches may keep the file; a signed one no longer than its address holds."""
    kept = policy.cache_control
    forbidden = not _directives(kept).isdisjoint(_FORBIDDING)
    if access.expires is not None and not forbidden:
        kept = f"max-age={access.expires}"
    elif not (forbidden or access.each_time) and _never_changes(key, policy):
        kept = f"public, max-age={YEAR}, immutable"
    return _made_private(kept) if access.private else kept


def _never_changes(key: str, policy: Policy) -> bool:
    return policy.hashed_keys and HASHED_NAME.search(key) is not None


def is_for_all(cache_control: str | None) -> bool:
    """Whether a cache that several people share may keep the file for some time."""
    return _directives(cache_control).isdisjoint(
        {"private", "max-age=0", "s-maxage=0", *_FORBIDDING}
    )


_FORBIDDING = frozenset({"no-store", "no-cache"})


def _directives(cache_control: str | None) -> set[str]:
    return {word.strip().lower() for word in (cache_control or "").split(",")}


def _made_private(kept: str | None) -> str:
    """No cache between the site and one browser keeps it, whatever the option says."""
    directives = [word.strip() for word in (kept or "no-cache").split(",")]
    shared = ("public", "private", "s-maxage")
    own = [word for word in directives if word and not word.lower().startswith(shared)]
    return ", ".join(["private", *own])


def _presentation(key: str, policy: Policy, access: Access) -> dict[str, str]:
    kind = content_type(key, policy.default_content_type)
    headers = {"Content-Type": kind}
    active = is_active(kind, policy.active_types)
    if active and policy.active_content == "sandbox":
        headers["Content-Security-Policy"] = SANDBOX
    saved = access.download or (active and policy.active_content == "attachment")
    if saved or access.filename:
        name = access.filename or key.rpartition("/")[2]
        headers["Content-Disposition"] = content_disposition(name, attachment=saved)
    return headers


@lru_cache(maxsize=4096)  # a fifth of the time that a reply takes
def content_type(key: str, default: str) -> str:
    """The type that the key's ending stands for."""
    kind, encoding = guess_type(f"/{key}")
    if encoding:
        return _COMPRESSED.get(encoding, default)
    return kind or default


def is_active(kind: str, active_types: Collection[str]) -> bool:
    """Whether a browser would run it as a page."""
    kind = kind.partition(";")[0].strip().lower()
    return kind in active_types or kind.endswith("+xml")
