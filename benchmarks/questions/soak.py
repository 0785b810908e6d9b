"""Does anything grow under mixed traffic? ``python -m benchmarks.soak``, shortened."""

from __future__ import annotations

from ..harness import Sheet, Table
from ..setting import Setting
from ..soak import soak

USERS = 6


def run(setting: Setting) -> list[Table | Sheet]:
    """What node and client hold, by quarters of the time."""
    seconds = 3 if setting.quick else 60
    seen = soak(setting.directory, seconds, USERS)
    rows: list[list[object]] = [
        [name, at + 1, sample.memory, sample.files]
        for name, samples in seen.samples.items()
        for at, sample in enumerate(seen.quarters(samples))
    ]
    operations = sum(seen.done.values())
    found = Sheet(
        "soak",
        f"{seconds} s of mixed traffic by {USERS} users: {operations:,} operations",
        ["process", "quarter", "memory, MiB", "open files"],
        rows,
    )
    found.notes += seen.faults + ([] if setting.quick else seen.grown())
    return [found]
