"""Where a new file may go: devices drawn by their free space, spread over hosts."""

from __future__ import annotations

from .chance import draw
from .registry import Registry

RESERVE_BYTES = 100 * 1024 * 1024
"""What must stay free on a device beside a file whose size is known."""

MAX_DESTINATIONS = 3
"""How many devices create_open offers to a client that takes several."""


def destinations(registry: Registry, *, size: int | None, count: int) -> list[int]:
    """Up to ``count`` devices for a new file of ``size`` bytes (None: unknown), best first.

    The first is drawn by free space; the next are on other hosts where there are any.
    """
    pool = registry.targets()
    if size is not None:
        pool = [target for target in pool if target.free >= size + RESERVE_BYTES]
    chosen: list[int] = []
    hosts: set[int] = set()
    while pool and len(chosen) < count:
        target = draw([each for each in pool if each.hostid not in hosts] or pool)
        chosen.append(target.devid)
        hosts.add(target.hostid)
        pool = [each for each in pool if each is not target]
    return chosen
