"""Uploads: create_open says where a new file may go, create_close makes it a file."""

from __future__ import annotations

import logging
import re
import sqlite3
import time
from dataclasses import dataclass
from functools import partial

from ...wire import Request, to_bytes
from ..jobs import records
from ..jobs.foreign import StorageError
from ..openuploads import OpenUpload, forget
from ..placement import MAX_DESTINATIONS, destinations
from ..policies import DEFAULT_POLICY
from ..registry import HASH_NUMBERS, Domain
from .copies import final_length
from .table import CommandError, Context, Values, command, number

log = logging.getLogger(__name__)

MAX_CHOSEN_FID = 2**53
"""The highest fid that a client may choose: leaves numbers for all files to come."""

_CHECKSUM = re.compile(r"(MD5):([0-9A-Fa-f]{32})|(SHA-1):([0-9A-Fa-f]{40})")


@command("create_open")
async def create_open(ctx: Context, request: Request) -> Values:
    """Begin an upload: a new fid, and where its bytes may be PUT."""
    domain = ctx.domain(request)
    classid = _class_for_upload(ctx, domain, request)
    several = request.given("multi_dest") is not None
    size = number(request.given("size")) or None
    devids = destinations(ctx.registry, size=size, count=MAX_DESTINATIONS if several else 1)
    if not devids:
        raise CommandError("no_devices", "No device can take a new file now")
    chosen, key = request.given("fid"), request.args.get("key", "")
    fid = await ctx.node.fids.take() if chosen is None else _chosen_fid(ctx, chosen)
    ctx.node.uploads.add(OpenUpload(fid, classid, domain.dmid, key, int(time.time()), devids))
    if chosen is not None:  # it may lie above all that is reserved: its row has to be as durable
        await ctx.node.uploads.write(durable=True)
    return (_several if several else _one)(ctx, request, fid, devids)


def _one(ctx: Context, request: Request, fid: int, devids: list[int]) -> Values:
    path = ctx.registry.write_url(devids[0], fid, ctx.peer, request.given("zone"))
    return {"fid": fid, "devid": devids[0], "path": path} | _profile(request)


def _several(ctx: Context, request: Request, fid: int, devids: list[int]) -> Values:
    values: Values = {"fid": fid, "dev_count": len(devids)}
    zone = request.given("zone")
    for index, devid in enumerate(devids, 1):
        values[f"devid_{index}"] = devid
        values[f"path_{index}"] = ctx.registry.write_url(devid, fid, ctx.peer, zone)
    return values | _profile(request)


def _profile(request: Request) -> Values:
    """The shape of the original's profile; the node has nothing to time between its points."""
    if request.given("debug_profile") is None:
        return {}
    return {"profpoints": 1, "prof_1_name": "begin", "prof_1_time": "0.000"}


def _class_for_upload(ctx: Context, domain: Domain, request: Request) -> int:
    name = request.given("class")
    if name is None:
        return 0
    found = ctx.registry.class_named(domain.dmid, name)
    if found is None or not found.explicit:
        raise CommandError("unreg_class", f"Domain {domain.name!r} has no class {name!r}")
    return found.classid


def _chosen_fid(ctx: Context, text: str) -> int:
    """A fid that the client asks for: it must be one that no file can ever have had."""
    fid = number(text)
    if fid == 0 or fid > MAX_CHOSEN_FID:
        raise CommandError("db", f"{text!r} is no fid")
    if fid < 0:  # the original's code for it
        raise CommandError("fid_in_use", f"{text!r} is no fid")
    if not ctx.node.fids.choose(fid):
        raise CommandError("fid_in_use", f"Fid {fid} is or was in use")
    return fid


@dataclass(slots=True)
class Upload:
    """What a client says at create_close, checked as far as words go."""

    fid: int
    devid: int
    key: str
    dmid: int
    size: int | None
    """None where the client does not say."""
    checksum: tuple[str, str] | None
    """Algorithm and digest in lower-case hex."""
    verify: bool


