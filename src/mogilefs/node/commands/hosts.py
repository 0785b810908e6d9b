"""Hosts and their devices."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from typing import TypeVar

from ...wire import Request, to_bytes
from ..jobs import rebalance
from ..registry import DEVICE_STATES, HOST_STATES, Device, Host
from .classes import change
from .table import CommandError, Context, Values, command, number

MAX_DEVID = 2**24 - 1
"""The highest device number: MogileFS's column is a MEDIUMINT UNSIGNED."""

T = TypeVar("T")

_COLUMNS = {
    "ip": "hostip",
    "port": "http_port",
    "getport": "http_get_port",
    "altip": "altip",
    "altmask": "altmask",
    "status": "status",
}
"""Arguments of create_host and update_host, and the columns that they fill."""

_REMOVABLE = {name: _COLUMNS[name] for name in ("getport", "altip", "altmask")}
"""Those whose value is taken away where they are given empty."""


def _text(value: object) -> object:
    return "" if value is None else value


def _chosen(known: Mapping[int, T], number_text: str | None) -> list[T]:
    """All of them, or that of a number; what is no number counts as 0, which none has."""
    if number_text is None:
        return list(known.values())
    found = known.get(number(number_text))
    return [] if found is None else [found]


@command("get_hosts")
def get_hosts(ctx: Context, request: Request) -> Values:
    """Every host, or that of ``hostid``."""
    hosts = _chosen(ctx.registry.hosts, request.args.get("hostid"))
    values: Values = {"hosts": len(hosts)}
    for index, host in enumerate(hosts, 1):
        fields = {
            "hostid": host.hostid,
            "status": host.status,
            "hostname": host.name,
            "hostip": host.ip,
            "http_port": host.http_port,
            "http_get_port": host.http_get_port,
            "altip": host.altip,
            "altmask": host.altmask,
        }
        values |= {f"host{index}_{name}": _text(value) for name, value in fields.items()}
    return values


@command("create_host")
async def create_host(ctx: Context, request: Request) -> Values:
    """Make a host: a storage node with an address and a port."""
    name = _host_name(request)
    if ctx.registry.host_named(name) is not None:
        raise CommandError("host_exists", f"Host {name!r} is there already")
    for argument in ("ip", "port"):
        if request.given(argument) is None:
            raise CommandError(f"no_{argument}", f"No {argument} provided")
    settings = {"status": "down"} | _host_settings(request)
    await change(ctx, lambda db: _insert_host(db, name, settings))
    return _host_values(ctx, name)


def _host_name(request: Request) -> str:
    name = request.given("host")
    if name is None:
        raise CommandError("no_host", "No host provided")
    return name


def _host_settings(request: Request) -> dict[str, object]:
    settings: dict[str, object] = {
        column: request.args[argument]
        for argument, column in _COLUMNS.items()
        if request.given(argument) is not None
    } | {
        column: None for argument, column in _REMOVABLE.items() if request.args.get(argument) == ""
    }
    if settings.get("status", "down") not in HOST_STATES:
        raise CommandError("unknown_state", f"No host state {settings['status']!r}")
    for column in ("hostip", "altip", "altmask"):
        if not str(settings.get(column, "")).isascii():
            raise CommandError("bad_params", f"{settings[column]!r} is no address")
    for column in ("http_port", "http_get_port"):
        if settings.get(column) is not None:
            settings[column] = _port(str(settings[column]))
    return settings


def _port(text: str) -> int:
    port = number(text)
    if not 0 < port < 65536:
        raise CommandError("no_port", f"{text!r} is no port")
    return port


def _host_values(ctx: Context, name: str) -> Values:
    host = ctx.registry.host_named(name)
    assert host is not None
    return {"hostid": host.hostid, "hostname": host.name}


def _insert_host(db: sqlite3.Connection, name: str, settings: dict[str, object]) -> None:
    columns = "".join(f", {column}" for column in settings)
    try:
        db.execute(
            f"INSERT INTO host (hostid, hostname{columns})"  # noqa: S608 # our own columns
            " SELECT coalesce(max(hostid), 0) + 1, CAST(? AS TEXT)"
            f"{', ?' * len(settings)} FROM host",
            (to_bytes(name), *settings.values()),
        )
    except sqlite3.IntegrityError as error:
        raise _taken(settings) from error


def _taken(settings: Mapping[str, object]) -> CommandError:
    addresses = [str(settings[column]) for column in ("hostip", "altip") if settings.get(column)]
    return CommandError("dup", f"Another host has the address {' or '.join(addresses)}")


@command("update_host")
async def update_host(ctx: Context, request: Request) -> Values:
    """Change a host; what is not given stays as it is."""
    name = _host_name(request)
    if ctx.registry.host_named(name) is None:
        raise CommandError("host_not_found", f"No host {name!r}")
    settings = _host_settings(request)
    if settings:
        await change(ctx, lambda db: _update_host(db, name, settings))
        ctx.node.wake("monitor", "replicate", "delete")
    return _host_values(ctx, name)


def _update_host(db: sqlite3.Connection, name: str, settings: dict[str, object]) -> None:
    columns = ", ".join(f"{column} = ?" for column in settings)
    try:
        db.execute(
            f"UPDATE host SET {columns} WHERE hostname = CAST(? AS TEXT)",  # noqa: S608 # our own columns
            (*settings.values(), to_bytes(name)),
        )
    except sqlite3.IntegrityError as error:
        raise _taken(settings) from error


@command("delete_host")
async def delete_host(ctx: Context, request: Request) -> Values:
    """Take a host away that never had a device."""
    host = _known_host(ctx, request.args.get("host", ""))
    await change(ctx, lambda db: _delete_host(db, host))
    return {}


