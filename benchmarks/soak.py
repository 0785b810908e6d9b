"""``python -m benchmarks.soak``: minutes of mixed traffic that leave no memory and no open files.

Threads store, overwrite, read, seek, list, rename and delete through one client, and an operator
drains a disk and takes it back, runs fsck and changes a class, while the node's and the client's
memory and open files are noted. The number of keys is bounded, so that a node that keeps anything
for a file that is gone grows. Exits with 1 where something grew, failed, or was not as stored.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

from mogilefs import Client

from .servers import node

CLASSES = {"one": 1, "pair": 2, "three": 3}
SIZES = (0, 100, 4_000, 60_000, 1_000_000)
POOL = random.Random(1).randbytes(4 * 2**20)
"""What all contents are parts of, so that remembering them takes no memory."""

KEYS = 60
"""Keys of each thread."""

MEMORY_SLACK = 1.1, 8.0
"""The last quarter may have this times the second quarter's memory, and so many MiB more."""

FILES_SLACK = 4
"""So many more open files than before the traffic: connections to the catalogue are lazily made."""

REST_SECONDS = 30
"""So long may take what the node still has to do when its users are gone."""


@dataclass
class Sample:
    """What a process holds: resident memory in MiB, open files."""

    memory: float
    files: int

    @classmethod
    def of(cls, pid: int) -> Sample:
        """Of a running process."""
        status = Path(f"/proc/{pid}/status").read_text()
        resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return cls(int(resident.split()[1]) / 1024, len(os.listdir(f"/proc/{pid}/fd")))


