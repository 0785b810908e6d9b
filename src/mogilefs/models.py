"""What a tracker tells about a file, typed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import wire
from .errors import ConfigurationError, InvalidKey, ProtocolError


@dataclass(frozen=True)
class FileInfo:
    """A file under its key.

    ``length`` is in bytes. ``devcount`` counts the replicas that the tracker knows. ``checksum``
    is ``MD5:…`` or ``SHA-1:…`` where the class keeps one and it is known, else None.
    """

    key: str
    domain: str
    fid: int
    length: int
    mogile_class: str
    devcount: int
    checksum: str | None = None

    @classmethod
    def from_values(cls, key: str, domain: str, values: Mapping[str, str]) -> FileInfo:
        """From the values of ``file_info``."""
        checksum = values.get("checksum")
        return cls(
            key=key,
            domain=domain,
            fid=integer(values, "fid"),
            length=integer(values, "length"),
            mogile_class=values.get("class", "default"),
            devcount=integer(values, "devcount", 0),
            checksum=checksum if checksum and ":" in checksum else None,
        )


@dataclass(frozen=True)
class Located:
    """A file and the URLs of its replicas, the best first."""

    info: FileInfo
    paths: list[str]


@dataclass(slots=True)
class Found:
    """What reading a file needs: its fid, its length in bytes, its replicas, the best first."""

    fid: int
    length: int
    paths: list[str]


def integer(values: Mapping[str, str], name: str, default: int | None = None) -> int:
    """A number in a tracker's reply; ``default`` where it is missing or empty.

    Raises ProtocolError when it is no number, or missing without a default.
    """
    text = values.get(name) or ""
    if not text and default is not None:
        return default
    try:
        return int(text)
    except ValueError:
        raise ProtocolError(f"not a number in a tracker's reply: {name}={text!r}") from None


def numbers(values: Mapping[str, str], name: str) -> range:
    """The numbers of a listing's entries, from 1 to the count that ``name`` tells.

    Raises ProtocolError where there cannot be so many.
    """
    count = integer(values, name, 0)
    if not 0 <= count <= len(values):
        raise ProtocolError(f"not the count in a tracker's reply: {name}={count}")
    return range(1, count + 1)


def named(values: Mapping[str, str], name: str) -> str:
    """What a tracker's reply must have. Raises ProtocolError where it is missing."""
    if name not in values:
        raise ProtocolError(f"missing in a tracker's reply: {name}")
    return values[name]


def paths_of(values: Mapping[str, str]) -> list[str]:
    """The URLs in the reply to ``get_paths``."""
    paths = []
    for number in numbers(values, "paths"):
        path = values.get(f"path{number}")
        if path:
            paths.append(path)
    return paths


def is_of_one_file(fid: int, paths: Sequence[str]) -> bool:
    """Whether the URLs are those of the fid, as far as they tell."""
    # All are of one, so the first says it; a file name that is no fid says nothing.
    if not paths or paths[0].endswith(f"/{fid:010d}.fid"):
        return True
    return not _FID_NAME.search(paths[0])


_FID_NAME = re.compile(r"/[0-9]{10,}\.fid$")


def escaped_key(key: str) -> str:
    """``key`` as a tracker is told it. Raises what ``checked_key`` raises."""
    if isinstance(key, str) and _PLAIN_KEY.fullmatch(key):
        return key
    return wire.escape(checked_key(key))


_PLAIN_KEY = re.compile(rf"[{re.escape(wire.PLAIN)}]{{1,{wire.MAX_KEY_BYTES}}}")
"""Nearly every key."""


def checked_key(key: str) -> str:
    """``key`` if MogileFS can keep it. Raises InvalidKey, TypeError."""
    if not isinstance(key, str):
        raise TypeError(f"a key must be str, not {type(key).__name__}")
    if not key:
        raise InvalidKey("a key must not be empty")
    if key.isascii() and len(key) <= wire.MAX_KEY_BYTES:  # nearly every key
        return key
    try:
        size = len(wire.to_bytes(key))
    except ConfigurationError as error:
        raise InvalidKey(f"a key that is no text: {key!r}") from error
    if size > wire.MAX_KEY_BYTES:
        raise InvalidKey(f"a key of more than {wire.MAX_KEY_BYTES} bytes of UTF-8: {key!r}")
    return key
