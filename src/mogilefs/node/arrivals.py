"""Files on their way into the devices, so that who empties a place ends what is still to come.

A PUT puts its file into its place at the end, by a rename that would bring back what was removed
meanwhile. MogileFS's own storage node writes in place: there, too, a file that is removed while it
is written stays removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from threading import Lock

Key = tuple[int, str]
"""A device, and a path below its directory."""


class Emptied(Exception):
    """The place of a file was emptied while the file was on its way: it is not wanted there."""


class Arrival:
    """A file on its way to its place."""

    __slots__ = ("_lock", "_stopped", "key")

    def __init__(self, key: Key) -> None:
        self.key = key
        self._lock = Lock()
        self._stopped = False

    def publish(self, move: Callable[[], None]) -> None:
        """Move the file to its place, unless that was emptied: ``Emptied``."""
        with self._lock:
            if self._stopped:
                raise Emptied(self.key[1])
            move()

    def stop(self) -> None:
        """Have it not published any more; waits for a move that has begun."""
        with self._lock:
            self._stopped = True


class Arrivals:
    """All files on their way; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._coming: dict[Key, list[Arrival]] = {}
        self._awaited: dict[Key, list[Future[None]]] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._coming

    def begin(self, devid: int, path: str) -> Arrival:
        """A file sets out; ``end`` must follow."""
        arrival = Arrival((devid, path))
        with self._lock:
            self._coming.setdefault(arrival.key, []).append(arrival)
        return arrival

    def end(self, arrival: Arrival) -> None:
        """It is in its place, or will not come."""
        key = arrival.key
        with self._lock:
            self._coming[key].remove(arrival)
            if not self._coming[key]:
                del self._coming[key]
            awaited = self._awaited.pop(key, ())
        for future in awaited:
            if future.set_running_or_notify_cancel():
                future.set_result(None)

    def stop(self, devid: int, paths: Iterable[str]) -> None:
        """Nothing that is on its way to these places now will get there.

        May wait for the disk, where something is just being put there.
        """
        if not self._coming:
            return
        with self._lock:
            doomed = [each for path in paths for each in self._coming.get((devid, path), ())]
        for arrival in doomed:
            arrival.stop()

    async def wait(self, devid: int, path: str, seconds: float) -> bool:
        """Wait until a file on its way there is there, or will not come.

        False where there is none on its way, or it takes more than ``seconds``.
        """
        future: Future[None] = Future()
        with self._lock:
            if (devid, path) not in self._coming:
                return False
            self._awaited.setdefault((devid, path), []).append(future)
        ended, _ = await asyncio.wait([asyncio.wrap_future(future)], timeout=seconds)
        return bool(ended)
