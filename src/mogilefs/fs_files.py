"""Files that fsspec writes: compressed, as text, and in a transaction."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .files import Discardable, FileWriter

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Uncommitted(Discardable):
    """A file written inside a transaction: closed like any, stored only when that is committed.

    Nothing of it is stored if its ``with`` raised.
    """

    def __init__(self, writer: FileWriter) -> None:
        super().__init__()
        self._writer = writer

    def write(self, data: Buffer) -> int:
        """Append ``data``; how many bytes that was."""
        return self._writer.write(data)

    def tell(self) -> int:
        """How many bytes were written."""
        return self._writer.tell()

    def commit(self) -> None:
        """Store the file, if it was closed."""
        if self.closed:
            self._writer.close()
        else:
            self.discard()

    def discard(self) -> None:
        """Forget the file, closed or not."""
        self._writer.discard()
        self.close()


class Compressing(Discardable):
    """A file that is compressed on the way: closing it closes the file underneath as well.

    The compressors themselves leave that to somebody else.
    """

    def __init__(self, file: FileWriter | Uncommitted, compress: Callable[..., Any]) -> None:
        super().__init__()
        self._file, self._compressor = file, compress(file, mode="w")

    def write(self, data: Buffer) -> int:
        """Append ``data``; how many bytes that was before it was compressed."""
        return int(self._compressor.write(data))

    def close(self) -> None:
        """End what is compressed, and store it."""
        if not self.closed:
            super().close()
            try:
                self._compressor.close()
            except BaseException:
                self._file.discard()
                raise
            self._file.close()

    def discard(self) -> None:
        """Close without storing anything."""
        if not self.closed:
            super().close()
            self._compressor.close()
            self._file.discard()


class Text(io.TextIOWrapper):
    """Text in a file being written, which counts only once it is closed.

    Nothing of it is stored if its ``with`` raised, or if it is dropped without ``close``.
    """

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._discard()
        self.close()

    def __del__(self) -> None:
        with suppress(ValueError):  # somebody detached the buffer
            if not self.closed:
                self._discard()

    def _discard(self) -> None:
        self.buffer.discard()  # type: ignore[attr-defined]  # it is one of ours
