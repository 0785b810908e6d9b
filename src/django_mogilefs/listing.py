"""One directory's worth of a flat, sorted list of keys."""

from __future__ import annotations

from itertools import islice

from mogilefs import Client

FIRST_PAGE = 64
FULL_PAGE = 1000  # the most that a tracker gives at once
LAST_CHARACTER = "\U0010ffff"  # sorts behind whatever else follows a directory's slash


def listdir(client: Client, prefix: str) -> tuple[list[str], list[str]]:
    """The directories and files right below a prefix that is empty or ends in a slash.

    A directory is known from its first key; the search then goes on behind its last possible one,
    so the cost does not grow with what lies in it.
    """
    directories: list[str] = []
    files: list[str] = []
    after = prefix
    limit = FIRST_PAGE
    while True:
        page = list(islice(client.keys(prefix, after=after, limit=limit), limit))
        for key in page:
            if not key.startswith(prefix):
                # Trackers may match a prefix without regard to case; keys come sorted by bytes,
                # and these began behind the prefix: none that belongs here follows.
                return directories, files
            name, slash, _ = key[len(prefix) :].partition("/")
            if not slash:
                files.append(name)
            elif name and directories[-1:] != [name]:
                directories.append(name)
        if len(page) < limit:
            return directories, files
        after, inside = _behind(page[-1], prefix, after)
        limit = FIRST_PAGE if inside else FULL_PAGE


def _behind(key: str, prefix: str, after: str) -> tuple[str, bool]:
    """Where to go on after this key: behind the directory that it is in, if it is in one."""
    name, slash, _ = key[len(prefix) :].partition("/")
    behind = f"{prefix}{name}/{LAST_CHARACTER}"
    if slash and behind != after:
        return behind, True
    return key, bool(slash)
