"""One directory's worth of a flat, sorted list of keys."""

from __future__ import annotations

from mogilefs import Client
from mogilefs.levels import level


def listdir(client: Client, prefix: str) -> tuple[list[str], list[str]]:
    """The directories and files right below a prefix that is empty or ends in a slash.

    The cost does not grow with what lies in the directories.
    """
    directories: list[str] = []
    files: list[str] = []
    for name, is_directory in level(client, prefix):
        (directories if is_directory else files).append(name)
    return directories, files
