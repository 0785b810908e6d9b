"""The catalogue: MogileFS's database in SQLite, one writer and many readers.

All changes go through one writer thread, which takes whatever is waiting, runs it in one
transaction and commits once (group commit): sixty-four concurrent closes share an fsync. Readers
never wait for the writer (WAL).

Text columns hold any bytes. They are read as ``str`` with ``surrogateescape``; what may not be
valid UTF-8 (keys) is bound as bytes: ``CAST(? AS TEXT)`` with ``wire.to_bytes(key)``.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ConfigurationError
from ..wire import to_text

T = TypeVar("T")
Row = tuple[Any, ...]

SCHEMA_VERSION = 17

BUSY_SECONDS = 30.0
"""How long to wait for a lock that another program (a backup, a shell) holds on the file."""

MAX_BATCH = 512
"""Changes that share one transaction: bounds how long the first of them waits."""

STATEMENTS_KEPT = 512
CACHE_KIB = 16 * 1024
"""SQLite's page cache for each of the connections."""


class CatalogError(Exception):
    """SQLite could not do what was asked: disk full, file unreadable, damaged."""


class _Write:
    """A change that waits for its turn, and the future of whoever asked for it."""

    __slots__ = ("durable", "error", "function", "future", "loop", "result")

    def __init__(
        self,
        function: Callable[[sqlite3.Connection], Any],
        durable: bool,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.function = function
        self.durable = durable
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Catalog:
    """One database file. ``fsync=False`` never waits for the disk (for tests, not for data)."""

    def __init__(self, path: Path, *, fsync: bool = True) -> None:
        self.path = path
        self._fsync = fsync
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._reader: sqlite3.Connection | None = None
        self._scanner: sqlite3.Connection | None = None
        self._scans = ThreadPoolExecutor(1, "mogilefs-scan")

    def open(self) -> None:
        """Create the database where there is none, and start the writer.

        Raises ConfigurationError for a file that is no MogileFS database of version 17.
        """
        with ExitStack() as failing:
            try:
                writer = failing.enter_context(closing(self._connect()))
                _prepare(writer, self.path)
                self._reader = failing.enter_context(closing(self._connect(read_only=True)))
                self._scanner = failing.enter_context(closing(self._connect(read_only=True)))
            except sqlite3.DatabaseError as error:
                raise ConfigurationError(f"{self.path} is no usable database: {error}") from error
            failing.pop_all()  # all is well: they stay open
        self._thread = threading.Thread(
            target=self._write_loop, args=(writer,), name="mogilefs-writer", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Finish what is queued, then close. May be called twice."""
        self._scans.shutdown()
        for connection in (self._reader, self._scanner):
            if connection is not None:
                connection.close()
        if self._thread is not None:  # the writer goes last: it folds the WAL into the database
            self._queue.put(None)
            self._thread.join()
        self._reader = self._scanner = self._thread = None

    def read(self, sql: str, params: Sequence[object] | Mapping[str, object] = ()) -> list[Row]:
        """Rows of a short query, at once, on the loop's thread; sees every finished write."""
        assert self._reader is not None, "the catalogue is not open"
        try:
            return self._reader.execute(sql, params).fetchall()
        except sqlite3.Error as error:
            raise CatalogError(str(error)) from error

    async def scan(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query that may take long beside the loop, on a read-only connection of its own."""
        scanner = self._scanner
        assert scanner is not None, "the catalogue is not open"
        try:
            return await asyncio.get_running_loop().run_in_executor(self._scans, function, scanner)
        except sqlite3.Error as error:
            raise CatalogError(str(error)) from error

    async def write(
        self, function: Callable[[sqlite3.Connection], T], *, durable: bool = True
    ) -> T:
        """Change the catalogue; returns what ``function`` returned, once that is committed.

        ``function`` runs in the writer thread inside a transaction that it may share with
        others, in a savepoint of its own: an exception undoes only this change and is raised
        here. ``durable`` changes survive a power failure, others a crash of the process.
        """
        write = _Write(function, durable, asyncio.get_running_loop())
        self._queue.put(write)
        result: T = await write.future  # cancelled or not, the change is made
        return result

    def _connect(self, *, read_only: bool = False) -> sqlite3.Connection:
        mode = "ro" if read_only else "rwc"
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,  # each is used by one thread at a time, opened by another
            cached_statements=STATEMENTS_KEPT,
        )
        connection.text_factory = to_text
        try:
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _write_loop(self, db: sqlite3.Connection) -> None:
        synchronous = ""
        stopping = False
        while not stopping:
            batch, stopping = self._next_batch()
            if not batch:
                continue
            wanted = "FULL" if self._fsync and any(w.durable for w in batch) else "NORMAL"
            if not self._fsync:
                wanted = "OFF"
            if wanted != synchronous:
                db.execute(f"PRAGMA synchronous = {wanted}")
                synchronous = wanted
            _commit(db, batch)
            _settle(batch)
        db.close()

    def _next_batch(self) -> tuple[list[_Write], bool]:
        batch: list[_Write] = []
        write = self._queue.get()
        while write is not None:
            batch.append(write)
            if len(batch) == MAX_BATCH:
                return batch, False
            try:
                write = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables in an empty database; refuse one that is of another version."""
    db.execute("PRAGMA journal_mode = WAL")
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        schema = resources.files(__package__).joinpath("schema.sql").read_text("utf-8")
        db.execute("PRAGMA synchronous = FULL")
        db.executescript(f"BEGIN IMMEDIATE;\n{schema}\nCOMMIT;")
        return
    if "server_settings" not in tables:
        raise ConfigurationError(f"{path} is no MogileFS database")
    rows = db.execute("SELECT value FROM server_settings WHERE field = 'schema_version'").fetchall()
    version = rows[0][0] if rows else "none"
    if version != str(SCHEMA_VERSION):
        raise ConfigurationError(
            f"{path} has MogileFS schema version {version}; this node needs {SCHEMA_VERSION}"
        )


def _commit(db: sqlite3.Connection, batch: list[_Write]) -> None:
    try:
        db.execute("BEGIN IMMEDIATE")
        for write in batch:
            _run(db, write, alone=len(batch) == 1)
        db.execute("COMMIT")
    except BaseException as error:  # noqa: BLE001  # goes to everyone whose change was lost by it
        failure = CatalogError(str(error)) if isinstance(error, sqlite3.Error) else error
        for write in batch:
            write.error = write.error or failure
        if db.in_transaction:
            db.execute("ROLLBACK")


def _run(db: sqlite3.Connection, write: _Write, *, alone: bool) -> None:
    """One change in its savepoint (the transaction itself serves where it has no company)."""
    if not alone:
        db.execute("SAVEPOINT change")
    try:
        write.result = write.function(db)
    except BaseException as error:  # noqa: BLE001  # raised again where the change was asked for
        write.error = error
        if alone:
            db.execute("ROLLBACK")
            db.execute("BEGIN IMMEDIATE")
        else:
            db.execute("ROLLBACK TO change")
    if not alone:
        db.execute("RELEASE change")


def _settle(batch: list[_Write]) -> None:
    """Wake those who wait: one call into each event loop, however many changes there were."""
    loops: dict[asyncio.AbstractEventLoop, list[_Write]] = {}
    for write in batch:
        loops.setdefault(write.loop, []).append(write)
    for loop, writes in loops.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle_on_loop, writes)


def _settle_on_loop(writes: list[_Write]) -> None:
    for write in writes:
        write.settle()
