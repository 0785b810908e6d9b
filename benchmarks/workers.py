"""Contestants in processes of their own, so that each has its own interpreter, memory and CPU."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import contestants
from .harness import Batch
from .servers import Address, keep_on_core


@dataclass(frozen=True)
class Target:
    """Where contestants store: a tracker, a domain, a class of it (empty: its default)."""

    tracker: Address
    domain: str
    mogile_class: str

    def arguments(self) -> list[str]:
        """For a contestant's command line."""
        return [str(self.tracker), self.domain, self.mogile_class]


class Worker:
    """One contestant's process."""

    def __init__(self, process: subprocess.Popen[str], name: str) -> None:
        self.process, self.name = process, name
        self.peak = 0
        """The most memory it has held so far, in KiB."""
        self._answer()

    def turn(self, do: str, key: str, size: int, count: int) -> Batch:
        """Let it do ``count`` operations on ``key`` with ``size`` bytes each."""
        assert self.process.stdin is not None
        asked = {"do": do, "key": key, "size": size, "count": count}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        told = self._answer()
        self.peak = told["peak"]
        moved = 0 if do == "paths" else size * count
        return Batch(told["latencies"], told["seconds"], told["cpu"], moved)

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with {self.process.wait()}: see its traceback")
        return json.loads(line)


@contextlib.contextmanager
def worker(name: str, target: Target, directory: Path, python: str) -> Iterator[Worker]:
    """A running contestant, by its name in ``contestants``."""
    command = [python, contestants.__file__, name, *target.arguments(), str(directory)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            keep_on_core(process.pid, 0)
            yield Worker(process, name)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)


def interpreters(peers: Path | None) -> dict[str, str]:
    """The interpreter of each contestant that can take part; pymogilefs has its own, ``peers``."""
    found = dict.fromkeys(contestants.CONTESTANTS, sys.executable)
    if peers is None:
        del found["pymogilefs"]
    else:
        found["pymogilefs"] = str(peers)
    return found
