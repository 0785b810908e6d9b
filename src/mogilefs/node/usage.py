"""What a device's ``usage`` file says, in the words that a tracker's monitor reads."""

from __future__ import annotations

import contextlib
import time

from mogilefs.node.space import Space


def usage_text(base: str, space: Space) -> str:
    """The lines of a ``usage`` file: sizes in KiB, the time in unix seconds, sorted by name."""
    device, mount = _mount_of(base)
    values = {
        "available": space.available // 1024,
        "device": device,
        "disk": mount,
        "time": int(time.time()),
        "total": space.total // 1024,
        "use": f"{space.percent}%",
        "used": space.used // 1024,
    }
    return "".join(f"{name}: {value}\n" for name, value in values.items())


def _mount_of(path: str) -> tuple[str, str]:
    """The block device and mount point under ``path``; the path itself where nothing tells."""
    inside: list[tuple[str, str]] = []
    with contextlib.suppress(OSError), open("/proc/self/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            device, mount, *_ = line.split(" ")
            if f"{path}/".startswith(mount.rstrip("/") + "/"):
                inside.append((device, mount))
    return max(inside, key=lambda pair: len(pair[1]), default=("unknown", path))
