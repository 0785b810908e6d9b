"""The monitor: what each device can do now, seen by trying it."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable

from ..devices import is_blank
from ..registry import Device, Observed
from ..usage import try_write, write_usage
from . import foreign
from .context import MIB, JobContext
from .foreign import StorageError
from .job import Job
from .records import now

log = logging.getLogger(__name__)

FULL_BYTES = 64 * 1024
"""A device with less room than this is full: it takes no new file."""

OWN_SECONDS = 10.0
"""An own disk that has not answered after this time counts as unreachable."""


class Monitor(Job):
    """Keeps ``registry.observed``, and the devices' sizes in the catalogue.

    One monitor looks after the own disks, another after those of other hosts, so that a host that
    does not answer delays nothing. Own disks are written to in each round: one that disappears,
    fills up or turns read-only is seen within the interval. Devices that the states exempt (down,
    dead, or a host that is down) are not looked at and have no entry.
    """

    def __init__(self, context: JobContext, recovered: Callable[[], None], *, own: bool) -> None:
        """``recovered`` is called when a device can do more than it could before, or is new."""
        super().__init__(context.timings.monitor)
        self._context = context
        self._own = own
        self._recovered = recovered
        self._mounted: set[int] = set()
        self._tested: dict[int, float] = {}
        self._told: dict[int, float] = {}
        self._totals: dict[int, tuple[int, int]] = {}
        self._able: dict[int, int] = {}
        self._reported = 0.0
        self._started = False
        self._looks: dict[int, asyncio.Task[None]] = {}

    async def step(self) -> bool:
        await self.round(patience=self.interval)
        return False

    async def stop(self) -> None:
        await super().stop()
        looks, self._looks = list(self._looks.values()), {}
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)

    async def round(self, patience: float | None = None) -> None:
        """Look at every device once, all at the same time.

        A device that takes longer than ``patience`` (seconds; None: as long as it takes) is not
        waited for, and not looked at anew before that look has ended: one disk that hangs hides
        nothing of the others.
        """
        owns = self._context.replicas.owns
        mine = [
            device
            for device in self._context.registry.devices.values()
            if owns(device.devid) == self._own
        ]
        for device in mine:
            if not _watched(device):
                self._context.registry.forget(device.devid)
                self._able.pop(device.devid, None)
        for device in mine:
            if _watched(device) and device.devid not in self._looks:
                self._looks[device.devid] = asyncio.create_task(self._look(device))
        if self._looks:
            await asyncio.wait(self._looks.values(), timeout=patience)
        ended = [devid for devid, look in self._looks.items() if look.done()]
        for look in [self._looks.pop(devid) for devid in ended]:
            look.result()
        self._started = True
        await self._report()

    async def _look(self, device: Device) -> None:
        try:
            seen = await (self._look_at_own(device) if self._own else self._ask(device))
        except (OSError, StorageError, asyncio.TimeoutError) as error:
            seen = Observed("unreachable")
            self._note(device, seen, str(error) or type(error).__name__)
        else:
            self._note(device, seen, "")

    def _note(self, device: Device, seen: Observed, why: str) -> None:
        registry = self._context.registry
        known = registry.observed.get(device.devid)
        current = registry.devices.get(device.devid)
        if current is None or not _watched(current):  # its state has changed meanwhile
            return
        registry.observe(device.devid, seen)
        if known is None or known.state != seen.state:
            level = logging.INFO if seen.state == "writeable" else logging.WARNING
            told = f" ({why})" if why else ""
            log.log(level, "device %d is %s%s", device.devid, seen.state, told)
        takes = seen.state == "writeable" and current.takes_files
        before, able = self._able.get(device.devid, -1), _rank(seen) + takes
        self._able[device.devid] = able
        if able > before and self._started:  # the first look is before anything begins
            self._recovered()

    async def _look_at_own(self, device: Device) -> Observed:
        used = self._has_copies(device.devid)
        looking = self._context.devices.run(device.devid, self._own_space, device.devid, used)
        available = await asyncio.wait_for(looking, OWN_SECONDS)
        if not device.deletable:  # nothing is to be written there
            return Observed("readable", available)
        if available < FULL_BYTES:
            return Observed("readable", available)
        try:
            await asyncio.wait_for(self._write_to_own(device.devid), OWN_SECONDS)
        except asyncio.TimeoutError:  # an OSError, too, since Python 3.11: it does not answer
            raise
        except OSError as error:
            self._note(device, Observed("readable", available), str(error))
            return Observed("readable", available)
        return Observed("writeable", available)

    async def _write_to_own(self, devid: int) -> None:
        devices = self._context.devices
        await devices.run(devid, try_write, devices, devid)
        age = time.monotonic() - self._told.get(devid, float("-inf"))
        if age >= self._context.timings.usage_file:
            await devices.run(devid, write_usage, devices, devid)
            self._told[devid] = time.monotonic()

    def _has_copies(self, devid: int) -> bool:
        sql = "SELECT 1 FROM file_on WHERE devid = ? LIMIT 1"
        return bool(self._context.catalog.read(sql, (devid,)))

    def _own_space(self, devid: int, used: bool) -> int:
        """Bytes free on an own device. Raises OSError where it, or the disk below it, is gone.

        ``used``: whether the catalogue has files there.
        """
        devices = self._context.devices
        directory = devices.directory(devid)
        mounted = os.stat(directory).st_dev != os.stat(devices.root).st_dev
        if mounted:
            self._mounted.add(devid)
        elif devid in self._mounted:
            raise FileNotFoundError(f"the disk of {directory} is not mounted")
        if is_blank(directory):
            if used:
                raise FileNotFoundError(
                    f"{directory} is empty, but has files in the catalogue: its disk is not"
                    " mounted, or is another (make a file 'usage' there to use it as it is)"
                )
            devices.accept(devid)
        space = devices.space(devid)
        self._totals[devid] = (space.total, space.used)
        return space.available

    async def _ask(self, device: Device) -> Observed:
        """A device of another host. A test write only now and then while all is well."""
        replicas, devid = self._context.replicas, device.devid
        usage = await foreign.usage(replicas.url(devid, f"/dev{devid}/usage"))
        self._totals[devid] = (usage.total, usage.used)
        if not device.deletable or usage.available < FULL_BYTES:
            return Observed("readable", usage.available)
        known = self._context.registry.observed.get(devid)
        age = time.monotonic() - self._tested.get(devid, float("-inf"))
        if known is None or known.state != "writeable" or age > self._test_interval:
            url = replicas.url(devid, f"/dev{devid}/test-write")
            try:
                await foreign.test_write(url)
            except StorageError as error:
                self._note(device, Observed("readable", usage.available), str(error))
                return Observed("readable", usage.available)
            self._tested[devid] = time.monotonic()
        return Observed("writeable", usage.available)

    @property
    def _test_interval(self) -> float:
        return self._context.timings.foreign_test_write

    async def _report(self) -> None:
        """The devices' sizes to the catalogue, now and then, and at once where one is new."""
        registry = self._context.registry
        fresh = any(
            devid in registry.devices and registry.devices[devid].mb_total is None
            for devid in self._totals
        )
        due = time.monotonic() - self._reported >= self._context.timings.sizes
        if not self._totals or not (fresh or due):
            return
        asof = now()
        rows = [
            (total // MIB, used // MIB, asof, devid)
            for devid, (total, used) in self._totals.items()
        ]
        self._totals.clear()
        self._reported = time.monotonic()
        await self._context.catalog.write(
            lambda db: db.executemany(
                "UPDATE device SET mb_total = ?, mb_used = ?, mb_asof = ? WHERE devid = ?", rows
            ),
            durable=False,
        )
        registry.reload()


def _watched(device: Device) -> bool:
    """Devices that may be read from are monitored."""
    return device.readable


def _rank(observed: Observed) -> int:
    return ("unreachable", "readable", "writeable").index(observed.state)
