"""A client's settings, checked once, when the client is made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .errors import ConfigurationError
from .wire import CHECKSUMS

DEFAULT_TRACKER_PORT = 7001

LONGEST_TIMEOUT = 2_000_000
"""Seconds: a system counts the milliseconds of a wait in 31 bits, which are 24 days."""

_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[^\s\[\]:/]+)(?::(?P<port>\d{1,5}))?")


class Address(NamedTuple):
    """Where a server listens. ``str()`` writes it the way it is configured."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, default_port: int = DEFAULT_TRACKER_PORT) -> Address:
    """An address from ``host``, ``host:port`` or ``[IPv6]:port``. Raises ConfigurationError."""
    match = _ADDRESS.fullmatch(text.strip()) if isinstance(text, str) else None
    port = int(match["port"] or default_port) if match else 0
    if match is None or not 0 < port < 65536:
        raise ConfigurationError(f"not a tracker's address: {text!r} (host:port or [IPv6]:port)")
    return Address(match["host"].strip("[]"), port)


def parse_trackers(trackers: str | Sequence[str]) -> tuple[Address, ...]:
    """The trackers from a list, or from one text with commas between.

    Raises ConfigurationError.
    """
    if not isinstance(trackers, Iterable):
        raise ConfigurationError(f"trackers: host:port or a list of these, not {trackers!r}")
    texts = trackers.split(",") if isinstance(trackers, str) else list(trackers)
    addresses = tuple(dict.fromkeys(parse_address(text) for text in texts))
    if not addresses:
        raise ConfigurationError("trackers: at least one host:port is needed")
    return addresses


@dataclass(frozen=True)
class Config:
    """Everything a client was told. Times are in seconds, sizes in bytes."""

    domain: str | None
    trackers: tuple[Address, ...]
    connect_timeout: float = 2.0
    timeout: float = 10.0
    readonly: bool = False
    zone: str | None = None
    checksum: str | None = None
    max_spool: int = 8 * 2**20

    def __post_init__(self) -> None:
        for name in ("connect_timeout", "timeout"):
            check_timeout(name, getattr(self, name))
        check_checksum(self.checksum)
        if not isinstance(self.max_spool, int) or self.max_spool < 0:
            raise ConfigurationError(f"max_spool: bytes, 0 or more, not {self.max_spool!r}")
        if self.domain is not None and (not isinstance(self.domain, str) or not self.domain):
            raise ConfigurationError(f"domain: a name or None, not {self.domain!r}")
        if self.zone is not None and not isinstance(self.zone, str):
            raise ConfigurationError(f"zone: a name or None, not {self.zone!r}")


def is_timeout(value: object) -> bool:
    """Whether ``value`` is a number of seconds above 0 that a system can wait."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return 0 < value <= LONGEST_TIMEOUT


def check_timeout(name: str, value: object) -> None:
    """Raise ConfigurationError unless ``value`` is a timeout."""
    if not is_timeout(value):
        wanted = f"seconds above 0, at most {LONGEST_TIMEOUT}"
        raise ConfigurationError(f"{name}: {wanted}, not {value!r}")


def check_checksum(name: str | None) -> None:
    """Raise ConfigurationError unless MogileFS keeps checksums of that kind."""
    if name is not None and name not in CHECKSUMS:
        raise ConfigurationError(f"checksum: {' or '.join(CHECKSUMS)} or None, not {name!r}")
