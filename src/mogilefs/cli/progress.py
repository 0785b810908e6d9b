"""How far a transfer is: bytes, rate and time left on a terminal, silence in a pipe."""

from __future__ import annotations

import os
import sys
import threading
from types import TracebackType
from typing import Any, BinaryIO

from tqdm import tqdm

WITHOUT_SIZE = {"ncols": 80, "nrows": 24}
"""The size of a terminal that does not tell its own (in a container, under a script)."""


class Progress:
    """A bar on stderr, drawn only where stderr is a terminal; several threads may advance it.

    ``files`` is how many files will be met.
    """

    def __init__(self, label: str, *, quiet: bool = False) -> None:
        self.files = 1
        self._met_files = self._met_bytes = 0
        self._lock = threading.Lock()
        self.visible = sys.stderr.isatty() and not quiet
        tqdm.set_lock(threading.RLock())  # the default one takes a semaphore of the system
        self._bar = tqdm(
            desc=label,
            total=None,
            file=sys.stderr,
            disable=not self.visible,
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            **self._width(),
        )

    def _width(self) -> dict[str, Any]:
        sized = self.visible and os.get_terminal_size(sys.stderr.fileno()).columns > 0
        return {"dynamic_ncols": True} if sized else WITHOUT_SIZE

    def add(self, count: int) -> None:
        """``count`` more bytes are done (fewer where a transfer begins again)."""
        if self.visible:
            with self._lock:
                self._bar.update(count)

    def expect(self, total: int) -> None:
        """``total`` bytes will be done in the end."""
        if self.visible:
            with self._lock:
                self._bar.total = total
                self._bar.refresh()

    def meet(self, size: int) -> None:
        """One of the files has ``size`` bytes; those not met yet are taken to be as large."""
        with self._lock:
            self._met_files += 1
            self._met_bytes += size
            each = self._met_bytes / self._met_files
        self.expect(round(each * max(self.files, self._met_files)))

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()


class Counted:
    """A binary file for reading that tells a Progress what was read, and stops when told to."""

    def __init__(
        self, file: BinaryIO, progress: Progress, stop: threading.Event | None = None
    ) -> None:
        self._file, self._progress, self._stop = file, progress, stop

    def read(self, count: int = -1) -> bytes:
        """As of any file; raises KeyboardInterrupt once ``stop`` is set."""
        if self._stop is not None and self._stop.is_set():
            raise KeyboardInterrupt
        data = self._file.read(count)
        self._progress.add(len(data))
        return data

    def seekable(self) -> bool:
        """Whether the file underneath can be rewound."""
        return self._file.seekable()

    def tell(self) -> int:
        """Where the file underneath is."""
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of any file; the progress goes back with it."""
        before = self._file.tell()
        after = self._file.seek(offset, whence)
        self._progress.add(after - before)
        return after
