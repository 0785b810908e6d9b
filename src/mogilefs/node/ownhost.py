"""The node's own host: its rows in the catalogue, and which devices are its own."""

from __future__ import annotations

import ipaddress
import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from .addresses import parse_address
from .namespaces import find_domain, insert_class, insert_domain, update_class
from .registry import Host, Observed

if TYPE_CHECKING:
    from .node import Node


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
        host = self._known()
        if host is None:
            self._hostid = await self._node.catalog.write(
                lambda db: _insert_host(db, self._node.hostname, ip, port)
            )
        else:
            self._hostid = host.hostid
            if (host.ip, host.http_port) != (ip, port):
                await self._node.catalog.write(lambda db: _move_host(db, host, ip, port))
        for devid in self._node.device_numbers:
            await self._register_device(devid)
        self._node.registry.reload()

    def _known(self) -> Host | None:
        return self._node.registry.host_named(self._node.hostname)

    def _address(self) -> tuple[str, int]:
        bound, port = parse_address(self._node.storage, "storage")
        ip = self._node.host_ip or bound
        if ipaddress.ip_address(ip).is_unspecified:
            raise ConfigurationError(
                f"storage listens on {self._node.storage}, which no client can be sent to:"
                " give the address that clients reach with host_ip (--host-ip)"
            )
        return ip, port

    async def _register_device(self, devid: int) -> None:
        known = self._node.registry.devices.get(devid)
        if known is not None and known.host.hostid != self._hostid:
            raise ConfigurationError(f"device {devid} belongs to host {known.host.name!r}")
        if known is None:
            self.make_directory(devid)
            await self._node.catalog.write(
                lambda db: db.execute(
                    "INSERT INTO device (devid, hostid, status, weight)"
                    " VALUES (?, ?, 'alive', 100)",
                    (devid, self._hostid),
                )
            )

    def look(self) -> None:
        """A first look at the own devices, so that files can be stored from the first moment."""
        for device in self._node.registry.devices_of(self._hostid):
            try:
                free = self._node.devices.space(device.devid).available
            except OSError:  # a disk that is not there: the monitor goes on looking for it
                continue
            self._node.registry.observed[device.devid] = Observed("writeable", free)

    async def create_domains(self, domains: Mapping[str, Mapping[str, int]]) -> None:
        """Create missing domains and classes; give classes the mindevcount asked for."""
        if domains:
            await self._node.catalog.write(lambda db: _create_domains(db, domains))
            self._node.registry.reload()


def _insert_host(db: sqlite3.Connection, name: str, ip: str, port: int) -> int:
    (hostid,) = db.execute("SELECT coalesce(max(hostid), 0) + 1 FROM host").fetchone()
    db.execute(
        "INSERT INTO host (hostid, status, hostname, hostip, http_port)"
        " VALUES (?, 'alive', ?, ?, ?)",
        (hostid, name, ip, port),
    )
    return int(hostid)


def _move_host(db: sqlite3.Connection, host: Host, ip: str, port: int) -> None:
    """The door's address has changed. A port for reading only is another program's: it stays
    while the address does."""
    keep = host.http_get_port if host.ip == ip else None
    db.execute(
        "UPDATE host SET hostip = ?, http_port = ?, http_get_port = ? WHERE hostid = ?",
        (ip, port, keep, host.hostid),
    )


def _create_domains(db: sqlite3.Connection, domains: Mapping[str, Mapping[str, int]]) -> None:
    for domain, classes in domains.items():
        dmid = find_domain(db, domain) or insert_domain(db, domain)
        for name, mindevcount in classes.items():
            settings = {"mindevcount": mindevcount}
            if not update_class(db, dmid, name, settings):
                insert_class(db, dmid, name, settings)
