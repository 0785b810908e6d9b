"""Files that fsspec writes: compressed, as text, and in a transaction."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from fsspec.transaction import Transaction  # type: ignore[import-untyped]  # has no types

from .files import Discardable, FileWriter

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Uncommitted(Discardable):
    """A file written inside a transaction: closed like any, stored only when that is committed.

    Nothing of it is stored if its ``with`` raised.
    """

    def __init__(self, writer: FileWriter) -> None:
        super().__init__()
        self._writer, self.name = writer, writer.name

    def write(self, data: Buffer) -> int:
        """Append ``data``; how many bytes that was."""
        return self._writer.write(data)

    def tell(self) -> int:
        """How many bytes were written."""
        return self._writer.tell()

    def commit(self) -> None:
        """Store the file. One that was not closed is forgotten, and ValueError raised."""
        if not self.closed:
            self.discard()
            raise ValueError(f"not closed before it was to be stored: {self.name}")
        self._writer.close()

    def discard(self) -> None:
        """Forget the file, closed or not."""
        self._writer.discard()
        self.close()


class WholeFiles(Transaction):  # type: ignore[misc]  # fsspec has no types
    """A transaction that stores nothing, and raises ValueError, if a file in it was not closed."""

    def complete(self, commit: bool = True) -> None:
        """Store all files, or forget them."""
        files, fs = list(self.files), self.fs
        unclosed = [file.name for file in files if not file.closed] if commit else []
        try:
            super().complete(commit and not unclosed)
        except BaseException:  # fsspec's own leaves itself in the transaction where that fails
            for file in files:
                file.discard()
            fs._intrans, fs._transaction = False, None
            raise
        if unclosed:
            raise ValueError(f"not closed before the transaction ended: {', '.join(unclosed)}")


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
