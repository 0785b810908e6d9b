"""What the storage door puts up with, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass

MAX_URL = 8 * 1024
"""Bytes of a request's URL. MogileFS's own are below 60; absolute URLs are longer."""

MAX_HEAD = 128 * 1024
"""Bytes of a request line and its headers. The original takes 70,000; proxies add to them."""

MAX_BODY = 2**50
"""Bytes of one file. What a device cannot hold is refused by its free space long before."""

MAX_CONNECTIONS = 1000
"""Connections at the same time; the process's limit of open files may lower it."""

MAX_DISCARDED = 2**20
"""Bytes of an unwanted body that are read so that the connection can go on."""

HEAD_SECONDS = 20.0
"""How long a request's head may take to arrive, from its first byte."""

IDLE_SECONDS = 75.0
"""How long a connection may stay open without a request; proxies keep theirs for 60 s."""

BODY_SECONDS = 20.0
"""The time over which the rate of an arriving body is looked at."""

MIN_BODY_RATE = 512
"""Bytes a second that an arriving body must keep up; slower senders are dropped."""

WRITE_SECONDS = 60.0
"""How long a reply may stand still because its reader does not read."""

LINGER_SECONDS = 10.0
"""How long a refused body is still read, so that its sender sees the refusal and no reset."""


@dataclass(frozen=True)
class Limits:
    """The door's limits; sizes in bytes, times in seconds, the rate in bytes a second."""

    url: int = MAX_URL
    head: int = MAX_HEAD
    body: int = MAX_BODY
    connections: int = MAX_CONNECTIONS
    discarded: int = MAX_DISCARDED
    head_seconds: float = HEAD_SECONDS
    idle_seconds: float = IDLE_SECONDS
    body_seconds: float = BODY_SECONDS
    body_rate: int = MIN_BODY_RATE
    write_seconds: float = WRITE_SECONDS
    linger_seconds: float = LINGER_SECONDS

    @property
    def look_seconds(self) -> float:
        """How often connections are looked at for being too slow."""
        times = (self.head_seconds, self.idle_seconds, self.body_seconds, self.write_seconds)
        return min(1.0, min(*times, self.linger_seconds) / 4)
