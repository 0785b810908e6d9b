"""The node's background work: one loop for each kind, woken by commands, polling besides.

``Jobs`` is all that the rest of the node needs: start, stop, wake.
"""

from __future__ import annotations

import asyncio
import logging

from ..catalog import Catalog
from ..devices import Devices
from ..registry import Registry
from .context import JobContext
from .delete import Delete, Reap
from .evacuate import DeadDevices, Drain
from .fsck import Fsck
from .fsckfeed import FsckFeed
from .job import Job
from .monitor import Monitor
from .move import Move
from .rebalance import Rebalance, devices_in_work
from .recover import Recovery, sweep_orphans
from .replicas import Replicas
from .replicate import Replicate
from .timings import Timings

log = logging.getLogger(__name__)

__all__ = ["Jobs", "Timings"]

FIRST_LOOK_SECONDS = 1.0
"""How long a start waits for the disks of other hosts: work that has waited for them is tried once
then, and one that is not seen yet would put it off again."""


class Jobs:
    """All background jobs of a node. ``own_hostid`` is the host whose disks are the node's own."""

    def __init__(
        self,
        catalog: Catalog,
        registry: Registry,
        devices: Devices,
        own_hostid: int,
        timings: Timings | None = None,
    ) -> None:
        replicas = Replicas(registry, devices, own_hostid)
        self.context = JobContext(catalog, registry, devices, replicas, timings or Timings())
        context = self.context
        self.recovery = Recovery(context, lambda: self.wake("replicate", "delete"))
        recovered = self.recovery.device_recovered
        self.monitor = Monitor(context, recovered, own=True)
        self.foreign_monitor = Monitor(context, recovered, own=False)
        self.replicate = Replicate(context)
        self.delete = Delete(context)
        self.reap = Reap(context, self.delete)
        self.dead = DeadDevices(context, self.replicate.wake)
        self.move = Move(context)
        self.drain = Drain(context, self.move.wake, lambda: devices_in_work(catalog))
        self.fsck = Fsck(context, self.replicate.wake)
        self.fsck_feed = FsckFeed(context, self.fsck.wake)
        self.rebalance = Rebalance(context, self.move.wake)
        self._woken_by: dict[str, tuple[Job, ...]] = {
            "monitor": (self.monitor, self.foreign_monitor),
            "replicate": (self.replicate,),
            "delete": (self.delete,),
            "reaper": (self.dead, self.drain, self.reap),
            "fsck": (self.fsck_feed, self.fsck),
            "rebalance": (self.rebalance, self.move),
        }

    @property
    def _all(self) -> list[Job]:
        woken = {id(job): job for jobs in self._woken_by.values() for job in jobs}
        return [*woken.values(), self.recovery]

    async def start(self) -> None:
        """Look at the disks once, sweep up after a crash, then let every loop begin."""
        others = self.foreign_monitor.round(patience=FIRST_LOOK_SECONDS)
        await asyncio.gather(self.monitor.round(), others)
        swept = await sweep_orphans(self.context)
        if swept:
            log.warning("removed %d files of lost uploads", swept)
        self.recovery.device_recovered()  # a disk may have come back while nobody looked
        for job in self._all:
            job.start()

    async def stop(self) -> None:
        """End every loop; work under way gets a moment. May be called twice."""
        for job in self._all:
            await job.stop()

    def wake(self, *names: str) -> None:
        """There is work: ``monitor``, ``replicate``, ``delete``, ``reaper`` (states of devices have
        changed), ``fsck``, ``rebalance``."""
        for name in names:
            for job in self._woken_by[name]:
                job.wake()
