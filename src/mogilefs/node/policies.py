"""Replication policies: where a file's copies should be. Pure decisions, no I/O.

A policy's text is what a class keeps in ``replpolicy``: ``MultipleHosts()``, ``MultipleHosts(3)``,
``MultipleDevices()``, ``Union(MultipleHosts(2), MultipleDevices(3))``. A number overrides the
class's mindevcount.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

DEFAULT_POLICY = "MultipleHosts()"
"""The policy of a class that names none."""


class PolicyError(ValueError):
    """A text that is no replication policy."""


@dataclass(frozen=True)
class Place:
    """A device as a policy sees it. Dead devices are no places and are left out by the caller.

    ``alive``: the device's state is alive (its host then counts as one to spread over).
    ``open``: the device may take a new copy now. ``free`` is in MiB.
    """

    devid: int
    hostid: int
    alive: bool = True
    open: bool = True
    free: int = 0


@dataclass(frozen=True)
class Satisfied:
    """The copies are right as they are."""


@dataclass(frozen=True)
class WantsMore:
    """Another copy is wanted on one of ``candidates``; empty when nothing has room for it now."""

    candidates: Sequence[Place]


@dataclass(frozen=True)
class TooMany:
    """One of ``surplus`` can go, and the policy still holds."""

    surplus: Sequence[Place]


Decision = Satisfied | WantsMore | TooMany


class Policy(ABC):
    """Decides about one file at a time; immutable."""

    @abstractmethod
    def wants(
        self, copies: Collection[Place], places: Collection[Place], mindevcount: int
    ) -> Sequence[Place] | None:
        """Where another copy should go, best first choice of places; None if none is wanted."""

    @abstractmethod
    def crowded(self, copies: Collection[Place], mindevcount: int) -> bool:
        """Whether there are more copies than asked for."""

    def decide(
        self, copies: Collection[Place], places: Collection[Place], mindevcount: int
    ) -> Decision:
        """What to do about a file that is on ``copies``, with ``places`` all there are."""
        wanted = self.wants(copies, places, mindevcount)
        if wanted:
            return WantsMore(wanted)
        if self.crowded(copies, mindevcount):
            surplus = self._surplus(copies, places, mindevcount)
            if surplus:
                return TooMany(surplus)
        return Satisfied() if wanted is None else WantsMore(())

    def _surplus(
        self, copies: Collection[Place], places: Collection[Place], mindevcount: int
    ) -> list[Place]:
        """The copies without which the policy is no worse off: it holds, or could not before."""
        held = self.wants(copies, places, mindevcount) is None
        spread = len({copy.hostid for copy in copies})
        surplus = []
        for copy in copies:
            rest = [other for other in copies if other is not copy]
            if held:
                spare = self.wants(rest, places, mindevcount) is None
            else:
                spare = len({other.hostid for other in rest}) == spread
            if spare:
                surplus.append(copy)
        return surplus


def _on_everything(copies: Collection[Place], places: Collection[Place]) -> bool:
    """On every device there is, and on at least two: more cannot be asked."""
    held = {copy.devid for copy in copies}
    return len(held) >= 2 and all(place.devid in held for place in places)


def _unused(copies: Collection[Place], places: Collection[Place]) -> list[Place]:
    held = {copy.devid for copy in copies}
    return [place for place in places if place.open and place.devid not in held]


@dataclass(frozen=True)
class MultipleHosts(Policy):
    """N copies on as many different hosts as there are, at most N; on one host, on N devices."""

    count: int | None = None

    def wants(
        self, copies: Collection[Place], places: Collection[Place], mindevcount: int
    ) -> Sequence[Place] | None:
        want = self.count or mindevcount
        hosts = {copy.hostid for copy in copies}
        alive = {place.hostid for place in places if place.alive}
        enough = len(copies) >= want and len(hosts) >= min(want, len(alive))
        if enough or _on_everything(copies, places):
            return None
        free = _unused(copies, places)
        elsewhere = [place for place in free if place.hostid not in hosts]
        return elsewhere or (free if len(copies) < want else [])

    def crowded(self, copies: Collection[Place], mindevcount: int) -> bool:
        return len(copies) > (self.count or mindevcount)


@dataclass(frozen=True)
class MultipleDevices(Policy):
    """N copies on N different devices; hosts do not matter."""

    count: int | None = None

    def wants(
        self, copies: Collection[Place], places: Collection[Place], mindevcount: int
    ) -> Sequence[Place] | None:
        if len(copies) >= (self.count or mindevcount) or _on_everything(copies, places):
            return None
        return _unused(copies, places)

    def crowded(self, copies: Collection[Place], mindevcount: int) -> bool:
        return len(copies) > (self.count or mindevcount)


@dataclass(frozen=True)
class Union(Policy):
    """Every one of its parts must hold. The original parses it, but cannot use it."""

    parts: tuple[Policy, ...]

    def wants(
        self, copies: Collection[Place], places: Collection[Place], mindevcount: int
    ) -> Sequence[Place] | None:
        wishes = [part.wants(copies, places, mindevcount) for part in self.parts]
        lists = [wish for wish in wishes if wish is not None]
        if not lists:
            return None
        lists = [wish for wish in lists if wish]
        if not lists:
            return []
        shared = [place for place in lists[0] if all(place in wish for wish in lists[1:])]
        return shared or lists[0]

    def crowded(self, copies: Collection[Place], mindevcount: int) -> bool:
        return any(part.crowded(copies, mindevcount) for part in self.parts)


_LEAVES: dict[str, type[MultipleHosts | MultipleDevices]] = {
    "MultipleHosts": MultipleHosts,
    "MultipleDevices": MultipleDevices,
}
_TOKEN = re.compile(r"\s*([A-Za-z]\w*|\d{1,18}|[(),])\s*")
_DEEPEST = 8
"""Unions inside unions beyond this are refused: nobody means them, and reading them recurses."""


@lru_cache(maxsize=1000)
def parse(text: str) -> Policy:
    """The policy that ``text`` names. Raises PolicyError for an unknown name or a malformed text.

    A count of 0 is the same as none: the class's mindevcount.
    """
    tokens = _Tokens(text)
    policy = _policy(tokens, 0)
    if tokens.next() is not None:
        raise PolicyError(f"something follows the replication policy: {text[:80]!r}")
    return policy


class _Tokens:
    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = list(_split(text))

    def next(self) -> str | None:
        return self._tokens.pop(0) if self._tokens else None

    def peek(self) -> str | None:
        return self._tokens[0] if self._tokens else None

    def expect(self, token: str) -> None:
        if self.next() != token:
            raise PolicyError(f"not a replication policy ({token!r} missing): {self.text[:80]!r}")


def _split(text: str) -> Iterable[str]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise PolicyError(f"not a replication policy: {text[:80]!r}")
        yield match[1]
        at = match.end()


def _policy(tokens: _Tokens, depth: int) -> Policy:
    name = tokens.next()
    if depth > _DEEPEST:
        raise PolicyError(f"a replication policy nested too deep: {tokens.text[:80]!r}")
    if name == "Union":
        return _union(tokens, depth)
    if name not in _LEAVES:
        raise PolicyError(f"no such replication policy: {tokens.text[:80]!r}")
    tokens.expect("(")
    count = None
    if (token := tokens.peek()) is not None and token.isdigit():
        count = int(token) or None
        tokens.next()
    tokens.expect(")")
    return _LEAVES[name](count)


def _union(tokens: _Tokens, depth: int) -> Policy:
    tokens.expect("(")
    parts = [_policy(tokens, depth + 1)]
    while tokens.peek() == ",":
        tokens.next()
        parts.append(_policy(tokens, depth + 1))
    tokens.expect(")")
    return Union(tuple(parts))
