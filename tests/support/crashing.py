"""A node as a process of its own that can be killed, and writers that remember what it promised."""

from __future__ import annotations

import itertools
import random
import re
import subprocess
import sys
import threading
from pathlib import Path

from mogilefs import Client
from mogilefs.errors import KeyNotFound, StorageUnavailable, TrackersUnavailable

READY = re.compile(r"ready: tracker (\S+), storage \S+, sidechannel \S+, data ")

CLASSES = {"thumb": 1, "pair": 2, "avatar": 3}


class NodeProcess:
    """``mogilefs node`` on ``directory``; ``tracker`` is where it answers.

    ``open_files`` are the soft and the hard limit that it starts with, where not this process's.
    """

    def __init__(self, directory: Path, open_files: tuple[int, int] | None = None) -> None:
        self.directory = directory
        self.open_files = open_files
        self.tracker = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        doors = [f"--{door}=127.0.0.1:0" for door in ("tracker", "storage", "sidechannel")]
        kinds = [f"--class={name}:{copies}" for name, copies in CLASSES.items()]
        program = "import resource, sys; from mogilefs.cli import main;"
        if self.open_files is not None:
            program += f"resource.setrlimit(resource.RLIMIT_NOFILE, {self.open_files});"
        program += "sys.exit(main())"
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                program,
                "node",
                str(self.directory),
                "--devices=4",
                "--domain=demo",
                *kinds,
                *doors,
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        ready = READY.match(line)
        assert ready, f"the node did not start: {line!r}"
        self.tracker = ready[1]

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._end(kill=True)

    def stop(self) -> None:
        """End it as it should be ended. May be called twice."""
        self._end(kill=False)

    def _end(self, *, kill: bool) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill() if kill else process.terminate()
            process.wait(30)
            assert process.stdout is not None
            process.stdout.close()


class Writer:
    """Stores, overwrites, renames and deletes keys of its own, until the node breaks away.

    ``truth`` is what was acknowledged: each key's bytes, None where it was deleted. ``doubt`` is
    the one change without an answer: what it touched, before and after it.
    """

    def __init__(self, name: int, keys: int) -> None:
        self._random = random.Random(name)
        self._keys = [f"writer {name}/key {number}" for number in range(keys)]
        self._serial = itertools.count()
        self._thread: threading.Thread | None = None
        self.truth: dict[str, bytes | None] = dict.fromkeys(self._keys)
        self.doubt: dict[str, bytes | None] = {}
        self.acknowledged = 0

    def start(self, tracker: str) -> None:
        self._thread = threading.Thread(target=self._run, args=(tracker,))
        self._thread.start()

    def join(self) -> None:
        """Wait until it has noticed that the node is gone."""
        assert self._thread is not None
        self._thread.join()

    def _run(self, tracker: str) -> None:
        with Client("demo", tracker, connect_timeout=1, timeout=5) as client:
            while not self.doubt:
                changes = self._plan()
                self.doubt = changes
                try:
                    self._change(client, changes)
                except (TrackersUnavailable, StorageUnavailable):
                    return
                self.truth |= changes
                self.doubt = {}
                self.acknowledged += 1

    def _plan(self) -> dict[str, bytes | None]:
        """What the next change is to make of the keys it touches."""
        key = self._random.choice(self._keys)
        there = self.truth[key]
        free = [other for other in self._keys if self.truth[other] is None]
        choice = self._random.random()
        if there is not None and choice < 0.2:
            return {key: None}
        if there is not None and choice < 0.4 and free:
            return {key: None, self._random.choice(free): there}
        size = self._random.choice((0, 10, 1000, 50_000))
        return {key: f"{key} {next(self._serial)} ".encode() + self._random.randbytes(size)}

    def _change(self, client: Client, changes: dict[str, bytes | None]) -> None:
        (key, content), *more = changes.items()
        if more:
            client.rename(key, more[0][0])
        elif content is None:
            client.delete(key)
        else:
            client.store(key, content, mogile_class=self._random.choice([*CLASSES]))

    def settle(self, client: Client) -> None:
        """See what became of the change in doubt: it must be made, or not, as a whole."""
        if self.doubt:
            before = {key: self.truth[key] for key in self.doubt}
            found = {key: read(client, key) for key in self.doubt}
            assert found in (before, self.doubt), f"{list(found)} are neither before nor after"
            self.truth |= found
            self.doubt = {}

    def broken_promises(self, client: Client) -> list[str]:
        """The keys that are not as they were acknowledged."""
        return [key for key, content in self.truth.items() if read(client, key) != content]


def read(client: Client, key: str) -> bytes | None:
    """A key's bytes, None where there is no such key."""
    try:
        return client.read(key)
    except KeyNotFound:
        return None


def copies_on_disk(directory: Path) -> set[tuple[int, int]]:
    """Pairs of fid and device as they are on disk."""
    paths = directory.glob("dev*/*/*/*/*.fid")
    return {(int(path.stem), int(path.relative_to(directory).parts[0][3:])) for path in paths}