@dataclass
class Soak:
    """What was seen: ``samples`` by process, how often what was done, and what went wrong.

    ``rest`` has the open files of each process before any client came and after all had gone. Those
    in between tell little: the node keeps what is read often open for a second.
    """

    samples: dict[str, list[Sample]] = field(default_factory=dict)
    rest: dict[str, tuple[int, int]] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def grown(self) -> list[str]:
        """The memory that is higher in the last quarter than it was in the second, files left."""
        times, more = MEMORY_SLACK
        found = []
        for name, samples in self.samples.items():
            quarter = max(1, len(samples) // 4)
            parts = samples[quarter : 2 * quarter] or samples, samples[-quarter:]
            early, late = (median(sample.memory for sample in part) for part in parts)
            if late > early * times + more:
                found.append(f"{name}: memory from {early:.0f} to {late:.0f} MiB")
        for name, (before, after) in self.rest.items():
            if after > before + FILES_SLACK:
                found.append(f"{name}: open files from {before} to {after}")
        return found

    def report(self) -> str:
        """For people."""
        lines = [f"{count:8d} {what}" for what, count in sorted(self.done.items())]
        for name, samples in self.samples.items():
            for at, held in enumerate(self.quarters(samples), 1):
                told = f"{held.memory:.1f} MiB, {held.files:.0f} open files"
                lines.append(f"{name}, quarter {at}: {told}")
        return "\n".join(lines)

    def quarters(self, samples: Sequence[Sample]) -> list[Sample]:
        """The medians of each quarter of the time."""
        edges = [len(samples) * quarter // 4 for quarter in range(5)]
        parts = [samples[start:end] for start, end in pairwise(edges) if start < end]
        return [
            Sample(median(each.memory for each in part), int(median(each.files for each in part)))
            for part in parts
        ]


class User:
    """One thread's traffic on keys of its own; it remembers what must be there."""

    def __init__(self, client: Client, name: int, soak: Soak) -> None:
        self._client = client
        self._soak = soak
        self._random = random.Random(name)
        self._keys = [f"user{name}/{number:03d}" for number in range(KEYS)]
        self._held: dict[str, slice] = {}
        self._prefix = f"user{name}/"

    def act(self) -> None:
        """One thing that a user does."""
        key = self._random.choice(self._keys)
        doings: Sequence[Callable[[str], None]] = (
            (self.store, self.read, self.read, self.seek, self.rename, self.delete, self.list)
            if key in self._held
            else (self.store,)
        )
        doing = self._random.choice(doings)
        doing(key)
        self._soak.done[doing.__name__] += 1

    def store(self, key: str) -> None:
        size = self._random.choice(SIZES)
        start = self._random.randrange(len(POOL) - size)
        part = slice(start, start + size)
        self._client.store(key, POOL[part], mogile_class=self._random.choice([*CLASSES]))
        self._held[key] = part

    def read(self, key: str) -> None:
        self._same(key, self._client.read(key), POOL[self._held[key]])

    def seek(self, key: str) -> None:
        expected = POOL[self._held[key]]
        start = self._random.randrange(len(expected) + 1)
        with self._client.open(key) as file:
            file.seek(start)
            self._same(key, file.read(1000), expected[start : start + 1000])

    def rename(self, key: str) -> None:
        free = [other for other in self._keys if other not in self._held]
        if free:
            self._client.rename(key, free[0])
            self._held[free[0]] = self._held.pop(key)

    def delete(self, key: str) -> None:
        self._client.delete(key)
        del self._held[key]

    def list(self, key: str) -> None:
        found = set(self._client.keys(self._prefix))
        self._same(self._prefix, found, self._held.keys())

    def _same(self, what: str, found: object, expected: object) -> None:
        if found != expected:
            self._soak.faults.append(f"{what} is not as it was stored")


class Operator:
    """Looks after the cluster while it is used."""

    def __init__(self, client: Client, soak: Soak) -> None:
        self._client = client
        self._soak = soak
        self._turn = 0

    def act(self) -> None:
        """The next chore, then a pause."""
        chores = (self.drain, self.check, self.fill, self.reclass)
        chore = chores[self._turn % len(chores)]
        self._turn += 1
        chore()
        self._soak.done[f"operator: {chore.__name__}"] += 1
        time.sleep(0.5)

    def drain(self) -> None:
        self._client.admin.set_device_state("node", 4, "drain")

    def fill(self) -> None:
        self._client.admin.set_device_state("node", 4, "alive")

    def check(self) -> None:
        if not self._client.admin.fsck_status().running:
            self._client.admin.fsck_reset()
            self._client.admin.fsck_start()

    def reclass(self) -> None:
        self._client.admin.update_class("bench", "pair", mindevcount=2 + self._turn % 2)


def soak(directory: Path, seconds: float, users: int) -> Soak:
    """Run a node in ``directory`` and ``users`` threads against it."""
    classes = [f"--class={name}:{count}" for name, count in CLASSES.items() if name != "one"]
    result = Soak()
    with node(directory / "node", *classes, devices=4) as server:
        pids = {"node": server.process.pid, "client": os.getpid()}
        before = _open_files(pids)
        with Client("bench", str(server.tracker)) as client:
            _use(client, pids, result, seconds, users)
        result.rest = {
            name: (before[name], after) for name, after in _at_rest(pids, before).items()
        }
    return result


def _use(client: Client, pids: dict[str, int], result: Soak, seconds: float, users: int) -> None:
    actors = [User(client, name, result).act for name in range(users)]
    over = threading.Event()
    threads = [
        threading.Thread(target=_repeat, args=(act, over, result))
        for act in (*actors, Operator(client, result).act)
    ]
    for thread in threads:
        thread.start()
    _watch(pids, result, seconds)
    over.set()
    for thread in threads:
        thread.join()


def _repeat(act: Callable[[], None], over: threading.Event, result: Soak) -> None:
    while not over.is_set():
        try:
            act()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what a soak looks for
            result.faults.append(f"{type(error).__name__}: {error}")
            return


def _watch(pids: dict[str, int], result: Soak, seconds: float) -> None:
    """Note what both processes hold, forty times or each second, whichever is more often."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not result.faults:
        for name, pid in pids.items():
            result.samples.setdefault(name, []).append(Sample.of(pid))
        time.sleep(min(1.0, seconds / 40))


def _at_rest(pids: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    """The open files once they are about as few as before, or after ``REST_SECONDS``."""
    end = time.monotonic() + REST_SECONDS
    while True:
        after = _open_files(pids)
        few = all(after[name] <= before[name] + FILES_SLACK for name in pids)
        if few or time.monotonic() > end:
            return after
        time.sleep(0.1)


def _open_files(pids: dict[str, int]) -> dict[str, int]:
    return {name: Sample.of(pid).files for name, pid in pids.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print what was seen, and say by the exit code whether it was flat."""
    parser = argparse.ArgumentParser(prog="benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help="how long (300)")
    parser.add_argument("--users", type=int, default=6, help="threads that use it (6)")
    parser.add_argument("--directory", type=Path, help="where to put the node (TMPDIR)")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="mogilefs-soak-", dir=args.directory) as directory:
        result = soak(Path(directory), args.seconds, args.users)
    print(result.report())
    wrong = result.faults + result.grown()
    print("\n".join(wrong) or "flat", file=sys.stderr if wrong else sys.stdout)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
