"""What Django hands to ``Storage.save``, made ready for the client to read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import UnsupportedOperation
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.core.files.uploadedfile import InMemoryUploadedFile

_PLAIN_CHUNKS = (File.chunks, InMemoryUploadedFile.chunks)


@contextmanager
def readable(content: Any) -> Iterator[Any]:
    """What the client shall read: a file from its beginning if possible, else its chunks.

    A closed upload is read from its path or opened again, and closed again afterwards; an open
    one is never closed.
    """
    if not getattr(content, "closed", False):
        yield _body(content)
    elif path := _temporary_path(content):
        yield path
    else:
        content.open()
        try:
            yield _body(content)
        finally:
            content.close()


def _temporary_path(content: Any) -> Path | None:
    if hasattr(content, "temporary_file_path"):
        path = content.temporary_file_path()
        if os.path.exists(path):
            return Path(path)
    return None


def _body(content: Any) -> Any:
    """The file itself where it can be rewound and yields bytes: the client then needs no spool."""
    own = getattr(content, "__dict__", {}).get("chunks")
    plain = own is None and getattr(type(content), "chunks", None) in _PLAIN_CHUNKS
    if plain and _rewinds(content) and content.read(0) == b"":
        return content
    return map(_encoded, content.chunks())


def _rewinds(content: Any) -> bool:
    try:
        content.seek(0)
    except (AttributeError, UnsupportedOperation):
        return False
    return True


def _encoded(chunk: str | bytes) -> bytes:
    return chunk.encode() if isinstance(chunk, str) else chunk
