"""What the tracker door has done: counted as it happens, read by ``!stats`` and the metrics."""

from __future__ import annotations

import sqlite3
import time
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field

RECENT = 50
"""Requests that ``!recent`` shows."""

RECENT_BYTES = 1000
"""What is kept of each: a line may have megabytes."""

LATENCIES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of the buckets in which latencies are counted, in seconds."""

QUEUES = {
    "delete": "file_to_delete2",
    "replicate": "file_to_replicate",
    "fsck": "file_to_queue WHERE type = 1",
    "rebalance": "file_to_queue WHERE type = 2",
    "uploads": "tempfile",
}
"""What waits, and the rows that stand for it."""


@dataclass
class CommandStats:
    """How often a command was asked, how often in vain, and how long it took."""

    count: int = 0
    errors: int = 0
    seconds: float = 0.0
    """In all."""
    buckets: list[int] = field(default_factory=lambda: [0] * (len(LATENCIES) + 1))
    """How many took at most each of LATENCIES and more than the one before; the last: longer."""


@dataclass
class TrackerStats:
    """What the door has done since it opened."""

    started: float = field(default_factory=time.time)
    queries: int = 0
    commands: dict[str, CommandStats] = field(default_factory=dict)
    recent: deque[tuple[str, bytes, float]] = field(default_factory=lambda: deque(maxlen=RECENT))
    """Client, request line, seconds."""

    def note(self, command: str, seconds: float, *, ok: bool) -> None:
        """Count one answer."""
        stats = self.commands.get(command)
        if stats is None:
            stats = self.commands[command] = CommandStats()
        stats.count += 1
        stats.seconds += seconds
        stats.buckets[bisect_left(LATENCIES, seconds)] += 1
        if not ok:
            stats.errors += 1


def queue_lengths(db: sqlite3.Connection) -> dict[str, int]:
    """How much waits for each kind of background work. Counts rows: for a scan."""
    return {
        name: db.execute(f"SELECT count(*) FROM {rows}").fetchone()[0]  # noqa: S608  # our own
        for name, rows in QUEUES.items()
    }
