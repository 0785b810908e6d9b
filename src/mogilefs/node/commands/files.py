"""Files by key: where they are, what they are, and changing or deleting them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Awaitable, Sequence

from ...wire import Request, decode_request, to_bytes
from ..catalog import Row
from ..chance import chance
from ..jobs.records import locations
from ..registry import Registry
from ..writer import Function
from .copies import at_hand, own_length, stored_checksum
from .copies import length as length_of
from .table import Ahead, CommandError, Context, Values, command, number, required_key

DEFAULT_PATHS = 2
"""Paths that get_paths gives, at least, where there are as many."""


def find_file(ctx: Context, dmid: int, key: str, columns: str) -> Row:
    """Columns of a file's row: unknown_key."""
    rows = ctx.catalog.read(
        f"SELECT {columns} FROM file WHERE dmid = ? AND dkey = CAST(? AS TEXT)",  # noqa: S608 # ours
        (dmid, to_bytes(key)),
    )
    if not rows:
        raise CommandError("unknown_key", f"No file under key {key!r}")
    return rows[0]


@command("get_paths")
def get_paths(ctx: Context, request: Request) -> Values | Awaitable[Values]:
    """URLs of a file's replicas, best first, each looked at unless ``noverify`` is given."""
    domain = ctx.domain(request)
    key = required_key(request)
    rows = ctx.catalog.read(
        "SELECT f.fid, f.length, o.devid FROM file f LEFT JOIN file_on o ON o.fid = f.fid"
        " WHERE f.dmid = ? AND f.dkey = CAST(? AS TEXT)",
        (domain.dmid, to_bytes(key)),
    )
    if not rows:
        raise CommandError("unknown_key", f"No file under key {key!r}")
    fid, length, _ = rows[0]
    devids = [devid for _, _, devid in rows]
    wanted = max(number(request.given("pathcount")), DEFAULT_PATHS)
    zone = request.given("zone")
    best = _reading_order(ctx.registry, devids)
    if request.given("noverify") is not None:
        return _paths(ctx, fid, best[:wanted] or _last_resort(ctx.registry, devids), zone)
    if not at_hand(ctx, best):
        return _verified_paths(ctx, (fid, length), (devids, best), wanted, zone)
    found = [devid for devid in best if own_length(ctx, devid, fid) == length]
    return _paths(ctx, fid, found[:wanted] or _last_resort(ctx.registry, devids), zone)


def _reading_order(registry: Registry, devids: Sequence[int]) -> list[int]:
    """Those that may be read, drawn by weight; what is being drained comes last."""
    sources = registry.sources()
    readable = [sources[devid] for devid in devids if devid in sources]
    if len(readable) > 1:
        readable.sort(key=lambda d: (d.status == "drain", -chance.random() * max(d.weight, 1e-9)))
    return [device.devid for device in readable]


def _last_resort(registry: Registry, devids: Sequence[int]) -> list[int]:
    """A device that cannot be read now, where no other has the file."""
    known, sources = registry.devices, registry.sources()
    return [devid for devid in devids if devid in known and devid not in sources][:1]


async def _verified_paths(
    ctx: Context,
    file: tuple[int, int],
    devids: tuple[Sequence[int], Sequence[int]],
    wanted: int,
    zone: str | None,
) -> Values:
    fid, length = file
    held, best = devids
    found: list[int] = []
    for devid in best:
        if len(found) < wanted and await length_of(ctx, devid, fid) == length:
            found.append(devid)
    return _paths(ctx, fid, found or _last_resort(ctx.registry, held), zone)


def _paths(ctx: Context, fid: int, devids: Sequence[int], zone: str | None) -> Values:
    values: Values = {"paths": len(devids)}
    for index, devid in enumerate(devids, 1):
        values[f"path{index}"] = ctx.registry.read_url(devid, fid, ctx.peer, zone)
    return values


@command("file_info")
def file_info(ctx: Context, request: Request) -> Values:
    """What the catalogue says about a file."""
    domain = ctx.domain(request)
    key = required_key(request)
    fid, length, classid, devcount = find_file(
        ctx, domain.dmid, key, "fid, length, classid, devcount"
    )
    file_class = ctx.registry.file_class(domain.dmid, classid)
    values: Values = {
        "fid": fid,
        "domain": domain.name,
        "key": key,
        "class": file_class.name,
        "length": length,
        "devcount": devcount,
    }
    if file_class.hashtype is not None:
        values["checksum"] = stored_checksum(ctx, fid) or "MISSING"
    if request.given("devices") is not None:
        values["devids"] = ",".join(map(str, locations(ctx.catalog, fid)))
    return values


