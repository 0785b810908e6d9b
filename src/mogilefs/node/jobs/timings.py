"""How often and how soon: every interval of the background jobs, and the tables of backoff.

Where MogileFS's own timing shows in a conversation it is kept; where it only makes one wait (a
dead device looked at after 16 s, a surplus copy every 15 s) the node works at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..chance import chance

MINUTE = 60
HOUR = 60 * MINUTE

REPLICATE_BACKOFF = (15, MINUTE, 5 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR)
"""Seconds until the next try after the first, second … failure."""

REPLICATE_BACKOFF_LAST = 24 * HOUR
"""Seconds between tries once the table is used up."""

NEVER = 2147483647
"""The ``nexttry`` of a file without any source: only replicate_now or a returning disk asks."""


def replicate_backoff(failures: int) -> int:
    """Seconds until a file that has failed ``failures`` times before is tried again (±20 %)."""
    table = REPLICATE_BACKOFF
    seconds = table[failures] if failures < len(table) else REPLICATE_BACKOFF_LAST
    return round(seconds * chance.uniform(0.8, 1.2))


def unseen_backoff(failures: int) -> int:
    """Seconds until a file is deleted from a device that the monitor does not see now."""
    return 10 * MINUTE + failures * MINUTE


def forbidden_backoff(failures: int) -> int:
    """Seconds until a file is deleted from a device whose state forbids it now."""
    return HOUR * (1 + failures)


def refused_backoff(failures: int) -> int:
    """Seconds until a file is deleted from a device that refused to."""
    return 30 * MINUTE * (1 + failures)


@dataclass(frozen=True)
class Timings:
    """Intervals in seconds, and how much at once. Tests shorten them; nothing else should."""

    monitor: float = 2.0
    """Between two looks at every device (usage, and a test write on own disks)."""
    usage_file: float = 10.0
    """Between two rewritings of an own device's ``usage`` file, which other trackers read."""
    foreign_test_write: float = 15.0
    """Between two test writes on a device of another host that was writable at the last."""
    sizes: float = 15.0
    """Between two reports of the devices' sizes to the catalogue."""
    poll: float = 1.0
    """Between two looks at a queue that nothing has woken."""
    gather: float = 0.25
    """From a command that leaves bytes to be deleted until they are: many go at once."""
    reap: float = 5.0
    """Between two looks for abandoned uploads."""
    upload_lives: float = HOUR
    """An upload that was opened and not closed for so long is abandoned."""
    drain_settles: float = 5.0
    """A device must have been in state drain for so long before it is emptied."""
    drain_again: float = 60.0
    """Between two passes over a drained device that still holds files."""
    workers: int = 6
    """Files that each queue's job works on at the same time."""
    batch: int = 200
    """Rows that one transaction of a background job changes at most."""
    backlog: int = 1000
    """Rows put into a queue ahead of the workers, at most."""
