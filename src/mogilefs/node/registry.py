"""What is in the catalogue's small tables, held in memory: domains, classes, hosts, devices.

Every command needs them, and they change seldom: whoever writes to one of these tables calls
``Registry.reload`` after the write. What the monitor has seen of each device lies here too, since
whoever picks a device asks for both.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..wire import to_bytes
from .addresses import format_address
from .catalog import Catalog
from .layout import file_path

DEFAULT_CLASS = "default"
DEFAULT_MINDEVCOUNT = 2

DEVICE_STATES = ("alive", "readonly", "drain", "down", "dead")
HOST_STATES = ("alive", "readonly", "down", "dead")
HASH_NAMES: Mapping[int, str] = {1: "MD5", 2: "SHA-1"}
HASH_NUMBERS: Mapping[str, int] = {name: number for number, name in HASH_NAMES.items()}


@dataclass(frozen=True)
class Domain:
    """A namespace of keys."""

    dmid: int
    name: str


@dataclass(frozen=True)
class FileClass:
    """How the files of a class are kept. ``hashtype`` and ``replpolicy`` may be None."""

    dmid: int
    classid: int
    name: str
    mindevcount: int
    hashtype: int | None = None
    replpolicy: str | None = None
    explicit: bool = True
    """False for the class ``default`` of a domain that never gave it a row."""


@dataclass(frozen=True)
class Host:
    """A storage node. ``status`` is one of HOST_STATES."""

    hostid: int
    name: str
    status: str
    ip: str
    http_port: int
    http_get_port: int | None = None
    altip: str | None = None
    altmask: str | None = None

    def address(self, peer: str | None, *, zone: str | None = None) -> str:
        """The address to give to a client: ``altip`` for zone ``alt`` and inside ``altmask``."""
        if self.altip and self.altmask and (zone == "alt" or _inside(peer, self.altmask)):
            return self.altip
        return self.ip


def _inside(peer: str | None, network: str) -> bool:
    try:
        return peer is not None and ipaddress.ip_address(peer) in ipaddress.ip_network(
            network, strict=False
        )
    except ValueError:
        return False


@dataclass(frozen=True)
class Device:
    """A disk of a host. ``status`` is one of DEVICE_STATES; sizes in MiB, None before a report."""

    devid: int
    host: Host
    status: str
    weight: int
    mb_total: int | None = None
    mb_used: int | None = None
    mb_asof: int | None = None

    @property
    def readable(self) -> bool:
        """May files be read from it, as far as its state and its host's say?"""
        return self.status in ("alive", "readonly", "drain") and self.host.status in (
            "alive",
            "readonly",
        )

    @property
    def takes_files(self) -> bool:
        """May new files and copies go there, as far as its state and its host's say?"""
        return self.status == "alive" and self.host.status == "alive"

    @property
    def deletable(self) -> bool:
        """May files be deleted from it, as far as its state and its host's say?"""
        return self.status in ("alive", "drain") and self.host.status == "alive"


@dataclass
class Observed:
    """What the monitor saw of a device last."""

    state: str
    """``writeable``, ``readable`` or ``unreachable``."""
    free: int | None = None
    """Bytes free, None while unknown."""
    utilization: str = ""
    """Percent of time that the disk is busy, as text; empty while unknown."""


@dataclass(slots=True)
class Target:
    """A device that takes new files now, and the bytes free there (0 while unknown)."""

    devid: int
    hostid: int
    free: int


