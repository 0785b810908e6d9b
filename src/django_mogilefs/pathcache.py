"""Where files lie, remembered in one of Django's caches, so that a hot file asks no tracker.

What is remembered is safe for long, because a fid's bytes never change; what can be out of date
is which fid a key means. So the storage forgets a key when it is overwritten or deleted, and
the view when a replica is gone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from django.core.cache import caches

SETTLING_SECONDS = 5
"""After a change, a key is not remembered anew for so long: a reader who asked the tracker just
before the change may come with the old answer just after it."""

_CHANGED = "changed"
_ABSENT = "absent"


class Place(NamedTuple):
    """Where the bytes of a key lie, and which bytes they are."""

    fid: int
    length: int
    paths: tuple[str, ...]
    """The replicas' URLs, in the tracker's order."""
    modified: int | None = None
    """Seconds since 1970, where a replica has told it."""


class Absent:
    """The type of ABSENT: the tracker knew no such key, a moment ago."""


ABSENT = Absent()


class PathCache:
    """The places of one domain's keys in the cache called ``alias``.

    ``seconds`` is how long a place is remembered, ``absent_seconds`` how long it is remembered
    that there is none. ``trackers`` tell apart two clusters that have a domain of one name.
    """

    def __init__(
        self,
        alias: str,
        domain: str,
        trackers: Iterable[str],
        *,
        seconds: float,
        absent_seconds: float,
    ) -> None:
        self.alias = alias
        self.seconds, self.absent_seconds = seconds, absent_seconds
        self._scope = repr((sorted(trackers), domain)).encode("utf-8", "surrogateescape")

    def get(self, key: str) -> Place | Absent | None:
        """What is remembered of a key; None where the tracker has to be asked."""
        found: Any = caches[self.alias].get(self._name(key))
        if isinstance(found, tuple):
            return Place(*found)
        return ABSENT if found == _ABSENT else None

    def put(self, key: str, place: Place) -> None:
        # add(), not set(): it leaves the mark of a change alone.
        caches[self.alias].add(self._name(key), tuple(place), self.seconds)

    def put_absent(self, key: str) -> None:
        if self.absent_seconds:
            caches[self.alias].add(self._name(key), _ABSENT, self.absent_seconds)

    def forget(self, key: str) -> None:
        """The key was stored, overwritten, renamed or deleted, or a replica of it is gone."""
        caches[self.alias].set(self._name(key), _CHANGED, SETTLING_SECONDS)

    def _name(self, key: str) -> str:
        # Hashed: some caches refuse long names and odd characters, and keys may have both.
        digest = hashlib.sha256(self._scope)
        digest.update(key.encode("utf-8", "surrogateescape"))
        return f"mogilefs:{digest.hexdigest()[:40]}"