@command("delete")
async def delete(ctx: Context, request: Request) -> Values:
    """Take a key away; its bytes are freed in the background."""
    domain = ctx.domain(request)
    key = required_key(request)
    await ctx.catalog.write(lambda db: _delete(db, domain.dmid, key))
    ctx.node.wake("delete")
    return {}


def _fid_of(db: sqlite3.Connection, dmid: int, key: str, code: str = "unknown_key") -> int:
    row = db.execute(
        "SELECT fid FROM file WHERE dmid = ? AND dkey = CAST(? AS TEXT)", (dmid, to_bytes(key))
    ).fetchone()
    if row is None:
        raise CommandError(code, f"No file under key {key!r}")
    return int(row[0])


def _delete(db: sqlite3.Connection, dmid: int, key: str) -> None:
    fid = _fid_of(db, dmid, key)
    db.execute("DELETE FROM file WHERE fid = ?", (fid,))
    db.execute(
        "INSERT OR REPLACE INTO file_to_delete2 (fid, nexttry, failcount) VALUES (?, ?, 0)",
        (fid, int(time.time())),
    )


@command("rename")
async def rename(ctx: Context, request: Request) -> Values:
    """Give a file another key, unless that is taken."""
    ahead, ctx.ahead = ctx.ahead, None
    if ahead is not None and ahead.made is not None:
        ahead.made.outcome()
    else:
        await ctx.catalog.write(_renaming(ctx, request))
    return {}


def rename_ahead(ctx: Context, line: bytes) -> Ahead | None:
    """What a line that comes next will change, if it is a good ``rename``."""
    if not line.startswith(b"rename "):
        return None
    try:
        return Ahead(_renaming(ctx, decode_request(line)))
    except CommandError:  # to be told when it is the line's turn
        return None


def _renaming(ctx: Context, request: Request) -> Function:
    domain = ctx.domain(request)
    old, new = required_key(request, "from_key"), required_key(request, "to_key")
    return lambda db: _rename(db, domain.dmid, old, new)


def _rename(db: sqlite3.Connection, dmid: int, old: str, new: str) -> None:
    fid = _fid_of(db, dmid, old)
    try:
        db.execute("UPDATE file SET dkey = CAST(? AS TEXT) WHERE fid = ?", (to_bytes(new), fid))
    except sqlite3.IntegrityError as error:
        raise CommandError("key_exists", f"Key {new!r} is taken") from error


@command("updateclass")
async def updateclass(ctx: Context, request: Request) -> Values:
    """Move a file to another class; its replicas follow in the background."""
    domain = ctx.domain(request)
    key = required_key(request)
    name = request.given("class")
    if name is None:
        raise CommandError("no_class", "No class provided")
    found = ctx.registry.class_named(domain.dmid, name)
    if found is None:
        raise CommandError("class_not_found", f"Domain {domain.name!r} has no class {name!r}")
    await ctx.catalog.write(lambda db: _update_class(db, domain.dmid, key, found.classid))
    ctx.node.wake("replicate")
    return {}


def _update_class(db: sqlite3.Connection, dmid: int, key: str, classid: int) -> None:
    fid = _fid_of(db, dmid, key, "invalid_key")
    if db.execute("SELECT 1 FROM file_on WHERE fid = ? LIMIT 1", (fid,)).fetchone() is None:
        raise CommandError("no_devices", f"The file under key {key!r} is on no device")
    changed = db.execute(
        "UPDATE file SET classid = ? WHERE fid = ? AND classid != ?", (classid, fid, classid)
    ).rowcount
    if changed:
        db.execute("INSERT OR REPLACE INTO file_to_replicate (fid, nexttry) VALUES (?, 0)", (fid,))


@command("edit_file")
def edit_file(ctx: Context, request: Request) -> Values:
    """An extension of WebDAV's that needs memcache in the original: never available here."""
    ctx.domain(request)
    required_key(request)
    raise CommandError("failure", "edit_file is not supported")