@dataclass
class Registry:
    """The small tables as last committed, and what was seen of the devices.

    Read it freely; change it only by ``reload``, ``observe`` and ``forget``.
    """

    catalog: Catalog
    domains: dict[str, Domain] = field(default_factory=dict)
    domain_names: dict[int, str] = field(default_factory=dict)
    classes: dict[tuple[int, int], FileClass] = field(default_factory=dict)
    """By (dmid, classid); every domain has its (dmid, 0)."""
    hosts: dict[int, Host] = field(default_factory=dict)
    devices: dict[int, Device] = field(default_factory=dict)
    observed: dict[int, Observed] = field(default_factory=dict)
    """By devid; a device that the monitor has not seen yet is not there."""
    _class_names: dict[tuple[int, str], FileClass] = field(default_factory=dict)
    _targets: list[Target] | None = None
    _sources: dict[int, Device] | None = None
    _write_urls: dict[int, str] = field(default_factory=dict)
    _read_urls: dict[int, str] = field(default_factory=dict)
    """Where the URLs of a device begin, if they are the same for every client."""

    def reload(self) -> None:
        """Read the tables again."""
        self._load_domains()
        self._load_classes()
        self._load_hosts()
        self._targets = self._sources = None
        plain = [device for device in self.devices.values() if not device.host.altip]
        self._write_urls = {device.devid: _write_url(device, device.host.ip) for device in plain}
        self._read_urls = {device.devid: _read_url(device, device.host.ip) for device in plain}

    def _load_domains(self) -> None:
        rows = self.catalog.read("SELECT dmid, namespace FROM domain ORDER BY dmid")
        self.domains = {name: Domain(dmid, name) for dmid, name in rows}
        self.domain_names = dict(rows)

    def _load_classes(self) -> None:
        classes = {
            (domain.dmid, 0): FileClass(
                domain.dmid, 0, DEFAULT_CLASS, DEFAULT_MINDEVCOUNT, explicit=False
            )
            for domain in self.domains.values()
        }
        for row in self.catalog.read(
            "SELECT dmid, classid, classname, mindevcount, hashtype, replpolicy FROM class"
            " ORDER BY dmid, classid"
        ):
            dmid, classid, name, mindevcount, hashtype, replpolicy = row
            classes[dmid, classid] = FileClass(
                dmid, classid, name or DEFAULT_CLASS, mindevcount, hashtype or None, replpolicy
            )
        self.classes = classes
        self._class_names = {(item.dmid, item.name): item for item in classes.values()}

    def _load_hosts(self) -> None:
        self.hosts = {
            row[0]: Host(*row)
            for row in self.catalog.read(
                "SELECT hostid, hostname, status, hostip, http_port, http_get_port, altip, altmask"
                " FROM host ORDER BY hostid"
            )
        }
        self.devices = {
            row[0]: Device(row[0], self.hosts[row[1]], *row[2:])
            for row in self.catalog.read(
                "SELECT devid, hostid, status, coalesce(weight, 100), mb_total, mb_used, mb_asof"
                " FROM device ORDER BY devid"
            )
            if row[1] in self.hosts
        }

    def file_class(self, dmid: int, classid: int) -> FileClass:
        """A file's class; a class that is gone counts as the domain's default class."""
        found = self.classes.get((dmid, classid)) or self.classes.get((dmid, 0))
        return found or FileClass(dmid, 0, DEFAULT_CLASS, DEFAULT_MINDEVCOUNT, explicit=False)

    def class_named(self, dmid: int, name: str) -> FileClass | None:
        """The class of that name in a domain."""
        return self._class_names.get((dmid, name))

    def host_named(self, name: str) -> Host | None:
        """The host of that name."""
        return next((host for host in self.hosts.values() if host.name == name), None)

    def devices_of(self, hostid: int) -> Iterator[Device]:
        """The devices of a host."""
        return (device for device in self.devices.values() if device.host.hostid == hostid)

    def observe(self, devid: int, seen: Observed) -> None:
        """Note what the monitor saw of a device."""
        self.observed[devid] = seen
        self._targets = self._sources = None

    def forget(self, devid: int) -> None:
        """Know no more what was seen of a device."""
        self.observed.pop(devid, None)
        self._targets = self._sources = None

    def targets(self) -> list[Target]:
        """The devices that take new files, by their own and their host's state and by what was
        seen of them. To be left unchanged."""
        if self._targets is None:
            self._targets = [
                Target(devid, device.host.hostid, self.observed[devid].free or 0)
                for devid, device in self.devices.items()
                if device.takes_files and self.seen_writable(devid)
            ]
        return self._targets

    def sources(self) -> dict[int, Device]:
        """The devices that may be read and are not known to give nothing. To be left unchanged."""
        if self._sources is None:
            self._sources = {
                devid: device
                for devid, device in self.devices.items()
                if device.readable and self._may_answer(devid)
            }
        return self._sources

    def _may_answer(self, devid: int) -> bool:
        observed = self.observed.get(devid)
        return observed is None or observed.state != "unreachable"

    def seen_writable(self, devid: int) -> bool:
        """Has the monitor seen the device take bytes?"""
        observed = self.observed.get(devid)
        return observed is not None and observed.state == "writeable"

    def seen_readable(self, devid: int) -> bool:
        """Has the monitor seen the device give bytes?"""
        observed = self.observed.get(devid)
        return observed is not None and observed.state in ("writeable", "readable")

    def write_url(
        self, devid: int, fid: int, peer: str | None = None, zone: str | None = None
    ) -> str:
        """Where a client PUTs a file: what create_open hands out."""
        start = self._write_urls.get(devid)
        if start is None:
            device = self.devices[devid]
            start = _write_url(device, device.host.address(peer, zone=zone))
        return start + file_path(fid)

    def read_url(
        self, devid: int, fid: int, peer: str | None = None, zone: str | None = None
    ) -> str:
        """Where a client reads a file: what get_paths hands out."""
        start = self._read_urls.get(devid)
        if start is None:
            device = self.devices[devid]
            start = _read_url(device, device.host.address(peer, zone=zone))
        return start + file_path(fid)


def _write_url(device: Device, address: str) -> str:
    return f"http://{format_address(address, device.host.http_port)}/dev{device.devid}/"


def _read_url(device: Device, address: str) -> str:
    port = device.host.http_get_port or device.host.http_port
    return f"http://{format_address(address, port)}/dev{device.devid}/"


def setting(catalog: Catalog, name: str, default: str = "") -> str:
    """A server setting as last committed."""
    rows = catalog.read(
        "SELECT value FROM server_settings WHERE field = CAST(? AS TEXT)", (to_bytes(name),)
    )
    return default if not rows or rows[0][0] is None else str(rows[0][0])


def number_setting(catalog: Catalog, name: str) -> int:
    """A numeric setting, 0 where there is none."""
    return whole(setting(catalog, name))


_NUMBER = re.compile("[0-9]{1,18}")


def whole(text: str | None) -> int:
    """The number that a setting is. Nobody checks it: what SQLite could not keep is 0."""
    return int(text) if text and _NUMBER.fullmatch(text) else 0
