"""One file up or down, with its progress told and nothing half-done left behind."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from mogilefs import Client, FileInfo, StorageUnavailable
from mogilefs.localfiles import replacing

from .progress import Counted, Progress


@dataclass
class Transfers:
    """What all transfers of one command share."""

    client: Client
    progress: Progress
    store_options: dict[str, Any] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)

    def end(self) -> None:
        """Have all of them end now, whatever they wait for."""
        self.stop.set()
        self.client.abort()

    def put(self, source: Path, key: str) -> None:
        """Store a local file under ``key``."""
        with source.open("rb") as file:
            self.put_file(file, key)

    def put_file(self, file: BinaryIO, key: str) -> None:
        """Store what ``file`` gives."""
        content: Any = Counted(file, self.progress, self.stop)
        self.client.store(key, content, **self.store_options)

    def copy(self, key: str, new_key: str) -> None:
        """Store the file under a second key as well, in its class."""
        found = self.client.info(key)
        self.progress.meet(found.length)
        try:
            self._copy(found, new_key)
        except StorageUnavailable:
            now = self.client.info(key)
            if now.fid == found.fid:
                raise
            self._copy(now, new_key)  # it was stored anew just then

    def _copy(self, found: FileInfo, new_key: str) -> None:
        with self.client.open(found.key) as file:
            content: Any = Counted(file, self.progress, self.stop)
            self.client.store(new_key, content, mogile_class=found.mogile_class)

    def get(self, key: str, target: Path) -> None:
        """Fetch ``key`` into a local file, which appears whole or not at all."""
        with replacing(target) as file:
            self.get_file(key, file)

    def get_file(self, key: str, file: BinaryIO) -> None:
        """Write the content of ``key`` to ``file``."""
        with self.client.stream(key) as chunks:
            first = next(chunks, b"")
            self.progress.meet(chunks.size or 0)
            for chunk in chain([first], chunks):
                if self.stop.is_set():
                    raise KeyboardInterrupt
                file.write(chunk)
                self.progress.add(len(chunk))
