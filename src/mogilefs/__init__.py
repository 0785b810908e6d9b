"""MogileFS for Python: a client, and a MogileFS for one machine."""

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

__all__ = [
    "AlreadyExists",
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
