"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
import tempfile
import time
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

PACKAGES = ("django-mogilefs", "Django", "aiohttp", "httptools", "uvicorn", "gunicorn")


def describe(directory: Path) -> dict[str, str]:
    """Versions, cores, disk and date, for a reader of the figures. ``directory`` is on the disk
    that the servers use."""
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "disk": f"{_file_system(directory)}; fsync of 4 KiB {fsync_ms(directory):.2f} ms (median)",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "packages": ", ".join(f"{name} {_version(name)}" for name in PACKAGES if _version(name)),
        "nginx": _nginx(),
        "load when it began": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def fsync_ms(directory: Path, count: int = 30) -> float:
    """The median time of writing 4 KiB and making them durable, in milliseconds."""
    times = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(count):
            start = time.perf_counter()
            os.pwrite(file.fileno(), os.urandom(4096), 0)
            os.fsync(file.fileno())
            times.append(time.perf_counter() - start)
    return sorted(times)[count // 2] * 1e3


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _file_system(directory: Path) -> str:
    told = subprocess.run(
        ["df", "--output=fstype,avail", "-h", str(directory)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    kind, free = told.stdout.splitlines()[-1].split()
    return f"{kind}, {free} free"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _nginx() -> str:
    try:
        told = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "not installed"
    return told.stderr.strip().rpartition("/")[2]
