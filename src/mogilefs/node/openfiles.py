"""The files that the process may have open, and how the doors for clients share them."""

from __future__ import annotations

import contextlib
import resource

RESERVE = 256
"""Open files for all but the clients of tracker and storage: the catalogue, disks, hot files, jobs
and the small doors."""

WANTED = 16 * 1024
"""Open files with which every door can have as many clients as it takes."""

FEWEST = 16
"""Clients of a door, however few files may be open."""


def raise_limit() -> None:
    """Let the process have as many open files as it may ask for, up to WANTED."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # the system has a limit of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def clients(most: int, files_each: int) -> int:
    """How many clients one of the two large doors may have: ``most``, or what its half allows.

    Each door has half of what is left beside RESERVE, so that the clients of one never keep out
    those of the other.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return most
    return min(most, max(FEWEST, (soft - RESERVE) // 2 // files_each))
