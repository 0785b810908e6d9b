"""Open uploads: what ``create_open`` has handed out and ``create_close`` has not ended yet.

Nearly every upload is closed within milliseconds. So its row in ``tempfile`` is written only when
it has been open for a while: the others cost the catalogue nothing before they are files. An upload
that a crash makes unknown has a fid above the last durable write, and its bytes are swept at the
next start, as those of a row that a power failure took are.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from dataclasses import dataclass

from ..wire import to_bytes
from .catalog import Catalog
from .writer import CatalogError

WRITE_SECONDS = 0.25
"""An upload that is open for so long, or up to twice as long, has a row."""

MOST = 4096
"""Uploads held in memory, some 2 MB; the oldest are forgotten when they have their row."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class OpenUpload:
    """An upload under way. ``written``: whether its row was, or is about to be, written."""

    fid: int
    classid: int
    dmid: int
    key: str
    created: int
    devids: list[int]
    written: bool = False


class OpenUploads:
    """The open uploads of a node. For one event loop."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known: dict[int, OpenUpload] = {}
        self._ending: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    def add(self, upload: OpenUpload) -> None:
        """Note an upload that was opened, or could not be ended."""
        self._known[upload.fid] = upload
        self._write_soon()

    def _write_soon(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(WRITE_SECONDS, self._begin_to_write)

    def take(self, fid: int) -> OpenUpload | None:
        """The upload that is to be ended, None where there is none, or another is ending it.

        One that was ``written`` may have been given up meanwhile: ``forget`` tells. ``ended`` must
        follow.
        """
        if fid in self._ending:
            return None
        upload = self._known.pop(fid, None) or self._read(fid)
        if upload is not None:
            self._ending.add(fid)
        return upload

    def ended(self, fid: int) -> None:
        """Whoever took the upload is done with it."""
        self._ending.discard(fid)

    def _read(self, fid: int) -> OpenUpload | None:
        rows = self._catalog.read(
            "SELECT fid, classid, dmid, dkey, createtime, devids FROM tempfile WHERE fid = ?",
            (fid,),
        )
        if not rows:
            return None
        fid, classid, dmid, key, created, devids = rows[0]
        numbers = [int(devid) for devid in (devids or "").split(",") if devid]
        return OpenUpload(fid, classid, dmid, key, created, numbers, written=True)

    async def write(self, *, durable: bool = False) -> None:
        """Give each upload that has none its row. Raises CatalogError, sqlite3.Error."""
        new = [upload for upload in self._known.values() if not upload.written]
        if not new:
            return
        rows = [
            (each.fid, each.created, each.classid, each.dmid, to_bytes(each.key), _text(each))
            for each in new
        ]
        for upload in new:  # who ends it from now on has to delete the row
            upload.written = True
        try:
            await self._catalog.write(lambda db: db.executemany(_INSERT, rows), durable=durable)
        except BaseException:
            for upload in new:
                upload.written = False
            raise
        for fid in list(self._known)[:-MOST]:
            del self._known[fid]

    def _begin_to_write(self) -> None:
        self._timer = None
        self._writing = asyncio.create_task(self._write_or_try_again(), name="open-uploads")

    async def _write_or_try_again(self) -> None:
        try:
            await self.write()
        except (CatalogError, sqlite3.Error) as error:
            log.warning("open uploads are only in memory: %s", error)
            self._write_soon()

    async def stop(self) -> None:
        """Write what is still open. Raises CatalogError, sqlite3.Error."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await self._writing
        await self.write()


def _text(upload: OpenUpload) -> str:
    return ",".join(map(str, upload.devids))


_INSERT = (
    "INSERT OR IGNORE INTO tempfile (fid, createtime, classid, dmid, dkey, devids)"
    " VALUES (?, ?, ?, ?, CAST(? AS TEXT), ?)"
)


def forget(db: sqlite3.Connection, upload: OpenUpload) -> bool:
    """Delete the row of an upload that ends; False where another ended it before."""
    if not upload.written:
        return True
    return bool(db.execute("DELETE FROM tempfile WHERE fid = ?", (upload.fid,)).rowcount)