@command("create_close")
async def create_close(ctx: Context, request: Request) -> Values:
    """End an upload: the file is durable, and under its key, when this answers.

    Without a key the upload is cancelled.
    """
    upload = _upload(ctx, request)
    opened = ctx.node.uploads.take(upload.fid)
    if opened is None:
        raise _no_temp_file(upload.fid)
    try:
        return await _end(ctx, upload, opened)
    except CommandError:
        raise
    except BaseException:  # the catalogue failed, so that the upload is as open as before
        ctx.node.uploads.add(opened)
        raise
    finally:
        ctx.node.uploads.ended(upload.fid)


async def _end(ctx: Context, upload: Upload, opened: OpenUpload) -> Values:
    if upload.devid not in opened.devids:
        await _discard(ctx, upload, opened)
        raise CommandError("invalid_destdev", f"Device {upload.devid} was not offered")
    if not upload.key:
        await _discard(ctx, upload, opened)
        return {}
    try:
        length = await _verified_length(ctx, upload)
        await _delete_from_others(ctx, upload, opened.devids)
        stored = _stored(ctx, upload, opened, length)
        replaced = await _make_durable(ctx, stored)
    except CommandError:
        await _discard(ctx, upload, opened)
        raise
    if replaced:
        ctx.node.wake("delete")
    if stored.replicate:
        ctx.node.wake("replicate")
    return {}


def _upload(ctx: Context, request: Request) -> Upload:
    domain = ctx.domain(request)
    for name in ("fid", "devid", "path"):
        if request.given(name) is None:
            raise CommandError(f"no_{name}", f"No {name} provided")
    checksum = _checksum(request.given("checksum"))
    fid, devid = number(request.args["fid"]), number(request.args["devid"])
    if (
        fid < 1
        or devid not in ctx.registry.devices
        or request.args["path"]
        != ctx.registry.write_url(devid, fid, ctx.peer, request.given("zone"))
    ):
        raise CommandError("bogus_args", "The path is not the one that was given out")
    return Upload(
        fid,
        devid,
        request.args.get("key", ""),
        domain.dmid,
        _size(request),
        checksum,
        request.given("checksumverify") is not None,
    )


def _size(request: Request) -> int | None:
    size = request.given("size")
    return None if size is None or number(size) < 0 else number(size)