def _delete_host(db: sqlite3.Connection, host: Host) -> None:
    if db.execute("SELECT 1 FROM device WHERE hostid = ? LIMIT 1", (host.hostid,)).fetchone():
        raise CommandError("host_not_empty", f"Host {host.name!r} still has devices")
    db.execute("DELETE FROM host WHERE hostid = ?", (host.hostid,))


def _known_host(ctx: Context, name: str) -> Host:
    host = ctx.registry.host_named(name)
    if host is None:
        raise CommandError("unknown_host", f"No host {name!r}")
    return host


@command("get_devices")
def get_devices(ctx: Context, request: Request) -> Values:
    """Every device, or that of ``devid``, with what the monitor saw of it."""
    devices = _chosen(ctx.registry.devices, request.args.get("devid"))
    values: Values = {"devices": len(devices)}
    for index, device in enumerate(devices, 1):
        fields = _device_fields(ctx, device)
        values |= {f"dev{index}_{name}": _text(value) for name, value in fields.items()}
    return values


def _device_fields(ctx: Context, device: Device) -> Values:
    observed = ctx.registry.observed.get(device.devid)
    free = None
    if device.mb_total is not None and device.mb_used is not None:
        free = max(0, device.mb_total - device.mb_used)
    return {
        "devid": device.devid,
        "hostid": device.host.hostid,
        "status": device.status,
        "weight": device.weight,
        "mb_total": device.mb_total,
        "mb_used": device.mb_used,
        "mb_free": free,
        "mb_asof": device.mb_asof,
        "observed_state": observed.state if observed else None,
        "utilization": observed.utilization if observed else None,
        "reject_bad_md5": 1 if observed and observed.state == "writeable" else None,
    }


@command("create_device")
async def create_device(ctx: Context, request: Request) -> Values:
    """Make a device; one of the node's own host gets its directory."""
    state = request.given("state") or "alive"
    if state not in DEVICE_STATES:
        raise CommandError("invalid_state", f"No device state {state!r}")
    devid = number(_digits(request, "devid"))
    if not 0 < devid <= MAX_DEVID:
        raise CommandError("invalid_devid", f"The devid must be a number from 1 to {MAX_DEVID}")
    host = _host_of_new_device(ctx, request)
    if devid in ctx.registry.devices:
        raise CommandError("existing_devid", f"Device {devid} is there already")
    if host.hostid == ctx.node.own_host.hostid:
        ctx.node.own_host.make_directory(devid)
    await change(ctx, lambda db: _insert_device(db, devid, host.hostid, state))
    ctx.node.wake("monitor", "replicate")
    return {}


def _digits(request: Request, name: str) -> str | None:
    """A number that is nothing else but digits: create_device reads no other."""
    text = request.given(name)
    return text if text is not None and re.fullmatch("[0-9]+", text) else None


def _host_of_new_device(ctx: Context, request: Request) -> Host:
    hostid, name = _digits(request, "hostid"), request.given("hostname")
    if hostid is not None:
        host = ctx.registry.hosts.get(number(hostid))
        if host is None:
            raise CommandError("unknown_hostid", f"No host number {hostid!r}")
        return host
    if name is None:
        raise CommandError("bad_args", "Neither hostid nor hostname provided")
    return _known_host(ctx, name)


def _insert_device(db: sqlite3.Connection, devid: int, hostid: int, state: str) -> None:
    if not db.execute("SELECT 1 FROM host WHERE hostid = ?", (hostid,)).fetchone():
        raise CommandError("unknown_hostid", f"Host {hostid} was deleted in this moment")
    try:
        db.execute(
            "INSERT INTO device (devid, hostid, status, weight) VALUES (?, ?, ?, 100)",
            (devid, hostid, state),
        )
    except sqlite3.IntegrityError as error:
        raise CommandError("existing_devid", f"Device {devid} is there already") from error


def _device_of_host(ctx: Context, request: Request) -> Device:
    """The device that a request names together with its host."""
    host, devid = request.given("host"), number(request.given("device"))
    if host is None or devid == 0:
        raise CommandError("bad_params", "Neither host nor device may be left out")
    found = ctx.registry.devices.get(devid)
    if found is None:
        raise CommandError("no_device", f"No device {devid}")
    if found.host.name != host:
        raise CommandError("host_mismatch", f"Device {devid} is not on host {host!r}")
    return found


@command("set_weight")
async def set_weight(ctx: Context, request: Request) -> Values:
    """How much a device is preferred for reading (100 is normal)."""
    weight = number(request.args.get("weight"))
    if weight < 0:
        raise CommandError("bad_params", "The weight must not be below 0")
    device = _device_of_host(ctx, request)
    await change(
        ctx,
        lambda db: db.execute(
            "UPDATE device SET weight = ? WHERE devid = ?", (weight, device.devid)
        ),
    )
    return {}


@command("set_state")
async def set_state(ctx: Context, request: Request) -> Values:
    """Set a device's state; a dead one does not come back to life at once."""
    state = request.given("state") or ""
    if state not in DEVICE_STATES:
        raise CommandError("bad_params", f"No device state {state!r}")
    device = _device_of_host(ctx, request)
    if device.status == "dead" and state == "alive":
        raise CommandError("state_too_high", "A dead device cannot be alive again at once")

    def set_to(db: sqlite3.Connection) -> None:
        db.execute("UPDATE device SET status = ? WHERE devid = ?", (state, device.devid))
        rebalance.keep_drained(db, device.devid)

    await change(ctx, set_to)
    ctx.node.wake("monitor", "reaper", "replicate", "delete")
    return {}
