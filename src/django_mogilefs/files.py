"""A stored file as Django's ``File``: lazy, seekable, and to be opened again after closing."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from django.core.files.base import File

if TYPE_CHECKING:
    from types import TracebackType

    from django_mogilefs.storage import MogileFSStorage

    AnyFile = File[Any]
else:
    AnyFile = File

MODES = {"rb": "rb", "r": "r", "rt": "r", "wb": "wb", "w": "w", "wt": "w"}


class MogileFSFile(AnyFile):
    """A file in MogileFS, read in ranges as it is needed, or written and stored on ``close``.

    Opening waits for nothing: a missing file shows at the first read, as FileNotFoundError. What
    is written appears under its name when the file is closed, and never if the ``with`` block
    raised. ``open`` opens it again, closed or not. Text is UTF-8 unless said otherwise.
    """

    DEFAULT_CHUNK_SIZE = 2**18

    def __init__(
        self,
        storage: MogileFSStorage,
        name: str,
        mode: str = "rb",
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> None:
        self.name = str(name)
        self._storage = storage
        self._key = storage.key(name)
        self._text = {"encoding": encoding or "utf-8", "errors": errors, "newline": newline}
        self._start(mode)

    def _start(self, mode: str) -> None:
        if mode not in MODES:
            raise io.UnsupportedOperation(
                f"{self.name!r} cannot be opened in mode {mode!r}: a file in MogileFS is replaced"
                f" as a whole, so the modes are {', '.join(MODES)}."
            )
        self.mode = MODES[mode]
        self._closed = False
        self._binary: Any = None
        self._wrapper: io.TextIOWrapper | None = None
        if self.writing:
            self._open()

    @property
    def writing(self) -> bool:
        return self.mode.startswith("w")

    def _open(self) -> None:
        if self.writing:
            mogile_class = self._storage.class_for(self.name or "")
            self._binary = self._storage.client.open(self._key, "wb", mogile_class=mogile_class)
        else:
            self._binary = self._storage.client.open(self._key, "rb")
        if "b" not in self.mode:
            self._wrapper = io.TextIOWrapper(self._binary, **self._text)  # type: ignore[arg-type]  # enough of a file

    @property
    def file(self) -> Any:  # type: ignore[override]  # a plain attribute in Django
        """The open binary or text file underneath."""
        if self._closed:
            raise ValueError(f"I/O operation on closed file {self.name!r}.")
        if self._binary is None:
            self._open()
        return self._wrapper or self._binary

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def size(self) -> int:
        """Bytes: of the stored file, or those written so far."""
        if self.writing and not self._closed:
            self.file.flush()
            return int(self._binary.size)
        if self._closed:
            return self._storage.size(self.name or "")
        return int(self.file and self._binary.size)

    def open(self, mode: str | None = None, *args: Any, **kwargs: Any) -> MogileFSFile:
        """The same file from its beginning, in the same or another mode, closed before or not."""
        wanted = MODES.get(mode or self.mode, mode or self.mode)
        if self._closed or self.writing or wanted != self.mode:
            self.close()
            self._start(wanted)
        elif self._binary is not None:
            self.seek(0)
        return self

    def close(self) -> None:
        """Store what was written; nothing happens to a file that was only read."""
        if not self._closed:
            self._closed = True
            try:
                if self._binary is not None:
                    (self._wrapper or self._binary).close()
            finally:  # a tracker that broke off may have stored it all the same
                if self.writing:
                    self._storage.forget(self._key)

    def discard(self) -> None:
        """Close without storing what was written."""
        if self._closed or not self.writing:
            self.close()
            return
        self._closed = True
        if self._wrapper is not None:
            self._wrapper.detach()
        self._binary.discard()

    def __del__(self) -> None:
        # A text wrapper that is dropped would close, and so store, what is beneath it.
        # One that reads is left alone: who has its read() need not have this object any more.
        if getattr(self, "_wrapper", None) is not None and self.writing:
            self.discard()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if exc_type is None:
            self.close()
        else:
            self.discard()
