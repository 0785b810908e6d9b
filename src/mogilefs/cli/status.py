"""``mogilefs status``: trackers, hosts, devices with their use, queues."""

from __future__ import annotations

import argparse
import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

from mogilefs.client import Admin
from mogilefs.config import Address

from . import options, output
from .output import Output, Row
from .parsing import Commands

MIB = 2**20


def _use(row: Row) -> str:
    """How full a device is, in per cent."""
    if not row["mb_total"] or row["mb_used"] is None:
        return ""
    return f"{100 * row['mb_used'] / row['mb_total']:.0f} %"


def _mib(row: Row, name: str) -> str:
    return output.size(None if row[name] is None else row[name] * MIB)


TRACKERS: output.Columns = {
    "tracker": "tracker",
    "answers": lambda row: "yes" if row["error"] is None else f"no: {row['error']}",
}
HOSTS: output.Columns = {
    "host": "name",
    "state": "status",
    "address": lambda row: Address(row["ip"], row["http_port"]),
    "reads": "http_get_port",
    "alternate": "altip",
    "mask": "altmask",
}
DEVICES: output.Columns = {
    "device": "devid",
    "host": "host",
    "state": "status",
    "seen": "observed_state",
    "weight": "weight",
    "used": lambda row: _mib(row, "mb_used"),
    "of": lambda row: _mib(row, "mb_total"),
    "use": _use,
}
QUEUES: output.Columns = {"queue": "queue", "waiting": "waiting"}


def status(args: argparse.Namespace, out: Output) -> None:
    """``status``."""
    with options.client(args, needs_domain=False) as client:
        found = overview(client.admin)
    if out.as_json:
        out.record(found)
        return
    queues = [{"queue": name, "waiting": count} for name, count in found["queues"].items()]
    out.listing(found["trackers"], TRACKERS)
    for rows, columns in ((found["hosts"], HOSTS), (found["devices"], DEVICES), (queues, QUEUES)):
        out.say("")
        out.listing(rows, columns)


def overview(admin: Admin) -> dict[str, Any]:
    """All of it. Raises TrackersUnavailable where no tracker answers."""
    checked = admin.check()
    hosts = admin.hosts()
    answering = [tracker for tracker, error in checked.items() if error is None]
    return {
        "trackers": [{"tracker": name, "error": error} for name, error in checked.items()],
        "hosts": [dataclasses.asdict(host) for host in hosts],
        "devices": devices(admin),
        "queues": queues_of(admin, answering),
    }


def devices(admin: Admin) -> list[dict[str, Any]]:
    """All devices, each with the name of its host."""
    names = {host.hostid: host.name for host in admin.hosts()}
    return [
        {"devid": device.devid, "host": names.get(device.hostid), **dataclasses.asdict(device)}
        for device in sorted(admin.devices(), key=lambda device: device.devid)
    ]


def queues_of(admin: Admin, trackers: list[str]) -> Mapping[str, int]:
    """What waits for the background workers of all trackers together, and for query workers."""
    waiting: Counter[str] = Counter()
    for tracker in trackers:
        stats = admin.stats(tracker)
        waiting.update(stats.work_queue)
        waiting["queries"] += stats.pending_queries
    return dict(waiting)


def add_to(commands: Commands) -> None:
    """Put the command into the parser."""
    commands.add("status", status, "show trackers, hosts, devices with their use, and queues")
