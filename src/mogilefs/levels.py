"""Keys looked at as a tree: the names of one level, at the cost of that level."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from .listing import PAGE
from .wire import to_bytes

SHORT_PAGE = 64
"""Keys asked for at a time where directories are: what lies below the last one is passed over."""

LAST_CHARACTER = "\U0010ffff"
"""Sorts behind whatever else follows a directory's slash: keys are in the order of their bytes."""


class Lists(Protocol):
    """What a level is read from: a Client."""

    def keys(self, prefix: str = "", *, after: str = "", limit: int | None = None) -> Iterator[str]:
        """The keys that begin with ``prefix`` and come after ``after``."""


def level(client: Lists, prefix: str) -> Iterator[tuple[str, bool]]:
    """The names between ``prefix`` and the next ``/``, and whether that ``/`` is there.

    ``prefix`` is empty or ends in ``/``. A name may come as a file and as a directory. The cost
    does not grow with what lies in a directory: the search goes on behind its last possible key.
    """
    directories = {""}  # a key that goes on with a slash right after the prefix names nothing
    after, limit = prefix, SHORT_PAGE
    while True:
        key, count = "", 0
        for count, key in enumerate(client.keys(prefix, after=after, limit=limit), 1):  # noqa: B007 - the last count is used below
            name, slash, _ = key[len(prefix) :].partition("/")
            if not slash:
                yield name, False
            elif name not in directories:
                directories.add(name)
                yield name, True
        if count < limit:
            return
        after, limit = _go_on(key, prefix)


def _go_on(key: str, prefix: str) -> tuple[str, int]:
    """What to go on after, from ``key``: behind the directory that it is in. And by which pages."""
    name, slash, _ = key[len(prefix) :].partition("/")
    behind = f"{prefix}{name}/{LAST_CHARACTER}"
    if slash and to_bytes(behind) > to_bytes(key):
        return behind, SHORT_PAGE
    return key, SHORT_PAGE if slash else PAGE
