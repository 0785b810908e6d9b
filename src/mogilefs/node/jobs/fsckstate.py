"""How far an fsck is, kept in MogileFS's own server settings, so that a restart goes on with it."""

from __future__ import annotations

from sqlite3 import Connection

from ..catalog import Catalog
from ..registry import number_setting, setting, whole
from . import records
from .records import get_setting, set_setting

HOST = "fsck_host"
START_TIME = "fsck_start_time"
STOP_TIME = "fsck_stop_time"
CHECKED = "fsck_fids_checked"
END = "fsck_fid_at_end"
REACHED = "fsck_highest_fid_checked"
START_FID = "fsck_start_fid"
POLICY_ONLY = "fsck_opt_policy_only"
COUNT = "fsck_sum_evcount_"
LOG_BEFORE = "fsck_start_maxlogid"
LOG_COUNTED = "fsck_logid_processed"
"""The last row of the log before this run, and the last that is in the counts. The node counts as
it logs; a real tracker that takes over counts what comes behind."""

CODES = (
    *("NOPA", "POVI", "MISS", "BLEN", "SRCH", "FOND", "GONE"),
    *("REPL", "BCNT", "NSUM", "BSUM", "MSUM", "BALG"),
)
"""What can be found. NOPA: on no device. POVI: the policy is not kept. MISS, BLEN: a copy is
missing, is of the wrong length. SRCH: every device is searched. FOND, GONE: found there, or not.
REPL: queued for replication. BCNT: the number of devices was wrong. NSUM: a checksum was missing.
BSUM: bytes do not match it. MSUM: copies differ. BALG: the checksum is of another algorithm."""


def running(catalog: Catalog) -> bool:
    """Are files being queued to be checked?"""
    return bool(setting(catalog, HOST))


def counts(catalog: Catalog) -> dict[str, int]:
    """How often each code was found since the last reset."""
    found = {code: number_setting(catalog, COUNT + code) for code in CODES}
    return {code: count for code, count in found.items() if count}


def reset(db: Connection, *, after: int, policy_only: bool) -> None:
    """Forget how far the last one came; the next begins behind the fid ``after``."""
    set_setting(db, START_FID, None)
    set_setting(db, REACHED, after)
    set_setting(db, POLICY_ONLY, 1 if policy_only else 0)
    _reset_counts(db)


def _reset_counts(db: Connection) -> None:
    """A new run: up to the newest file, nothing found yet."""
    for name in (START_TIME, STOP_TIME, *(COUNT + code for code in CODES)):
        set_setting(db, name, None)
    set_setting(db, END, newest_fid(db))
    set_setting(db, CHECKED, 0)
    (logged,) = db.execute("SELECT coalesce(max(logid), 0) FROM fsck_log").fetchone()
    set_setting(db, LOG_BEFORE, logged)
    set_setting(db, LOG_COUNTED, logged)


def start(db: Connection, host: str) -> bool:
    """Begin, or go on where the last one stopped; False where one is running."""
    if get_setting(db, HOST):
        return False
    reached = whole(get_setting(db, REACHED))
    if whole(get_setting(db, END)) <= reached:  # that one was finished: what is newer is left
        _reset_counts(db)
    set_setting(db, START_FID, reached)
    set_setting(db, CHECKED, 0)
    set_setting(db, START_TIME, records.now())
    set_setting(db, STOP_TIME, None)
    set_setting(db, HOST, host)
    return True


def stop(db: Connection) -> None:
    """Queue no more; what is queued is still checked."""
    set_setting(db, HOST, None)
    set_setting(db, STOP_TIME, records.now())


def log(db: Connection, fid: int, code: str, devid: int | None = None) -> None:
    """Write down a finding, and count it."""
    logid = db.execute(
        "INSERT INTO fsck_log (utime, fid, evcode, devid) VALUES (?, ?, ?, ?)",
        (records.now(), fid, code, devid),
    ).lastrowid
    set_setting(db, LOG_COUNTED, logid)
    db.execute(
        "INSERT INTO server_settings (field, value) VALUES (?, '1')"
        " ON CONFLICT (field) DO UPDATE SET value = CAST(value + 1 AS TEXT)",
        (COUNT + code,),
    )


def newest_fid(db: Connection) -> int:
    """The highest fid in the namespace."""
    return int(db.execute("SELECT coalesce(max(fid), 0) FROM file").fetchone()[0])
