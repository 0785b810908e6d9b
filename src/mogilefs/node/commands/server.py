"""The server itself: being there, its settings, hurrying its background work."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import sqlite3
import time
from collections.abc import Callable

from ...wire import Request
from ..jobs.records import get_setting, set_setting
from ..registry import HASH_NUMBERS, setting, whole
from .table import CommandError, Context, Values, command, number

MAX_SLEEP = 30
"""Seconds: no request of the original lives longer."""


@command("noop")
def noop(ctx: Context, request: Request) -> Values:
    """Nothing."""
    return {}


@command("test")
def test(ctx: Context, request: Request) -> Values:
    """Nothing, or on request a failure, for those who write clients."""
    if request.given("crash") is not None:
        raise CommandError("failure", "Failed as asked for")
    return {}


@command("sleep")
async def sleep(ctx: Context, request: Request) -> Values:
    """Nothing for ``duration`` seconds (10), for those who write clients."""
    wanted = number(request.given("duration") or "10")
    await asyncio.sleep(max(0, min(wanted, MAX_SLEEP)))
    return {}


@command("clear_cache")
def clear_cache(ctx: Context, request: Request) -> Values:
    """Read domains, classes, hosts and devices again."""
    ctx.registry.reload()
    return {}


@command("do_monitor_round")
def do_monitor_round(ctx: Context, request: Request) -> Values:
    """Let the monitor look at every device now."""
    ctx.registry.reload()
    ctx.node.wake("monitor")
    return {}


@command("replicate_now")
async def replicate_now(ctx: Context, request: Request) -> Values:
    """Try again now what waits for its next try; says how many files that is."""

    def hurry(db: sqlite3.Connection) -> int:
        now = int(time.time())
        return db.execute(
            "UPDATE file_to_replicate SET nexttry = ? WHERE nexttry > ?", (now, now)
        ).rowcount

    count = await ctx.catalog.write(hurry)
    ctx.node.wake("replicate")
    return {"count": count}


def _boolean(text: str) -> str:
    word = text.lower()
    if not word or word.startswith(("0", "f", "off", "n")):
        return "0"
    if word.startswith(("1", "t", "on", "y")):
        return "1"
    raise ValueError("must be a truth value: 0 or 1")


def _integer(text: str) -> str:
    if not re.fullmatch(r"[0-9]*", text):
        raise ValueError("must be a number")
    return text or "0"


def _any_text(text: str) -> str | None:
    return text or None


def _checksum(text: str) -> str | None:
    if text == "class":
        return None
    if text != "off" and text not in HASH_NUMBERS:
        raise ValueError("must be class, off, MD5 or SHA-1")
    return text


def _networks(text: str) -> str | None:
    for network in re.split(r"[,\s]+", text):
        if network:
            ipaddress.ip_network(network, strict=False)
    return text or None


def _name(text: str) -> str | None:
    if not re.fullmatch(r"[\w:-]*", text):
        raise ValueError("must be a name")
    return text or None


_WRITABLE: dict[str, Callable[[str], str | None]] = {
    r"skip_devcount|skip_mkcol|case_sensitive_list_keys|enable_rebalance": _boolean,
    r"memcache_ttl|internal_queue_limit": _integer,
    r"memcache_servers|network_zones|queue_.*|slave_.*": _any_text,
    r"fsck_checksum": _checksum,
    r"zone_.*": _networks,
    r"rebalance_policy": _name,
}
"""The settings that an operator may change, with what checks a value and gives its stored form
(None: the setting is taken away)."""


@command("server_setting")
def server_setting(ctx: Context, request: Request) -> Values:
    """One setting; an unknown one is empty."""
    key = request.given("key")
    if key is None:
        raise CommandError("bad_params", "No key provided")
    return {"key": key, "value": setting(ctx.catalog, key)}


@command("server_settings")
def server_settings(ctx: Context, request: Request) -> Values:
    """All settings but the state of fsck, which ``fsck_status`` tells."""
    rows = ctx.catalog.read(
        "SELECT field, value FROM server_settings"
        " WHERE field NOT GLOB 'fsck_*' OR field = 'fsck_checksum' ORDER BY field"
    )
    values: Values = {"key_count": len(rows)}
    for index, (key, value) in enumerate(rows, 1):
        values |= {f"key_{index}": key, f"value_{index}": "" if value is None else value}
    return values


@command("set_server_setting")
async def set_server_setting(ctx: Context, request: Request) -> Values:
    """Change a setting that an operator may change."""
    key = request.given("key")
    if key is None:
        raise CommandError("bad_params", "No key provided")
    check = next((c for pattern, c in _WRITABLE.items() if re.fullmatch(pattern, key)), None)
    if check is None:
        raise CommandError("not_writable", f"The setting {key!r} cannot be changed")
    try:
        value = check(request.args.get("value", ""))
    except ValueError as error:
        raise CommandError("invalid_format", f"The setting {key!r}: {error}") from error
    await ctx.catalog.write(lambda db: _change_setting(db, key, value))
    return {}


def _change_setting(db: sqlite3.Connection, key: str, value: str | None) -> None:
    set_setting(db, key, value)
    if key.startswith("slave_"):  # a real tracker reads them anew when the version is higher
        set_setting(db, "slave_version", whole(get_setting(db, "slave_version")) + 1)
