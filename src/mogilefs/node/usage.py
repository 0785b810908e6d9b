"""What a monitor writes to a device: its ``usage`` file, and a test of whether it takes writes."""

from __future__ import annotations

import contextlib
import os
import time

from mogilefs.node import layout
from mogilefs.node.chance import chance
from mogilefs.node.devices import Devices
from mogilefs.node.parts import Part, open_file
from mogilefs.node.space import Space


def write_usage(devices: Devices, devid: int) -> Space:
    """Write the ``usage`` file that a tracker's monitor reads; returns what it says. ``OSError``.

    May wait for the disk, as ``try_write`` may.
    """
    base, space = devices.base(devid), devices.space(devid)
    text = usage_text(base, space).encode()
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(f"{base}/{layout.USAGE}", flags, 0o644)
    with open(fd, "r+b", buffering=0) as file:
        file.write(text.ljust(os.fstat(fd).st_size, b"\n"))
        file.truncate(len(text))
    return space


def try_write(devices: Devices, devid: int) -> None:
    """Write to a device and read it back; ``OSError`` where that fails."""
    number = chance.randrange(100)
    path = f"{layout.TEST_WRITE}/test-write-{number}"
    text = f"time={int(time.time())} rand={number}".encode()
    base = devices.base(devid)
    part = Part(base, path)
    try:
        part.write(text)
        part.commit()
    finally:
        part.abandon()
    with open(open_file(base, path), "rb") as file:
        if file.read() != text:
            raise OSError(f"{base}/{path} does not hold what was written to it")


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
