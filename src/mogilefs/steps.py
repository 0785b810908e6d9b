"""How operations talk to the network without knowing whether anybody waits or blocks.

An operation is a generator. It yields *steps*: calls that have to wait for something outside the
program (a connection, bytes, a file on disk). A driver makes the call and sends the result back,
or throws the error in. The blocking driver calls a step; the asyncio driver calls it and awaits
what it gives. Everything else, pools and failover included, is written once, in generators.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

Step = Callable[[], Any]
Op = Generator[Step, Any, T]

CHUNK = 124 * 1024
"""Bytes moved at a time: large enough that the system calls do not show. A buffer of 128 KiB or
more would be fetched from the kernel anew for each answer, which costs more than a small answer."""

BULK = 2 * CHUNK
"""Bytes of a large body that are asked for at a time: a quarter less time than with a CHUNK."""


class Link(Protocol):
    """One connection of a driver. What returns ``Any`` is to be called in a step."""

    def send(self, data: bytes) -> Any:
        """Send all of ``data``."""

    def receive(self, limit: int = CHUNK) -> Any:
        """Between 1 and ``limit`` bytes, or ``b""`` at the end of the stream."""

    def exchange(self, data: bytes) -> Any:
        """``send`` and ``receive`` in one step."""

    def stale(self) -> bool:
        """Whether anything came in while nobody asked: bytes nobody waits for, or the end."""

    def close(self) -> None:
        """Throw the connection away; never fails."""


class Network(Protocol):
    """What a driver offers. Both methods are to be called in a step."""

    awaits: bool
    """Whether the driver awaits what a step gives."""

    def connect(self, host: str, port: int) -> Any:
        """A new Link. Raises OSError."""

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """The result of ``function``, which may block for a while (a file on disk)."""


def why(error: BaseException) -> str:
    """What went wrong, in a few words, for the list of causes in an error's text."""
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


def no_host_name(host: str) -> OSError:
    """For text that cannot be looked up, such as ``a..b``; the resolver raises UnicodeError."""
    return OSError(f"not a host name: {host!r}")
