"""From the names that Django gives files to MogileFS's keys, and to names that are free."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import PurePath, PurePosixPath

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.utils import validate_file_name

from mogilefs.errors import InvalidKey
from mogilefs.wire import MAX_KEY_BYTES


def key_of(name: str, location: str) -> str:
    """The key under which a name is kept: ``location``, a slash, the name.

    Raises SuspiciousFileOperation for names that are empty or absolute or have ``..`` or a
    backslash in them, InvalidKey for a key over 255 bytes of UTF-8.
    """
    name = str(name)
    if "\\" in name or not is_relative(name):
        raise SuspiciousFileOperation(f"Detected path traversal attempt in '{name}'")
    key = f"{location}/{name}" if location else name
    length = len(key.encode("utf-8", "surrogateescape"))
    if length > MAX_KEY_BYTES:
        raise InvalidKey(
            f"the key {key!r} has {length} bytes of UTF-8; MogileFS keeps at most {MAX_KEY_BYTES}"
        )
    return key


def is_relative(name: str) -> bool:
    """Whether a name is not empty and leads nowhere but below where it starts."""
    path = PurePosixPath(name)
    return bool(name) and path.parts != () and not path.is_absolute() and ".." not in path.parts


def directory_prefix(path: str, location: str) -> str:
    """What all keys in a directory begin with; ``""`` and ``"."`` are the storage's root."""
    path = str(path).rstrip("/")
    if PurePosixPath(path).parts:
        return key_of(path, location).removesuffix(path) + f"{PurePosixPath(path)}/"
    return f"{location}/" if location else ""


def excess(name: str, location: str, max_length: int | None) -> int:
    """How many characters a name must lose (at least) to fit the field and MogileFS; 0: it fits."""
    over_field = len(name) - max_length if max_length else 0
    room = MAX_KEY_BYTES - (len(location.encode()) + 1 if location else 0)
    over_key = len(name.encode("utf-8", "surrogateescape")) - room
    return max(over_field, -(-over_key // 4), 0)  # a character has at most four bytes


def find_name(
    name: str,
    is_free: Callable[[str], bool],
    excess: Callable[[str], int],
    alternative: Callable[[str, str], str],
) -> str:
    """The name, or Django's alternatives to it, until one is free and short enough.

    The rules are those of ``Storage.get_available_name``: the name's root is shortened, never
    its suffixes, and SuspiciousFileOperation is raised when nothing of it would be left.
    """
    directory, root, suffixes = split(name)
    candidate = name.replace("\\", "/")
    while excess(candidate) or not is_free(candidate):
        candidate = os.path.join(directory, alternative(root, suffixes))
        while over := excess(candidate):
            root = root[:-over]
            if not root:
                raise SuspiciousFileOperation(
                    f"Storage can not find an available filename for {name!r} that is short enough:"
                    f" the field's \"max_length\" or MogileFS's {MAX_KEY_BYTES} bytes leave no"
                    " room for it."
                )
            candidate = os.path.join(directory, alternative(root, suffixes))
    return candidate


def split(name: str) -> tuple[str, str, str]:
    """Directory, root and suffixes of a name; SuspiciousFileOperation as Django raises it."""
    directory, file_name = os.path.split(name.replace("\\", "/"))
    if ".." in PurePath(directory).parts:
        raise SuspiciousFileOperation(f"Detected path traversal attempt in {directory!r}")
    validate_file_name(file_name)
    suffixes = "".join(PurePath(file_name).suffixes)
    return directory, file_name.removesuffix(suffixes), suffixes
