"""The catalogue: MogileFS's database in SQLite, one writer and many readers.

All changes go through one connection (``writer``). Readers never wait for it (WAL).

Text columns hold any bytes. They are read as ``str`` with ``surrogateescape``; what may not be
valid UTF-8 (keys) is bound as bytes: ``CAST(? AS TEXT)`` with ``wire.to_bytes(key)``.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ConfigurationError
from ..wire import to_text
from .writer import BUSY_SECONDS, CatalogError, Change, Writer

T = TypeVar("T")
Row = tuple[Any, ...]

SCHEMA_VERSION = 17

STATEMENTS_KEPT = 512
CACHE_KIB = 16 * 1024
"""SQLite's page cache for each of the connections."""


class Catalog:
    """One database file. ``fsync=False`` never waits for the disk (for tests, not for data)."""

    def __init__(self, path: Path, *, fsync: bool = True) -> None:
        self.path = path
        self._fsync = fsync
        self._writer: Writer | None = None
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
        self._writer = Writer(writer, fsync=self._fsync)

    def close(self) -> None:
        """Finish what is queued, then close. May be called twice."""
        self._scans.shutdown()
        for connection in (self._reader, self._scanner):
            if connection is not None:
                connection.close()
        if self._writer is not None:  # the writer goes last: it folds the WAL into the database
            self._writer.close()
        self._reader = self._scanner = self._writer = None

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
        self,
        function: Callable[[sqlite3.Connection], T],
        *,
        durable: bool = True,
        quick: bool = False,
    ) -> T:
        """Change the catalogue; returns what ``function`` returned, once that is committed.

        ``function`` runs inside a transaction that it may share with others, in a savepoint of
        its own: an exception undoes only this change and is raised here. ``durable`` changes
        survive a power failure, others a crash of the process. ``quick`` ones touch a few rows:
        they may be made on the event loop where they need not wait for the disk, the others are
        made in a thread.
        """
        assert self._writer is not None, "the catalogue is not open"
        result: T = await self._writer.write(function, durable=durable, quick=quick)
        return result

    def apply(self, functions: Sequence[Callable[[sqlite3.Connection], Any]]) -> list[Change]:
        """Make durable changes in the calling thread; they are committed when this returns.

        Each is undone alone where it fails. For threads that have waited for a disk already.
        """
        assert self._writer is not None, "the catalogue is not open"
        return self._writer.apply(functions)

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
