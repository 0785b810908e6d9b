"""fsck: starting, stopping and asking what it found."""

from __future__ import annotations

import time

from ...wire import Request
from ..jobs import fsckstate, rebalance
from ..registry import number_setting, setting
from .table import CommandError, Context, Values, command, number

MAX_LOG_ROWS = 100
"""Rows in one answer of fsck_getlog; more are asked for with ``after_logid``."""


@command("fsck_start")
async def fsck_start(ctx: Context, request: Request) -> Values:
    """Begin to check files, or go on where the last check stopped. Not beside a rebalance."""
    if rebalance.running(ctx.catalog) and not fsckstate.running(ctx.catalog):
        raise CommandError("rebal_running", "A rebalance is running: stop it first")
    if not await ctx.catalog.write(lambda db: fsckstate.start(db, ctx.node.hostname)):
        raise CommandError("fsck_running", "fsck is running already")
    ctx.node.wake("fsck")
    return {}


@command("fsck_stop")
async def fsck_stop(ctx: Context, request: Request) -> Values:
    """Stop; harmless where nothing runs."""
    await ctx.catalog.write(fsckstate.stop)
    return {}


@command("fsck_reset")
async def fsck_reset(ctx: Context, request: Request) -> Values:
    """Begin anew behind the fid ``startpos``, perhaps without the disks: at the next start, or now
    where one runs."""
    after = max(0, number(request.args.get("startpos")))
    policy_only = request.given("policy_only") is not None
    await ctx.catalog.write(lambda db: fsckstate.reset(db, after=after, policy_only=policy_only))
    return {}


@command("fsck_clearlog")
async def fsck_clearlog(ctx: Context, request: Request) -> Values:
    """Forget the findings, though not their counts."""
    await ctx.catalog.write(lambda db: db.execute("DELETE FROM fsck_log"))
    return {}


@command("fsck_getlog")
def fsck_getlog(ctx: Context, request: Request) -> Values:
    """Findings in their order, at most 100, from behind ``after_logid``."""
    rows = ctx.catalog.read(
        "SELECT logid, utime, fid, evcode, devid FROM fsck_log WHERE logid > ?"
        " ORDER BY logid LIMIT ?",
        (number(request.args.get("after_logid")), MAX_LOG_ROWS),
    )
    values: Values = {"row_count": len(rows)}
    for index, row in enumerate(rows, 1):
        fields = zip(("logid", "utime", "fid", "evcode", "devid"), row, strict=True)
        values |= {f"row_{index}_{name}": value for name, value in fields if value is not None}
    return values


@command("fsck_status")
def fsck_status(ctx: Context, request: Request) -> Values:
    """How far it is, and how often each code was found since the reset."""
    catalog = ctx.catalog
    ((max_logid,),) = catalog.read("SELECT coalesce(max(logid), 0) FROM fsck_log")
    return {
        "running": int(fsckstate.running(catalog)),
        "host": setting(catalog, fsckstate.HOST),
        "max_fid_checked": number_setting(catalog, fsckstate.REACHED),
        "policy_only": number_setting(catalog, fsckstate.POLICY_ONLY),
        "end_fid": number_setting(catalog, fsckstate.END),
        "start_time": number_setting(catalog, fsckstate.START_TIME),
        "stop_time": number_setting(catalog, fsckstate.STOP_TIME),
        "current_time": int(time.time()),
        "max_logid": max_logid,
        **{f"num_{code}": count for code, count in fsckstate.counts(catalog).items()},
    }
