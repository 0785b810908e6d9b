"""The one connection that writes: changes share transactions, and with these the disk's syncs.

Whoever holds the lock commits all that waits (group commit): sixty-four concurrent closes share
an fsync. Waking a thread takes longer than a small transaction, so as few as can be are woken: a
thread that has just synced a file commits the change that speaks of it, a quick change that need
not wait for the disk is made on the event loop, and only the others go to the writer's thread.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

log = logging.getLogger(__name__)

MAX_BATCH = 512
"""Changes that share one transaction: bounds how long the first of them waits."""

BUSY_SECONDS = 30.0
"""How long to wait for a lock that another program (a backup, a shell) holds on the file."""

RETRY_SECONDS = 0.01
"""How soon one looks again whether that lock is gone."""

MAX_UNFOLDED = 2000
"""Pages in the WAL, roughly, before it is folded into the database: 8 MB."""

PAGES_A_TRANSACTION = 8
PAGES_A_CHANGE = 2
"""From which the WAL's pages are guessed: SQLite tells them only while it folds."""

Function = Callable[[sqlite3.Connection], Any]


class CatalogError(Exception):
    """SQLite could not do what was asked: disk full, file unreadable, damaged."""


class Change:
    """A change that waits for its turn, and what became of it."""

    __slots__ = ("durable", "error", "function", "future", "made", "result")

    def __init__(self, function: Function, durable: bool) -> None:
        self.function = function
        self.durable = durable
        self.future: asyncio.Future[None] | None = None
        self.made = False
        self.result: Any = None
        self.error: BaseException | None = None

    def outcome(self) -> Any:
        """What the function returned. Raises what it raised."""
        if self.error is not None:
            raise self.error
        return self.result


class Writer:
    """Makes the changes of one database. ``fsync=False`` never waits for the disk."""

    def __init__(self, db: sqlite3.Connection, *, fsync: bool) -> None:
        self._db = db
        self._fsync = fsync
        self._lock = threading.Lock()
        self._waiting: deque[Change] = deque()
        self._tokens: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._synchronous = ""
        self._unfolded = 0
        db.execute("PRAGMA busy_timeout = 0")
        db.execute("PRAGMA wal_autocheckpoint = 0")  # nor may either hold up the event loop
        self._thread = threading.Thread(target=self._run, name="mogilefs-writer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish what waits, then close the connection."""
        self._tokens.put(False)
        self._thread.join()

    async def write(self, function: Function, *, durable: bool, quick: bool) -> Any:
        """Make one change; see ``Catalog.write``."""
        change = Change(function, durable and self._fsync)
        if not (quick and not change.durable and self._made_at_once(change)):
            change.future = asyncio.get_running_loop().create_future()
            self._waiting.append(change)
            self._tokens.put(True)
            await change.future  # cancelled or not, the change is made
        return change.outcome()

    def apply(self, functions: Sequence[Function]) -> list[Change]:
        """Make durable changes in the thread that calls; they are committed when this returns."""
        changes = [Change(function, self._fsync) for function in functions]
        self._waiting.extend(changes)
        with self._lock:
            while not all(change.made for change in changes):
                self._commit_some()
        return changes

    def _made_at_once(self, change: Change) -> bool:
        """Make a change here and now, if nobody else writes."""
        if self._waiting or self._unfolded > 2 * MAX_UNFOLDED:
            return False
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._use("NORMAL")
            return self._begun() and self._commit([change])
        except sqlite3.Error:
            return False
        finally:
            self._lock.release()

    def _begun(self) -> bool:
        """Begin a transaction; False while another program holds the lock on the file."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            return False
        return True

    def _run(self) -> None:
        with closing(self._db):
            while self._tokens.get():
                with self._lock:
                    self._commit_some()
            with self._lock:
                while self._waiting:
                    self._commit_some()

    def _commit_some(self) -> None:
        """Commit what waits, up to MAX_BATCH of it, in one transaction."""
        size = min(len(self._waiting), MAX_BATCH)
        if not size:
            return
        batch = [self._waiting.popleft() for _ in range(size)]
        try:
            self._use("FULL" if any(change.durable for change in batch) else "NORMAL")
            self._begin()
        except sqlite3.Error as error:
            _fail(batch, error)
        else:
            self._commit(batch)
        _settle(batch)
        self._fold_wal()

    def _begin(self) -> None:
        """Begin a transaction, when whoever else holds the lock has let go of it."""
        deadline = time.monotonic() + BUSY_SECONDS
        while not self._begun():
            if time.monotonic() > deadline:
                raise sqlite3.OperationalError("another program keeps the database locked")
            time.sleep(RETRY_SECONDS)

    def _use(self, synchronous: str) -> None:
        synchronous = synchronous if self._fsync else "OFF"
        if synchronous != self._synchronous:
            self._db.execute(f"PRAGMA synchronous = {synchronous}")
            self._synchronous = synchronous

    def _fold_wal(self) -> None:
        """Now and then move what the WAL holds into the database, never on the event loop."""
        if self._unfolded < MAX_UNFOLDED:
            return
        self._unfolded = 0
        try:
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as error:  # what is in the WAL is as safe there; it only grows
            log.warning("the database cannot take in its WAL: %s", error)

    def _commit(self, batch: Sequence[Change]) -> bool:
        """Make the changes of a transaction that has begun, and end it; True."""
        try:
            for change in batch:
                _make(self._db, change, alone=len(batch) == 1)
            self._db.execute("COMMIT")
            self._unfolded += PAGES_A_TRANSACTION + PAGES_A_CHANGE * len(batch)
        except BaseException as error:  # noqa: BLE001  # goes to all whose change was lost by it
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            _fail(batch, error)
        for change in batch:
            change.made = True
        return True


def _make(db: sqlite3.Connection, change: Change, *, alone: bool) -> None:
    """One change in its savepoint (the transaction itself serves where it has no company)."""
    if not alone:
        db.execute("SAVEPOINT change")
    try:
        change.result = change.function(db)
    except BaseException as error:  # noqa: BLE001  # raised again where the change was asked for
        change.error = error
        if alone:
            db.execute("ROLLBACK")
            db.execute("BEGIN IMMEDIATE")
        else:
            db.execute("ROLLBACK TO change")
    if not alone:
        db.execute("RELEASE change")


def _fail(batch: Sequence[Change], error: BaseException) -> None:
    failure = CatalogError(str(error)) if isinstance(error, sqlite3.Error) else error
    for change in batch:
        change.error = change.error or failure
        change.made = True


def _settle(batch: Sequence[Change]) -> None:
    """Wake those who wait: one call into each event loop, however many changes there were."""
    loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for change in batch:
        if change.future is not None:
            loops.setdefault(change.future.get_loop(), []).append(change.future)
    for loop, futures in loops.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_wake, futures)


def _wake(futures: Sequence[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