def _checksum(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    match = _CHECKSUM.fullmatch(text)
    if match is None:
        raise CommandError("invalid_checksum_format", f"{text!r} is no checksum")
    return match[1] or match[3], (match[2] or match[4]).lower()


def _no_temp_file(fid: int) -> CommandError:
    return CommandError("no_temp_file", f"Fid {fid} is no open upload")


async def _verified_length(ctx: Context, upload: Upload) -> int:
    """The file's length as it lies on the device: size_verify_error, size_mismatch."""
    if ctx.registry.devices[upload.devid].status == "dead":
        raise CommandError("size_verify_error", f"Device {upload.devid} is dead")
    length = await final_length(ctx, upload.devid, upload.fid)
    if length is None:
        raise CommandError("size_verify_error", f"Fid {upload.fid} is not on {upload.devid}")
    if upload.size not in (None, length):
        raise CommandError(
            "size_mismatch", f"Expected {upload.size} bytes, device {upload.devid} has {length}"
        )
    if upload.checksum is not None and upload.verify:
        await _verify_checksum(ctx, upload, *upload.checksum)
    return length


async def _verify_checksum(ctx: Context, upload: Upload, algorithm: str, digest: str) -> None:
    try:
        replicas = ctx.node.jobs.context.replicas
        found = await replicas.checksum(upload.devid, upload.fid, algorithm)
    except StorageError as error:
        raise CommandError("size_verify_error", f"Fid {upload.fid}: {error}") from error
    if found != digest:
        raise CommandError("checksum_mismatch", f"Expected {digest}, the bytes give {found}")


async def _delete_from_others(ctx: Context, upload: Upload, devids: list[int]) -> None:
    """What was, or is being, put on another device than the one that counts, gone."""
    for other in devids:
        if other == upload.devid or not ctx.node.own_host.owns(other):
            continue
        try:
            await ctx.node.devices.keep_off(other, upload.fid)
        except OSError as error:  # that disk fails: the file is whole on the one that counts
            log.warning("fid %d may be left on device %d: %s", upload.fid, other, error)


@dataclass(slots=True)
class _Stored:
    """The rows that a finished upload leaves."""

    upload: Upload
    opened: OpenUpload
    length: int
    digest: tuple[int, bytes] | None
    """What is kept of the checksum: only that of the class's own algorithm."""
    replicate: bool


def _stored(ctx: Context, upload: Upload, opened: OpenUpload, length: int) -> _Stored:
    file_class = ctx.registry.file_class(upload.dmid, opened.classid)
    digest = None
    if upload.checksum is not None and HASH_NUMBERS[upload.checksum[0]] == file_class.hashtype:
        digest = (file_class.hashtype, bytes.fromhex(upload.checksum[1]))
    one_is_enough = file_class.mindevcount == 1 and file_class.replpolicy in (None, DEFAULT_POLICY)
    return _Stored(upload, opened, length, digest, replicate=not one_is_enough)


async def _make_durable(ctx: Context, stored: _Stored) -> bool:
    """The bytes and their directory entry on disk, then the rows; whether the key had a file."""
    node, upload = ctx.node, stored.upload
    change = partial(_store, stored=stored)
    if not (node.durable and node.own_host.owns(upload.devid)):
        return await ctx.catalog.write(change, quick=True)
    ahead = ctx.ahead
    try:
        made, *others = await node.devices.fsync(
            upload.devid, upload.fid, change, *([ahead.function] if ahead else [])
        )
    except OSError as error:
        raise CommandError("size_verify_error", f"Fid {upload.fid}: {error}") from error
    if ahead:
        [ahead.made] = others
    replaced: bool = made.outcome()
    return replaced


def _store(db: sqlite3.Connection, stored: _Stored) -> bool:
    """The upload becomes the key's file; what the key had before is queued for deletion.

    Returns whether there was something before.
    """
    upload = stored.upload
    if not db.execute("SELECT 1 FROM domain WHERE dmid = ?", (upload.dmid,)).fetchone():
        raise CommandError("unreg_domain", "The domain was deleted during the upload")
    if not forget(db, stored.opened):
        raise _no_temp_file(upload.fid)
    key = to_bytes(upload.key)
    replaced = _take_away(db, upload.dmid, key)
    db.execute("INSERT INTO file_on (fid, devid) VALUES (?, ?)", (upload.fid, upload.devid))
    db.execute(
        "INSERT INTO file (fid, dmid, dkey, length, classid, devcount)"
        " VALUES (?, ?, CAST(? AS TEXT), ?, ?, 1)",
        (upload.fid, upload.dmid, key, stored.length, stored.opened.classid),
    )
    if stored.replicate:
        db.execute(
            "INSERT OR REPLACE INTO file_to_replicate (fid, nexttry) VALUES (?, 0)", (upload.fid,)
        )
    if stored.digest is not None:
        db.execute(
            "INSERT OR REPLACE INTO checksum (fid, hashtype, checksum) VALUES (?, ?, ?)",
            (upload.fid, *stored.digest),
        )
    return replaced


def _take_away(db: sqlite3.Connection, dmid: int, key: bytes) -> bool:
    """The file that has the key, if there is one."""
    old = db.execute(
        "SELECT fid FROM file WHERE dmid = ? AND dkey = CAST(? AS TEXT)", (dmid, key)
    ).fetchone()
    if old is not None:
        db.execute("DELETE FROM file WHERE fid = ?", old)
        records.queue_deletion(db, old)
    return old is not None


async def _discard(ctx: Context, upload: Upload, opened: OpenUpload) -> None:
    """An upload that came to nothing: whatever bytes there are will be deleted.

    They may be on the devices that were offered, or on that where the client says it put them.
    """

    def give_up(db: sqlite3.Connection) -> None:
        if not forget(db, opened):
            raise _no_temp_file(upload.fid)
        records.give_up(db, upload.fid, {*opened.devids, upload.devid})

    await ctx.catalog.write(give_up)
    ctx.node.wake("delete")
