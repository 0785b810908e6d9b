"""Listing keys page by page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import wire
from .models import named, numbers
from .packets import Command
from .steps import Op

if TYPE_CHECKING:
    from .operations import Operations

PAGE = 1000
"""Keys in one reply to ``list_keys``: the most that a tracker gives."""

_PLAIN_PREFIX = re.compile(r"[\w/ :,=&@%~;<>!\"'#-]*")
"""Prefixes that mean themselves where the tracker takes them for a pattern."""


class KeyPages:
    """The keys that begin with ``prefix``, page by page, in the tracker's order.

    A tracker compares without case where its database does; only true matches come out. It
    takes a prefix for a pattern, whose case matters, once ``after`` is given too, so a prefix
    that is not plain, or not spelt so in ``after``, is only sent with the first page; later
    pages end where the prefix does.
    """

    def __init__(
        self, client: Operations, prefix: str = "", after: str = "", limit: int | None = None
    ) -> None:
        if limit is not None and limit < 0:
            raise ValueError(f"limit: 0 or more, not {limit!r}")
        self._client, self._prefix, self._left = client, prefix, limit
        self._plain = _PLAIN_PREFIX.fullmatch(prefix) is not None
        self._after = after
        self._bytes = wire.to_bytes(prefix)
        place = wire.to_bytes(after)
        self._first = not after or not place.startswith(self._bytes)
        self.ended = limit == 0
        if self._first and place > self._bytes:
            self.ended = True  # all that begins with the prefix lies before that place

    def next(self) -> Op[list[str]]:
        """The keys of the next page; ``ended`` says whether more may follow."""
        client = self._client
        plain = self._plain and self._after.startswith(self._prefix)
        prefix = self._prefix if self._first or plain else None
        after = None if self._first else self._after
        page = PAGE if self._left is None else min(PAGE, self._left)
        args = {"domain": client.domain, "prefix": prefix, "after": after, "limit": page}
        answers = yield from client.ask(Command("list_keys", wire.arguments(args)))
        if answers[0].code == "none_match":
            self.ended = True
            return []
        found = _listed(answers[0].values())
        self.ended = len(found) < page or (prefix is None and self._beyond(found[-1]))
        self._first, self._after = False, self._following(found[-1]) if found else ""
        return self._wanted(found)

    def _following(self, last: str) -> str:
        """Where the next page begins: not among other spellings that lie before the prefix."""
        if not self._bytes or wire.to_bytes(last) >= self._bytes:
            return last
        return max(last, _below(self._bytes), key=wire.to_bytes)

    def _wanted(self, found: list[str]) -> list[str]:
        keys = [key for key in found if key.startswith(self._prefix)]
        if self._left is not None:
            keys = keys[: self._left]
            self._left -= len(keys)
            self.ended = self.ended or not self._left
        return keys

    def _beyond(self, key: str) -> bool:
        """A prefix may end within a character of keys that lie before its own."""
        if key.casefold().startswith(self._prefix.casefold()):
            return False
        return not wire.to_bytes(key).startswith(self._bytes)


def _below(prefix: bytes) -> str:
    """A text below ``prefix`` that no key in UTF-8 lies behind, but for those with the prefix."""
    last = prefix[-1]
    return wire.to_text(prefix[:-1] + (bytes([last - 1, 0xFF]) if last else b""))


def _listed(values: dict[str, str]) -> list[str]:
    return [named(values, f"key_{number}") for number in numbers(values, "key_count")]
