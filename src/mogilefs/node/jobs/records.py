"""What the background jobs read from and write to the catalogue about single files."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from sqlite3 import Connection

from ...wire import to_bytes
from ..catalog import Catalog
from ..registry import HASH_NAMES

FSCK_QUEUE = 1
REBALANCE_QUEUE = 2
"""Values of ``file_to_queue.type``."""


def now() -> int:
    """The time as the catalogue keeps it: unix seconds."""
    return int(time.time())


@dataclass(frozen=True)
class FileRow:
    """A file of the namespace. ``devcount`` is what the catalogue has counted last."""

    fid: int
    dmid: int
    classid: int
    length: int
    devcount: int


@dataclass(frozen=True)
class Checksum:
    """A stored checksum: MogileFS's number of the algorithm, and the digest in hex."""

    hashtype: int
    hex: str

    @property
    def algorithm(self) -> str:
        """``MD5`` or ``SHA-1``."""
        return HASH_NAMES[self.hashtype]


def find_file(catalog: Catalog, fid: int) -> FileRow | None:
    """The file of that number, None when it is not (or no longer) in the namespace."""
    rows = catalog.read(
        "SELECT fid, dmid, classid, coalesce(length, 0), devcount FROM file WHERE fid = ?", (fid,)
    )
    return FileRow(*rows[0]) if rows else None


def locations(catalog: Catalog, fid: int) -> list[int]:
    """The devices that the catalogue has the file on, in ascending order."""
    return locations_of(catalog, [fid])[fid]


def locations_of(catalog: Catalog, fids: Sequence[int]) -> dict[int, list[int]]:
    """The same for several files, by fid."""
    found: dict[int, list[int]] = {fid: [] for fid in fids}
    sql = f"SELECT fid, devid FROM file_on WHERE fid IN ({_marks(fids)}) ORDER BY 1, 2"  # noqa: S608 - only marks
    for fid, devid in catalog.read(sql, fids):
        found[fid].append(devid)
    return found


def in_use(catalog: Catalog, fids: Sequence[int]) -> set[int]:
    """Those that are files, or uploads that may still become files."""
    marks = _marks(fids)
    found: set[int] = set()
    for table in ("file", "tempfile"):
        rows = catalog.read(f"SELECT fid FROM {table} WHERE fid IN ({marks})", fids)  # noqa: S608 - constant names, marks
        found.update(fid for (fid,) in rows)
    return found


def _marks(fids: Sequence[int]) -> str:
    return ",".join("?" * len(fids))


def checksum(catalog: Catalog, fid: int) -> Checksum | None:
    """The file's stored checksum; None where there is none of a known algorithm."""
    rows = catalog.read("SELECT hashtype, checksum FROM checksum WHERE fid = ?", (fid,))
    if not rows or rows[0][0] not in HASH_NAMES:
        return None
    return Checksum(rows[0][0], bytes(rows[0][1]).hex())


def store_checksum(db: Connection, fid: int, hashtype: int, digest: str) -> None:
    """Keep a checksum that was computed; one that is there already stays."""
    db.execute(
        "INSERT OR IGNORE INTO checksum (fid, hashtype, checksum) VALUES (?, ?, ?)",
        (fid, hashtype, bytes.fromhex(digest)),
    )


def add_location(db: Connection, fid: int, devid: int) -> None:
    """The file is on the device."""
    db.execute("INSERT OR IGNORE INTO file_on (fid, devid) VALUES (?, ?)", (fid, devid))
    count_devices(db, fid)


def drop_location(db: Connection, fid: int, devid: int) -> None:
    """The file is not on the device."""
    db.execute("DELETE FROM file_on WHERE fid = ? AND devid = ?", (fid, devid))
    count_devices(db, fid)


def count_devices(db: Connection, fid: int) -> None:
    """Bring ``devcount`` up to date, unless the setting ``skip_devcount`` is on."""
    db.execute(
        "UPDATE file SET devcount = (SELECT count(*) FROM file_on WHERE fid = :fid)"
        " WHERE fid = :fid AND NOT EXISTS (SELECT 1 FROM server_settings"
        "   WHERE field = 'skip_devcount' AND value NOT IN ('', '0'))",
        {"fid": fid},
    )


def queue_replication(db: Connection, fid: int, nexttry: int | None = None) -> None:
    """Have the file's copies looked at; one that waits for a later time is taken up now."""
    db.execute(
        "INSERT INTO file_to_replicate (fid, nexttry) VALUES (?, ?)"
        " ON CONFLICT (fid) DO UPDATE SET nexttry = min(nexttry, excluded.nexttry)",
        (fid, now() if nexttry is None else nexttry),
    )


def queue_deletion(db: Connection, fids: Iterable[int]) -> None:
    """Have the bytes of files removed that are no longer in the namespace."""
    db.executemany(
        "INSERT OR IGNORE INTO file_to_delete2 (fid, nexttry) VALUES (?, ?)",
        [(fid, now()) for fid in fids],
    )


def give_up(db: Connection, fid: int, devids: Iterable[int]) -> None:
    """An upload came to nothing: its bytes, on whichever of the devices they are, are to go."""
    db.executemany(
        "INSERT OR IGNORE INTO file_on (fid, devid) VALUES (?, ?)",
        [(fid, devid) for devid in devids],
    )
    queue_deletion(db, [fid])


def unqueue(db: Connection, fid: int, kind: int) -> None:
    """Take a file off ``file_to_queue``."""
    db.execute("DELETE FROM file_to_queue WHERE fid = ? AND type = ?", (fid, kind))


def get_setting(db: Connection, name: str) -> str:
    """A server setting inside a change; empty where it is not set."""
    row = db.execute("SELECT value FROM server_settings WHERE field = ?", (name,)).fetchone()
    return str(row[0]) if row and row[0] is not None else ""


def set_setting(db: Connection, name: str, value: object) -> None:
    """Set a server setting; None removes it."""
    field = to_bytes(name)
    if value is None:
        db.execute("DELETE FROM server_settings WHERE field = CAST(? AS TEXT)", (field,))
        return
    db.execute(
        "INSERT INTO server_settings (field, value) VALUES (CAST(? AS TEXT), CAST(? AS TEXT))"
        " ON CONFLICT (field) DO UPDATE SET value = excluded.value",
        (field, to_bytes(str(value))),
    )
