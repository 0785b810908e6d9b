"""How paths of fsspec, a domain, a slash and a key, lie in each other."""

from __future__ import annotations

from collections.abc import Iterator
from re import finditer
from typing import Any

from .errors import ConfigurationError
from .wire import to_bytes


def split(path: str) -> tuple[str, str]:
    """The domain and the key, either empty where it is left out."""
    domain, _, key = path.partition("/")
    return domain, key


def directories(name: str, top: str) -> Iterator[str]:
    """The directories that a file's path lies in, down from ``top`` and with it."""
    end = len(top)
    while end > 0:
        yield name[:end]
        end = name.find("/", end + 1)


def outermost(paths: list[str]) -> list[str]:
    """Those that lie below no other."""
    tops = set(paths)
    return [
        path for path in paths if tops.isdisjoint(path[: at.start()] for at in finditer("/", path))
    ]


def is_path(path: str) -> bool:
    """Whether there can be such a path: its domain has a name, and all of it is text."""
    try:
        to_bytes(path)
    except ConfigurationError:
        return False
    return not path.startswith("/")


def directory(path: str) -> dict[str, Any]:
    """What fsspec is told of a directory."""
    return {"name": path, "type": "directory", "size": 0}
