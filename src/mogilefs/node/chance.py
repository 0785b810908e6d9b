"""Chance: which device, which path first, how long to wait."""

from __future__ import annotations

import random

chance = random.Random()  # noqa: S311 - spreads load, guards nothing
"""A generator of the node's own, so that a program that seeds ``random`` neither steers a node
beside it nor is disturbed by it."""
