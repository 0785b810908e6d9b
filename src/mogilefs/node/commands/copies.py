"""Looking at a file's copies, wherever they are, while a client waits."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable

from ..jobs import foreign, records
from .table import Context

log = logging.getLogger(__name__)


def own_length(ctx: Context, devid: int, fid: int) -> int | None:
    """The length in bytes of a copy on a disk of this node's; None where it cannot be read."""
    devices = ctx.node.devices
    try:
        return devices.trust.ask(devid, devices.size, devid, fid)
    except OSError as error:
        log.warning("cannot look at fid %d on device %d: %s", fid, devid, error)
        return None


def at_hand(ctx: Context, devids: Iterable[int]) -> bool:
    """Whether all are own disks that can be asked without waiting, as far as one knows."""
    owns, given = ctx.node.own_host.owns, ctx.node.devices.trust.given
    return all(owns(devid) and given(devid) for devid in devids)


async def length(ctx: Context, devid: int, fid: int) -> int | None:
    """The length in bytes of a copy; None where it is missing or cannot be looked at."""
    return await _length(ctx, ctx.node.devices.length, devid, fid)


async def final_length(ctx: Context, devid: int, fid: int) -> int | None:
    """The same once no PUT is under way to an own disk that would change it."""
    return await _length(ctx, ctx.node.devices.arrived, devid, fid)


async def _length(
    ctx: Context, look: Callable[[int, int], Awaitable[int | None]], devid: int, fid: int
) -> int | None:
    try:
        if ctx.node.own_host.owns(devid):
            return await look(devid, fid)
        return await foreign.size(ctx.registry.read_url(devid, fid))
    except (OSError, foreign.StorageError) as error:
        log.warning("cannot look at fid %d on device %d: %s", fid, devid, error)
        return None


def stored_checksum(ctx: Context, fid: int) -> str | None:
    """What the catalogue keeps as a file's checksum: ``MD5:hex``, None where nothing."""
    stored = records.checksum(ctx.catalog, fid)
    return f"{stored.algorithm}:{stored.hex}" if stored else None
