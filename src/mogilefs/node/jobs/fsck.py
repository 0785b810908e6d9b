"""Checking files one at a time: are all copies there, whole, and where the policy wants them?

What is found is written down with MogileFS's codes (``fsckstate.CODES``) and mended: bad locations
are forgotten, lost ones remembered, and the file is queued for replication. No bytes are deleted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from sqlite3 import Connection

from ..policies import Satisfied
from ..registry import HASH_NAMES, HASH_NUMBERS, FileClass, number_setting, setting
from . import fsckstate, records
from .context import JobContext
from .filequeue import FileQueueJob, Queued
from .foreign import StorageError
from .placement import decide
from .records import Checksum, FileRow

log = logging.getLogger(__name__)


class Findings:
    """What was found out about one file, and what is to be changed about it."""

    def __init__(self, file: FileRow) -> None:
        self.file = file
        self.log: list[tuple[str, int | None]] = []
        self.forget: set[int] = set()
        self.found: set[int] = set()
        self.digest: tuple[int, str] | None = None
        self.replicate = False

    def note(self, code: str, devid: int | None = None) -> None:
        """Write down a finding."""
        self.log.append((code, devid))

    def apply(self, db: Connection) -> None:
        """Change the catalogue; nothing, where the file has left the namespace meanwhile."""
        fid = self.file.fid
        records.unqueue(db, fid, records.FSCK_QUEUE)
        if not self.log or not db.execute("SELECT 1 FROM file WHERE fid = ?", (fid,)).fetchone():
            return
        for code, devid in self.log:
            fsckstate.log(db, fid, code, devid)
        for devid in self.forget:
            db.execute("DELETE FROM file_on WHERE fid = ? AND devid = ?", (fid, devid))
        for devid in self.found:
            records.add_location(db, fid, devid)
        if self.digest:
            records.store_checksum(db, fid, *self.digest)
        if self.replicate:
            records.queue_replication(db, fid)
        records.count_devices(db, fid)


class Fsck(FileQueueJob):
    """Works off what FsckFeed has queued."""

    kind = records.FSCK_QUEUE

    def __init__(self, context: JobContext, replicate: Callable[[], None]) -> None:
        super().__init__(context)
        self._replicate = replicate

    async def work(self, item: Queued) -> None:
        file = records.find_file(self._context.catalog, item.fid)
        if file is None:
            await self.forget(item)
            return
        findings = await self._check(file)
        await self._context.catalog.write(findings.apply, durable=False)
        if findings.replicate:
            self._replicate()

    async def _check(self, file: FileRow) -> Findings:
        """Look at one file. The caller holds the claim on it."""
        catalog = self._context.catalog
        findings = Findings(file)
        file_class = self._context.registry.file_class(file.dmid, file.classid)
        rows = records.locations(catalog, file.fid)
        copies = self._context.live(rows)
        if file.devcount != len(rows) and setting(catalog, "skip_devcount") in ("", "0"):
            findings.note("BCNT")
        violated = bool(copies) and not self._satisfied(file, file_class, copies)
        if violated:
            findings.note("POVI")
        if not copies:
            findings.note("NOPA")
            await self._search(findings)
        elif not number_setting(catalog, fsckstate.POLICY_ONLY):
            await self._look(findings, file_class, copies)
        left = (set(copies) - findings.forget) | findings.found
        changed = violated or findings.forget or findings.found
        if left and changed and not self._satisfied(file, file_class, left):
            findings.note("REPL")
            findings.replicate = True
        return findings

    def _satisfied(self, file: FileRow, file_class: FileClass, devids: Collection[int]) -> bool:
        places = self._context.places(file.length)
        held = [places[devid] for devid in devids if devid in places]
        return isinstance(decide(file_class, held, list(places.values())), Satisfied)

    async def _look(self, findings: Findings, file_class: FileClass, copies: list[int]) -> None:
        """Ask the storage nodes. A copy on a device that cannot be asked now counts as good."""
        sound = await self._sound(findings, copies)
        if len(findings.forget) == len(copies):
            await self._search(findings)
        elif sound:
            await self._sums(findings, file_class, sound)

    async def _sound(self, findings: Findings, copies: list[int]) -> list[int]:
        """The copies that are there with the right length; the others are to be forgotten."""
        file, sound = findings.file, []
        for devid in copies:
            if not self._context.may_read(devid):
                continue
            try:
                size = await self._context.replicas.size(devid, file.fid)
            except StorageError as error:
                log.warning("fsck cannot see fid %d: %s", file.fid, error)
                continue
            if size == file.length:
                sound.append(devid)
            else:
                findings.note("MISS" if size is None else "BLEN", devid)
                findings.forget.add(devid)
        return sound

    async def _search(self, findings: Findings) -> None:
        """Look for a good copy on every device there is; one is enough to make others from."""
        findings.note("SRCH")
        file = findings.file
        stored = records.checksum(self._context.catalog, file.fid)
        for devid in list(self._context.registry.devices):
            if devid in findings.forget or not self._context.may_read(devid):
                continue
            try:
                if await self._context.replicas.size(devid, file.fid) != file.length:
                    continue
            except StorageError as error:
                log.warning("fsck cannot search device %d: %s", devid, error)
                continue
            if stored is None or await self._digest(file.fid, devid, stored) == stored.hex:
                findings.note("FOND", devid)
                findings.found.add(devid)
                return
        findings.note("GONE")

    async def _digest(self, fid: int, devid: int, like: Checksum) -> str | None:
        """The digest of a copy, None where it cannot be read."""
        try:
            return await self._context.replicas.checksum(devid, fid, like.algorithm)
        except StorageError as error:
            log.warning("fsck cannot read fid %d: %s", fid, error)
            return None

    async def _sums(self, findings: Findings, file_class: FileClass, sound: list[int]) -> None:
        """Compare the bytes: with the stored checksum, where there is none with each other."""
        wanted = setting(self._context.catalog, "fsck_checksum")
        hashtype = HASH_NUMBERS.get(wanted, file_class.hashtype or 0)
        if wanted == "off" or hashtype not in HASH_NAMES:
            return
        stored = records.checksum(self._context.catalog, findings.file.fid)
        if stored is not None and stored.hashtype != hashtype:
            if hashtype == file_class.hashtype:
                findings.note("BALG")
            return
        like = stored or Checksum(hashtype, "")
        digests = {devid: await self._digest(findings.file.fid, devid, like) for devid in sound}
        told = {digest for digest in digests.values() if digest is not None}
        if stored is not None:
            self._compare(findings, digests, stored.hex)
        elif len(told) > 1:
            findings.note("BSUM" if hashtype == file_class.hashtype else "MSUM")
        elif hashtype == file_class.hashtype and None not in digests.values():
            findings.note("NSUM")
            findings.digest = (hashtype, told.pop())

    def _compare(self, findings: Findings, digests: dict[int, str | None], expected: str) -> None:
        """Copies that do not match are forgotten if one does; nothing is known for sure if none.

        One that cannot be read is as bad on an own disk; elsewhere it is the host's trouble.
        """
        wrong = [
            devid
            for devid, digest in digests.items()
            if digest != expected and (digest is not None or self._context.replicas.owns(devid))
        ]
        matched = expected in digests.values()
        for devid in wrong:
            if matched or digests[devid] is not None:
                findings.note("BSUM", devid)
        if matched:
            findings.forget.update(wrong)
