"""Every error this package raises, in one tree.

MogileFSError
├── ConfigurationError (ValueError)       a setting or argument that can never work
├── InvalidKey (ValueError)               a key that MogileFS could not keep
├── ReadOnlyError (PermissionError)       a read-only client was asked to write
├── ProtocolError                         bytes that are no MogileFS conversation
├── TrackersUnavailable (ConnectionError) no tracker answered; says why for each
├── StorageUnavailable (ConnectionError)  no replica could be read, or no device took the file
├── ContentMismatch                       the bytes are not those that were counted or promised
└── TrackerError                          a tracker answered ``ERR``
    ├── KeyNotFound (FileNotFoundError)   unknown_key (updateclass says invalid_key)
    ├── KeyExists (FileExistsError)       key_exists
    ├── DomainNotFound                    unreg_domain, domain_not_found, no_domain
    ├── ClassNotFound                     unreg_class, class_not_found, no_class
    ├── AlreadyExists                     a domain, class, host or device of that name is there
    ├── NotEmpty                          what is to be deleted still holds something
    ├── NoDevice                          no device can take the file now
    ├── UploadRejected                    the tracker did not accept a finished upload
    └── UnknownCommand                    unknown_command
"""

from __future__ import annotations

from collections.abc import Mapping
from errno import EEXIST, ENOENT
from typing import Any


class MogileFSError(Exception):
    """The root: ``except MogileFSError`` catches all that this package raises on purpose."""


class ConfigurationError(MogileFSError, ValueError):
    """A setting or argument that can never work; the text names it."""


class InvalidKey(MogileFSError, ValueError):
    """A key that MogileFS could not keep: empty, or over 255 bytes of UTF-8."""


class ReadOnlyError(MogileFSError, PermissionError):
    """A client made with ``readonly=True`` was asked to change something."""


class ProtocolError(MogileFSError):
    """Bytes that are no MogileFS conversation, or a reply to another question."""


class TrackersUnavailable(MogileFSError, ConnectionError):
    """No tracker answered. ``reasons`` maps each tracker's address to what went wrong there."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self.reasons = dict(reasons)
        told = "; ".join(f"{tracker}: {why}" for tracker, why in self.reasons.items())
        super().__init__(f"no tracker answered ({told})")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.reasons,)


class StorageUnavailable(MogileFSError, ConnectionError):
    """No replica of a key could be read, or no device took it. ``reasons`` maps URLs to causes."""

    def __init__(self, message: str, reasons: Mapping[str, str] | None = None) -> None:
        self.message = message
        self.reasons = dict(reasons or {})
        told = "; ".join(f"{url}: {why}" for url, why in self.reasons.items())
        super().__init__(f"{message} ({told})" if told else message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.reasons)


class ContentMismatch(MogileFSError):
    """The bytes are not those that were counted or promised (size or checksum)."""


class TrackerError(MogileFSError):
    """A tracker answered ``ERR``.

    ``code`` is the protocol's word (``unknown_key`` …), ``text`` the tracker's free text,
    ``command`` what was asked, ``key`` the key it was about (or None), ``tracker`` its address.
    """

    def __init__(
        self,
        code: str,
        text: str = "",
        command: str = "",
        key: str | None = None,
        tracker: str = "",
    ) -> None:
        self.code, self.text, self.command, self.key, self.tracker = (
            code,
            text,
            command,
            key,
            tracker,
        )
        about = f" for key {key!r}" if key is not None else ""
        said = f": {text}" if text else ""
        super().__init__(f"{command or 'command'}{about} at {tracker or 'tracker'}: {code}{said}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, self.text, self.command, self.key, self.tracker)


class KeyNotFound(TrackerError, FileNotFoundError):
    """The domain has no such key."""

    errno = ENOENT


class KeyExists(TrackerError, FileExistsError):
    """The key is taken, and was not to be replaced."""

    errno = EEXIST


class DomainNotFound(TrackerError):
    """The tracker does not know the domain."""


class ClassNotFound(TrackerError):
    """The domain has no such class."""


class AlreadyExists(TrackerError):
    """A domain, class, host or device of that name, number or address is there already."""


class NotEmpty(TrackerError):
    """The domain, class or host to be deleted still holds something."""


class NoDevice(TrackerError):
    """No device can take a file now (none alive, none writable, none with room)."""


class UploadRejected(TrackerError):
    """The tracker did not accept a finished upload: wrong size, checksum, path or fid."""


class UnknownCommand(TrackerError):
    """The tracker does not know the command (an older version, or a plugin that is not there)."""


BY_CODE: Mapping[str, type[TrackerError]] = {
    "unknown_key": KeyNotFound,
    "invalid_key": KeyNotFound,
    "key_exists": KeyExists,
    "unreg_domain": DomainNotFound,
    "domain_not_found": DomainNotFound,
    "no_domain": DomainNotFound,
    "unreg_class": ClassNotFound,
    "class_not_found": ClassNotFound,
    "no_class": ClassNotFound,
    "domain_exists": AlreadyExists,
    "class_exists": AlreadyExists,
    "host_exists": AlreadyExists,
    "dup": AlreadyExists,
    "existing_devid": AlreadyExists,
    "domain_has_files": NotEmpty,
    "domain_has_classes": NotEmpty,
    "class_has_files": NotEmpty,
    "host_not_empty": NotEmpty,
    "no_devices": NoDevice,
    "size_mismatch": UploadRejected,
    "size_verify_error": UploadRejected,
    "checksum_mismatch": UploadRejected,
    "no_temp_file": UploadRejected,
    "bogus_args": UploadRejected,
    "invalid_destdev": UploadRejected,
    "unknown_command": UnknownCommand,
}


def tracker_error(
    code: str, text: str = "", command: str = "", key: str | None = None, tracker: str = ""
) -> TrackerError:
    """The error for a tracker's ``ERR``: the class that its code has, else TrackerError."""
    return BY_CODE.get(code, TrackerError)(code, text, command, key, tracker)
