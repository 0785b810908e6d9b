"""Where a new file may go: devices drawn by their free space, spread over hosts."""

from __future__ import annotations

from .chance import chance
from .registry import Device, Registry

EMPTIEST = 20
"""A device is drawn from this many with the most free space, as MogileFS does."""

RESERVE_BYTES = 100 * 1024 * 1024
"""What must stay free on a device beside a file whose size is known."""

MAX_DESTINATIONS = 3
"""How many devices create_open offers to a client that takes several."""


def destinations(registry: Registry, *, size: int | None, count: int) -> list[Device]:
    """Up to ``count`` devices for a new file of ``size`` bytes (None: unknown), best first.

    The first is drawn by free space; the next are on other hosts where there are any.
    """
    candidates = [
        (device, free)
        for device in registry.devices.values()
        if device.takes_files
        and registry.seen_writable(device.devid)
        and _has_room(free := registry.observed[device.devid].free, size)
    ]
    candidates.sort(key=lambda item: -(item[1] or 0))
    chosen: list[Device] = []
    pool = candidates[:EMPTIEST]
    while pool and len(chosen) < count:
        elsewhere = [item for item in pool if item[0].host not in [d.host for d in chosen]]
        drawn = _draw(elsewhere or pool)
        chosen.append(drawn[0])
        pool.remove(drawn)
    return chosen


def _has_room(free: int | None, size: int | None) -> bool:
    return size is None or (free is not None and free >= size + RESERVE_BYTES)


def _draw(items: list[tuple[Device, int | None]]) -> tuple[Device, int | None]:
    return chance.choices(items, [max(1, free or 0) for _, free in items])[0]
