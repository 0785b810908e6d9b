"""``!watch``: the node's log, shown to whoever asked for it on a tracker connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

MAX_UNREAD = 256 * 1024
"""Bytes that a watcher may leave unread; events beyond that pass it by."""


class Watchers(logging.Handler):
    """A log handler with those who watch; listens to the log only while there is one."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._loop = asyncio.get_running_loop()
        self._watchers: dict[object, Callable[[bytes], None]] = {}

    def __contains__(self, watcher: object) -> bool:
        return watcher in self._watchers

    def add(self, watcher: object, tell: Callable[[bytes], None]) -> None:
        """Begin to tell a watcher."""
        self._watchers[watcher] = tell
        logging.getLogger("mogilefs").addHandler(self)

    def discard(self, watcher: object) -> None:
        """Tell a watcher no more."""
        self._watchers.pop(watcher, None)
        if not self._watchers:
            logging.getLogger("mogilefs").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Called from any thread."""
        text = " ".join(record.getMessage().splitlines())
        line = f":: {text}\r\n".encode("utf-8", "surrogateescape")
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, line)

    def _tell(self, line: bytes) -> None:
        for tell in tuple(self._watchers.values()):
            tell(line)
