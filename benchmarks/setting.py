"""What one run measures with: how long, where, and against which servers."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from .servers import Address

MEMORY = "/dev/shm"


@dataclass(frozen=True)
class Setting:
    """``quick`` only shows that everything runs. ``tracker`` is a real cluster to measure beside
    the node, ``domain`` where it may write. ``peers`` is the interpreter that has pymogilefs."""

    directory: Path
    quick: bool = False
    tracker: Address | None = None
    domain: str = "bench"
    peers: Path | None = None

    @property
    def rounds(self) -> int:
        """How many turns each contestant has."""
        return 2 if self.quick else 7

    @property
    def seconds(self) -> float:
        """How long a turn of a closed loop of requests lasts."""
        return 0.15 if self.quick else 1.0

    def count(self, full: int, quick: int = 3) -> int:
        """How many operations a turn has."""
        return quick if self.quick else full

    def in_memory(self, stack: ExitStack) -> Path | None:
        """A directory in memory, until the stack ends; None where there is none to be had."""
        if not os.access(MEMORY, os.W_OK):
            return None
        return Path(stack.enter_context(tempfile.TemporaryDirectory(dir=MEMORY)))

    def fresh(self, name: str) -> Path:
        """An empty directory."""
        path = self.directory / name
        path.mkdir(parents=True)
        return path
