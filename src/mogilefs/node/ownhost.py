"""The node's own host: its rows in the catalogue, and which devices are its own."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from .addresses import parse_address
from .namespaces import find_domain, insert_class, insert_domain, update_class
from .registry import DEFAULT_MINDEVCOUNT, Device, Host, Observed

if TYPE_CHECKING:
    from .node import Node

log = logging.getLogger(__name__)


class OwnHost:
    """Registers the node as a storage node of itself."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._hostid = 0

    @property
    def hostid(self) -> int:
        return self._hostid

    def owns(self, devid: int) -> bool:
        """Is the device a directory of this node's?"""
        device = self._node.registry.devices.get(devid)
        return device is not None and device.host.hostid == self._hostid

    def make_directory(self, devid: int) -> None:
        """The directory of a device that is new. One that is known is never made again: where it
        is missing, a disk is missing."""
        self._node.devices.add(devid)

    async def register(self) -> None:
        """Write the host's row with the storage door's address, and rows for missing devices."""
        ip, port = self._address()
        host = self._known(ip)
        try:
            self._hostid = await self._node.catalog.write(
                lambda db: _write_host(db, host, self._node.hostname, ip, port)
            )
        except sqlite3.IntegrityError as error:
            raise ConfigurationError(
                f"another host in the catalogue has the address {ip}; give host"
                f" {self._node.hostname!r} another with host_ip (--host-ip)"
            ) from error
        for devid in self._node.device_numbers:
            await self._register_device(devid)
        self._node.registry.reload()

    def _known(self, ip: str) -> Host | None:
        """The row that is this node's: by its name, by the disks that lie here, by its address.

        The last two are for a catalogue that another MogileFS has made, with a name of its own.
        """
        registry = self._node.registry
        named = registry.host_named(self._node.hostname)
        if named is not None:
            return named
        here = [
            registry.devices[devid].host
            for devid in self._node.device_numbers
            if devid in registry.devices and self._is_here(devid)
        ]
        return next(
            iter([*here, *(host for host in registry.hosts.values() if host.ip == ip)]), None
        )

    def _is_here(self, devid: int) -> bool:
        return self._node.devices.directory(devid).is_dir()

    def _address(self) -> tuple[str, int]:
        bound, port = parse_address(self._node.storage, "storage")
        return self._node.host_ip or bound, port

    async def _register_device(self, devid: int) -> None:
        known = self._node.registry.devices.get(devid)
        if known is None:
            self.make_directory(devid)
            await self._node.catalog.write(
                lambda db: db.execute(
                    "INSERT INTO device (devid, hostid, status, weight)"
                    " VALUES (?, ?, 'alive', 100)",
                    (devid, self._hostid),
                )
            )
        elif known.host.hostid != self._hostid:
            await self._take_over(known)

    async def _take_over(self, device: Device) -> None:
        """A disk of another host's row that lies here was brought here."""
        if not self._is_here(device.devid):
            raise ConfigurationError(
                f"device {device.devid} belongs to host {device.host.name!r}, and"
                f" {self._node.devices.directory(device.devid)} is not there"
            )
        log.warning("took over device %d of host %r", device.devid, device.host.name)
        await self._node.catalog.write(
            lambda db: db.execute(
                "UPDATE device SET hostid = ? WHERE devid = ?", (self._hostid, device.devid)
            )
        )

    def look(self) -> None:
        """A first look at the own devices, so that files can be stored from the first moment."""
        for device in self._node.registry.devices_of(self._hostid):
            try:
                free = self._node.devices.space(device.devid).available
            except OSError:  # a disk that is not there: the monitor goes on looking for it
                continue
            self._node.registry.observe(device.devid, Observed("writeable", free))

    async def create_domains(self, domains: Mapping[str, Mapping[str, int | None]]) -> None:
        """Create missing domains and classes; give classes the mindevcount asked for."""
        if domains:
            await self._node.catalog.write(lambda db: _create_domains(db, domains))
            self._node.registry.reload()


def _write_host(db: sqlite3.Connection, host: Host | None, name: str, ip: str, port: int) -> int:
    """The host's row with its present address; returns its number.

    A port for reading only belongs to another program: it stays while the address does.
    """
    if host is None:
        (hostid,) = db.execute("SELECT coalesce(max(hostid), 0) + 1 FROM host").fetchone()
        db.execute(
            "INSERT INTO host (hostid, status, hostname, hostip, http_port)"
            " VALUES (?, 'alive', ?, ?, ?)",
            (hostid, name, ip, port),
        )
        return int(hostid)
    if (host.ip, host.http_port) != (ip, port):
        get_port = host.http_get_port if host.ip == ip else None
        db.execute(
            "UPDATE host SET hostip = ?, http_port = ?, http_get_port = ? WHERE hostid = ?",
            (ip, port, get_port, host.hostid),
        )
    return host.hostid


def _create_domains(
    db: sqlite3.Connection, domains: Mapping[str, Mapping[str, int | None]]
) -> None:
    for domain, classes in domains.items():
        dmid = find_domain(db, domain) or insert_domain(db, domain)
        for name, mindevcount in classes.items():
            _create_class(db, dmid, name, mindevcount)


def _create_class(db: sqlite3.Connection, dmid: int, name: str, mindevcount: int | None) -> None:
    if mindevcount is None:
        with suppress(sqlite3.IntegrityError):  # it is there, and stays as it is
            insert_class(db, dmid, name, {"mindevcount": DEFAULT_MINDEVCOUNT})
    elif not update_class(db, dmid, name, {"mindevcount": mindevcount}):
        insert_class(db, dmid, name, {"mindevcount": mindevcount})
