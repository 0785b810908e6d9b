"""Keys looked at as a tree: the names of one level, at the cost of that level."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Protocol

PATIENCE = 1_000
"""Keys that are read and dropped below one directory before the listing jumps over it: a page.
A jump costs one question, which is what reading a page costs too."""

AFTER_ALL = "\U0010ffff"
"""The last character in the order of UTF-8's bytes, which is the order of keys."""


class Lists(Protocol):
    """What a level is read from: a Client."""

    def keys(self, prefix: str = "", *, after: str = "", limit: int | None = None) -> Iterator[str]:
        """The keys that begin with ``prefix`` and come after ``after``."""


def level(client: Lists, prefix: str) -> Iterator[tuple[str, bool]]:
    """The names between ``prefix`` and the next ``/``, and whether that ``/`` is there.

    ``prefix`` is empty or ends in ``/``. A name may come twice, as a file and as a directory.
    Takes as many questions as there are directories and pages of files, however much lies below.
    """
    directories: set[str] = set()
    after: str | None = ""
    while after is not None:
        after = yield from _to_jump(client, prefix, after, directories)


def _to_jump(
    client: Lists, prefix: str, after: str, directories: set[str]
) -> Generator[tuple[str, bool], None, str | None]:
    """Names up to a directory worth jumping over; the key to go on after, None at the end."""
    dropped = 0
    for key in client.keys(prefix, after=after):
        name, slash, _ = key[len(prefix) :].partition("/")
        if not slash:
            yield name, False
        elif name not in directories:
            directories.add(name)
            dropped = 0
            yield name, True
        elif (dropped := dropped + 1) >= PATIENCE:
            return f"{prefix}{name}/{AFTER_ALL}"
    return None
