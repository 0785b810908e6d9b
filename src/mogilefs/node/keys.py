"""Keys of a domain that begin with a prefix, whatever else the domain holds.

The catalogue's index orders keys by their bytes. A prefix whose case does not matter is many
prefixes in that index (``a/`` and ``A/``): the walk below jumps from one that exists to the next
that could, so that it never reads keys that do not match, other than one at each jump.
"""

from __future__ import annotations

from ..wire import to_bytes
from .catalog import Catalog


def list_prefix(
    catalog: Catalog, dmid: int, prefix: bytes, after: bytes, limit: int, *, exact: bool
) -> list[str]:
    """Up to ``limit`` keys behind ``after`` that begin with ``prefix``, by the order of bytes.

    The case of ASCII letters in the prefix matters only if ``exact``.
    """
    keys: list[str] = []
    start: bytes | None = after + b"\0"  # the first possible key behind ``after``
    while start is not None and len(keys) < limit:
        first = _first(catalog, dmid, start)
        if first is None:
            break
        spelling = first[: len(prefix)]
        if _same(spelling, prefix, exact=exact):
            stop = successor(spelling)
            keys += _range(catalog, dmid, max(start, spelling), stop, limit - len(keys))
            start = stop
        else:
            start = next_spelling(prefix, first, exact=exact)
    return keys


def _same(spelling: bytes, prefix: bytes, *, exact: bool) -> bool:
    return spelling == prefix or (not exact and spelling.lower() == prefix.lower())


def _first(catalog: Catalog, dmid: int, start: bytes) -> bytes | None:
    rows = catalog.read(
        "SELECT dkey FROM file WHERE dmid = ? AND dkey >= CAST(? AS TEXT) ORDER BY dkey LIMIT 1",
        (dmid, start),
    )
    return to_bytes(rows[0][0]) if rows else None


def _range(catalog: Catalog, dmid: int, start: bytes, stop: bytes | None, limit: int) -> list[str]:
    end = "" if stop is None else " AND dkey < CAST(? AS TEXT)"
    bounds = (start,) if stop is None else (start, stop)
    rows = catalog.read(
        f"SELECT dkey FROM file WHERE dmid = ? AND dkey >= CAST(? AS TEXT){end}"  # noqa: S608 # ours
        " ORDER BY dkey LIMIT ?",
        (dmid, *bounds, limit),
    )
    return [key for (key,) in rows]


def successor(prefix: bytes) -> bytes | None:
    """The smallest bytes above everything that begins with ``prefix``; None if nothing is."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes([trimmed[-1] + 1]) if trimmed else None


def next_spelling(prefix: bytes, key: bytes, *, exact: bool) -> bytes | None:
    """The smallest spelling of ``prefix`` above ``key``, which has none; None if there is none."""
    if exact:
        return prefix if prefix > key else None
    lowest = prefix.upper()  # ASCII capitals come before small letters
    for length in range(len(prefix), -1, -1):
        if length < len(prefix) and key[:length].lower() == prefix[:length].lower():
            for letter in sorted(
                {lowest[length : length + 1], prefix[length : length + 1].lower()}
            ):
                if letter > key[length : length + 1]:
                    return key[:length] + letter + lowest[length + 1 :]
    return None
