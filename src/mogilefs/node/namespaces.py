"""Rows of domains and classes. Each function runs inside a write to the catalogue."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from ..wire import to_bytes
from .registry import DEFAULT_CLASS


def find_domain(db: sqlite3.Connection, name: str) -> int | None:
    """The number of a domain, None where there is none of that name."""
    row = db.execute(
        "SELECT dmid FROM domain WHERE namespace = CAST(? AS TEXT)", (to_bytes(name),)
    ).fetchone()
    return None if row is None else int(row[0])


def insert_domain(db: sqlite3.Connection, name: str) -> int:
    """Make a domain; returns its number. sqlite3.IntegrityError if it is there already."""
    (dmid,) = db.execute("SELECT coalesce(max(dmid), 0) + 1 FROM domain").fetchone()
    db.execute(
        "INSERT INTO domain (dmid, namespace) VALUES (?, CAST(? AS TEXT))", (dmid, to_bytes(name))
    )
    return int(dmid)


def insert_class(
    db: sqlite3.Connection, dmid: int, name: str, settings: Mapping[str, object]
) -> None:
    """Make a class from columns; ``default`` is always number 0. sqlite3.IntegrityError if the
    domain has it already."""
    (highest,) = db.execute(
        "SELECT coalesce(max(classid), 0) FROM class WHERE dmid = ?", (dmid,)
    ).fetchone()
    columns = "".join(f", {column}" for column in settings)
    db.execute(
        f"INSERT INTO class (dmid, classid, classname{columns})"  # noqa: S608  # our own columns
        f" VALUES (?, ?, CAST(? AS TEXT){', ?' * len(settings)})",
        (dmid, 0 if name == DEFAULT_CLASS else highest + 1, to_bytes(name), *settings.values()),
    )


def update_class(
    db: sqlite3.Connection, dmid: int, name: str, settings: Mapping[str, object]
) -> bool:
    """Change columns of a class; False where it has no row."""
    columns = ", ".join(f"{column} = ?" for column in settings)
    changed = db.execute(
        f"UPDATE class SET {columns}"  # noqa: S608  # our own columns
        " WHERE dmid = ? AND classname = CAST(? AS TEXT)",
        (*settings.values(), dmid, to_bytes(name)),
    ).rowcount
    return changed > 0
