"""Looking at a file's copies, wherever they are, while a client waits."""

from __future__ import annotations

import logging

from ..jobs import foreign, records
from .table import Context

log = logging.getLogger(__name__)


def own_length(ctx: Context, devid: int, fid: int) -> int | None:
    """The length in bytes of a copy on a disk of this node's; None where it cannot be read."""
    try:
        return ctx.node.devices.size(devid, fid)
    except OSError as error:
        log.warning("cannot look at fid %d on device %d: %s", fid, devid, error)
        return None


async def length(ctx: Context, devid: int, fid: int) -> int | None:
    """The length in bytes of a copy; None where it is missing or its host does not answer."""
    if ctx.node.own_host.owns(devid):
        return own_length(ctx, devid, fid)
    try:
        return await foreign.size(ctx.registry.read_url(devid, fid))
    except foreign.StorageError as error:
        log.warning("cannot look at fid %d on device %d: %s", fid, devid, error)
        return None


def stored_checksum(ctx: Context, fid: int) -> str | None:
    """What the catalogue keeps as a file's checksum: ``MD5:hex``, None where nothing."""
    stored = records.checksum(ctx.catalog, fid)
    return f"{stored.algorithm}:{stored.hex}" if stored else None
