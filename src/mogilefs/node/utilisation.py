"""How busy the disks below the devices are, from the kernel's own counters."""

from __future__ import annotations

import os
import time
from pathlib import Path

from mogilefs.node.devices import Devices


class Utilisation:
    """The share of time in which each device's disk was busy since the last look."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._last: dict[int, tuple[float, int]] = {}
        self.look()

    def look(self) -> list[tuple[int, str]]:
        """Device numbers, each with a percentage like ``12.40``; ``-`` where nothing is known."""
        return [(devid, self._percent(devid)) for devid in self._devices.discover()]

    def _percent(self, devid: int) -> str:
        busy = _busy_milliseconds(self._devices.directory(devid))
        if busy is None:
            return "-"
        now = time.monotonic()
        before, busy_before = self._last.get(devid, (now, busy))
        self._last[devid] = (now, busy)
        elapsed = 1000 * (now - before)
        return f"{min(100.0, 100 * (busy - busy_before) / elapsed) if elapsed else 0.0:.2f}"


def _busy_milliseconds(directory: Path) -> int | None:
    """How long the disk below a directory has been busy; None where there is no such counter."""
    try:
        disk = directory.stat().st_dev
        counters = Path(f"/sys/dev/block/{os.major(disk)}:{os.minor(disk)}/stat").read_text()
        return int(counters.split()[9])
    except (OSError, IndexError, ValueError):
        return None
