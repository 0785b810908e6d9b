"""Chance: which device, which path first, how long to wait."""

from __future__ import annotations

import random
from collections.abc import Sequence
from operator import attrgetter
from typing import Protocol, TypeVar

chance = random.Random()  # noqa: S311 - spreads load, guards nothing
"""A generator of the node's own, so that a program that seeds ``random`` neither steers a node
beside it nor is disturbed by it."""

EMPTIEST = 20
"""A device is drawn from this many with the most free space, as MogileFS does."""


class HasSpace(Protocol):
    """Something with so much free space, in whatever unit all that are drawn from have."""

    @property
    def free(self) -> int: ...


S = TypeVar("S", bound=HasSpace)


def draw(candidates: Sequence[S]) -> S:
    """One of ``candidates`` (not empty): at random, weighted by free space, among the emptiest."""
    if len(candidates) > EMPTIEST:
        candidates = sorted(candidates, key=attrgetter("free"), reverse=True)[:EMPTIEST]
    point = chance.random() * sum([each.free or 1 for each in candidates])
    for each in candidates:
        point -= each.free or 1
        if point < 0:
            return each
    return candidates[-1]
