"""MogileFS for Python: a client, and a MogileFS for one machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .client import Client
from .errors import (
    AlreadyExists,
    ClassNotFound,
    ConfigurationError,
    ContentMismatch,
    DomainNotFound,
    InvalidKey,
    KeyExists,
    KeyNotFound,
    MogileFSError,
    NoDevice,
    NotEmpty,
    ProtocolError,
    ReadOnlyError,
    StorageUnavailable,
    TrackerError,
    TrackersUnavailable,
    UnknownCommand,
    UploadRejected,
)
from .models import FileInfo, Located

if TYPE_CHECKING:
    from .aio import AsyncClient

__all__ = [
    "AlreadyExists",
    "AsyncClient",
    "ClassNotFound",
    "Client",
    "ConfigurationError",
    "ContentMismatch",
    "DomainNotFound",
    "FileInfo",
    "InvalidKey",
    "KeyExists",
    "KeyNotFound",
    "Located",
    "MogileFSError",
    "NoDevice",
    "NotEmpty",
    "ProtocolError",
    "ReadOnlyError",
    "StorageUnavailable",
    "TrackerError",
    "TrackersUnavailable",
    "UnknownCommand",
    "UploadRejected",
]


def __getattr__(name: str) -> object:
    """AsyncClient on first use: who does without it need not import asyncio."""
    if name == "AsyncClient":
        from .aio import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
