"""What every background job works with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from ..catalog import Catalog
from ..devices import Devices
from ..policies import Place
from ..registry import Registry
from .replicas import Replicas
from .timings import Timings

RESERVE_MIB = 100
"""What must stay free on a device beside a copy, in MiB: MogileFS's own reserve."""

MIB = 2**20


class _Queued(Protocol):
    @property
    def fid(self) -> int: ...


HasFid = TypeVar("HasFid", bound=_Queued)


class Claims:
    """Files that some job works on: two must never copy and delete the same one."""

    def __init__(self) -> None:
        self._fids: set[int] = set()

    def __contains__(self, fid: int) -> bool:
        return fid in self._fids

    def __len__(self) -> int:
        return len(self._fids)

    def take(self, fid: int) -> bool:
        """Claim a file; False where another job has it."""
        if fid in self._fids:
            return False
        self._fids.add(fid)
        return True

    def pick(self, items: Iterable[HasFid], limit: int) -> list[HasFid]:
        """Claim up to ``limit`` files that no job has, the first first; returns their items."""
        found: list[HasFid] = []
        for item in items:
            if len(found) == limit:
                break
            if self.take(item.fid):
                found.append(item)
        return found

    def release(self, fid: int) -> None:
        """Give a claim back."""
        self._fids.discard(fid)


@dataclass
class JobContext:
    """The catalogue, the small tables in memory, the own disks, and the claims on files."""

    catalog: Catalog
    registry: Registry
    devices: Devices
    replicas: Replicas
    timings: Timings = field(default_factory=Timings)
    claims: Claims = field(default_factory=Claims)

    def may_read(self, devid: int) -> bool:
        """May a copy be read from the device, and was it seen to answer?"""
        device = self.registry.devices.get(devid)
        return device is not None and device.readable and self.registry.seen_readable(devid)

    def may_write(self, devid: int, length: int) -> bool:
        """May a new copy of ``length`` bytes go to the device, by state, health and room?"""
        device = self.registry.devices.get(devid)
        if device is None or not device.takes_files or not self.registry.seen_writable(devid):
            return False
        free = self.registry.observed[devid].free
        return free is None or free >= length + RESERVE_MIB * MIB

    def may_delete(self, devid: int) -> bool:
        """May a copy be deleted from the device, and was it seen to answer?"""
        device = self.registry.devices.get(devid)
        return device is not None and device.deletable and self.registry.seen_readable(devid)

    def is_lost(self, devid: int) -> bool:
        """Is the device dead, or unknown? What lies there counts no more."""
        device = self.registry.devices.get(devid)
        return device is None or device.status == "dead"

    def live(self, devids: Iterable[int]) -> list[int]:
        """The devices without those that are lost, whose rows are about to go."""
        return [devid for devid in devids if not self.is_lost(devid)]

    def places(self, length: int, closed: frozenset[int] = frozenset()) -> dict[int, Place]:
        """Every device that is not dead as a policy sees it; ``closed`` ones take no copy."""
        return {
            devid: Place(
                devid,
                device.host.hostid,
                alive=device.status == "alive" and device.host.status == "alive",
                open=devid not in closed and self.may_write(devid, length),
                free=self._free_mib(devid),
            )
            for devid, device in self.registry.devices.items()
            if device.status != "dead"
        }

    def _free_mib(self, devid: int) -> int:
        observed = self.registry.observed.get(devid)
        return (observed.free or 0) // MIB if observed else 0
