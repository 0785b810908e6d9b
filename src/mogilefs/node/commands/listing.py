"""Listing keys and fids, and all that is known about one file."""

from __future__ import annotations

from ...wire import Request, to_bytes
from ..catalog import Row
from ..jobs.records import FSCK_QUEUE, REBALANCE_QUEUE, locations
from ..keys import list_prefix
from ..registry import setting
from .copies import stored_checksum
from .files import find_file
from .table import CommandError, Context, Values, command, number, required_key

MAX_KEYS = 1000
"""Keys in one reply of list_keys: its default too."""

DEFAULT_FIDS = 100
MAX_FIDS = 500
"""Files in one reply of list_fids."""


@command("list_keys")
def list_keys(ctx: Context, request: Request) -> Values:
    """Keys of a domain in the order of their bytes, a page at a time."""
    domain = ctx.domain(request)
    prefix, after = request.args.get("prefix", ""), request.args.get("after", "")
    exact = setting(ctx.catalog, "case_sensitive_list_keys") == "1"
    if request.given("after") is not None and not _starts(after, prefix):
        raise CommandError("after_mismatch", f"{after!r} does not begin with {prefix!r}")
    keys = list_prefix(
        ctx.catalog, domain.dmid, to_bytes(prefix), to_bytes(after), _limit(request), exact=exact
    )
    if not keys:
        raise CommandError("none_match", "No keys match that pattern and after-value")
    values: Values = {f"key_{index}": key for index, key in enumerate(keys, 1)}
    return values | {"key_count": len(keys), "next_after": keys[-1]}


def _limit(request: Request) -> int:
    text = request.given("limit")
    limit = MAX_KEYS if text is None else number(text)
    return limit if 0 <= limit <= MAX_KEYS else MAX_KEYS


def _starts(after: str, prefix: str) -> bool:
    """Does ``after`` lie under the prefix? Case always matters here, and a dot in the prefix stands
    for any character, as in the original, where the prefix is taken as a regular expression."""
    return len(after) >= len(prefix) and all(
        wanted in (".", got) for wanted, got in zip(prefix, after, strict=False)
    )


@command("list_fids")
def list_fids(ctx: Context, request: Request) -> Values:
    """Files by number: those above ``from``, ``to`` of them (a count, whatever its name says)."""
    count = number(request.given("to")) or DEFAULT_FIDS
    if not 0 < count <= MAX_FIDS:
        count = MAX_FIDS
    rows = ctx.catalog.read(
        "SELECT fid, dmid, dkey, length, classid, devcount FROM file WHERE fid > ?"
        " ORDER BY fid LIMIT ?",
        (number(request.given("from")), count),
    )
    values: Values = {"fid_count": len(rows)}
    for index, row in enumerate(rows, 1):
        fields = _file_fields(ctx, row)
        values |= {
            f"fid_{index}_{name}": fields[name]
            for name in ("fid", "key", "domain", "class", "length", "devcount")
        }
    return values


def _file_fields(ctx: Context, row: Row) -> Values:
    """A row of ``file`` with the names that its numbers stand for."""
    fid, dmid, key, length, classid, devcount = row
    return {
        "fid": fid,
        "dmid": dmid,
        "key": key,
        "domain": ctx.registry.domain_names.get(dmid, ""),
        "class": ctx.registry.file_class(dmid, classid).name,
        "classid": classid,
        "length": length,
        "devcount": devcount,
    }


@command("file_debug")
async def file_debug(ctx: Context, request: Request) -> Values:
    """All that the catalogue knows of a file, by fid or by key."""
    chosen = request.given("fid")
    if chosen is None:
        domain = ctx.domain(request)
        fid = find_file(ctx, domain.dmid, required_key(request), "fid")[0]
    else:
        fid = number(chosen)
    await ctx.node.uploads.write()
    values = _debug_file(ctx, fid) | _debug_queues(ctx, fid)
    devids = locations(ctx.catalog, fid)
    if devids:
        values["devids"] = ",".join(map(str, devids))
    for devid in devids:
        if devid in ctx.registry.devices:
            values[f"devpath_{devid}"] = ctx.registry.read_url(devid, fid, ctx.peer)
    return values | {"checksum": stored_checksum(ctx, fid) or "NONE"}


def _debug_file(ctx: Context, fid: int) -> Values:
    rows = ctx.catalog.read(
        "SELECT fid, dmid, dkey, length, classid, devcount FROM file WHERE fid = ?", (fid,)
    )
    if not rows:
        return {}
    fields = _file_fields(ctx, rows[0])
    fields["dkey"] = fields.pop("key")
    return {f"fid_{name}": value for name, value in fields.items()}


_QUEUED = "fid, devid, type, nexttry, failcount, flags, arg"
_QUEUES = {
    "tempfile": ("tempfile WHERE", "classid, dmid, dkey, devids"),
    "replqueue": ("file_to_replicate WHERE", "fid, nexttry, fromdevid, failcount, flags"),
    "delqueue": ("file_to_delete2 WHERE", "fid, nexttry, failcount"),
    "rebqueue": (f"file_to_queue WHERE type = {REBALANCE_QUEUE} AND", _QUEUED),
    "fsckqueue": (f"file_to_queue WHERE type = {FSCK_QUEUE} AND", _QUEUED),
}
"""How file_debug calls what a file waits in: whose rows, and their columns."""


def _debug_queues(ctx: Context, fid: int) -> Values:
    values: Values = {}
    for prefix, (rows_of, columns) in _QUEUES.items():
        rows = ctx.catalog.read(f"SELECT {columns} FROM {rows_of} fid = ?", (fid,))  # noqa: S608 # ours
        for row in rows:
            for name, value in zip(columns.split(", "), row, strict=True):
                values[f"{prefix}_{name}"] = "" if value is None else value
    return values
