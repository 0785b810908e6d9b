"""The node: start, serve, stop. One event loop for the doors and jobs, one thread that writes.

async with Node(directory) as node: ...          # inside a program's event loop
with Node(directory).in_thread() as node: ...    # beside a program that has none
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from ..errors import ConfigurationError
from .addresses import format_address, is_address, is_loopback, is_wildcard, parse_address
from .catalog import Catalog
from .devices import Devices
from .directory_lock import DirectoryLock
from .fids import Fids
from .jobs import Jobs, Timings
from .networks import Networks
from .openuploads import OpenUploads
from .ownhost import OwnHost
from .registry import Registry
from .sidechannel import Sidechannel
from .storage import StorageDoor
from .thread import NodeThread
from .tracker import TrackerDoor

log = logging.getLogger(__name__)

DATABASE_NAME = "mogilefs.sqlite"


class Door(Protocol):
    """Something that listens."""

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; returns the address as bound. OSError where that cannot be had."""


class Node:
    """A MogileFS for one machine, with its data in ``directory`` (made if it is not there).

    ``devices`` is a count (1 up to it) or the devices' numbers; ``domains`` maps domains to
    classes and those to their mindevcount, None for 2 where the class is new and no change where
    it is not. Both are created where missing and never removed.
    Addresses are ``host:port``, port 0 a free one; ``tracker``, ``storage`` and ``sidechannel``
    are as really bound once the node has started. ``durability="relaxed"`` leaves fsync out: for
    tests, not for data. ``allow`` lists the networks that may talk to a node that does not listen
    on loopback. ``hostname`` is its name as a storage node, ``host_ip`` the address that clients
    are sent to where that is not the one it listens on. ``metrics`` is the address of a door for
    Prometheus, None for none. ``timings`` are the intervals of the background jobs, for tests.

    Raises ConfigurationError at construction for what can never work, and at start when another
    node has the directory, the database is no MogileFS of schema version 17 or an address cannot
    be bound.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        devices: int | Sequence[int] = 2,
        domains: Mapping[str, Mapping[str, int | None]] | None = None,
        tracker: str = "127.0.0.1:7001",
        storage: str = "127.0.0.1:7500",
        sidechannel: str = "127.0.0.1:7501",
        durability: str = "full",
        allow: Sequence[str] = (),
        hostname: str = "node",
        host_ip: str | None = None,
        timings: Timings | None = None,
        metrics: str | None = None,
    ) -> None:
        if durability not in ("full", "relaxed"):
            raise ConfigurationError(f"durability is 'full' or 'relaxed', not {durability!r}")
        self.directory = Path(directory)
        self.device_numbers = _device_numbers(devices)
        self.domains = _checked_domains(domains or {})
        self.durable = durability == "full"
        self.networks = Networks(allow)
        self.hostname = hostname
        self.host_ip = host_ip
        self._timings = timings
        self._wanted = {
            "tracker": parse_address(tracker, "tracker"),
            "storage": parse_address(storage, "storage"),
            "sidechannel": parse_address(sidechannel, "sidechannel"),
        }
        self.metrics = metrics
        if metrics is not None:
            self._wanted["metrics"] = parse_address(metrics, "metrics")
            _need_prometheus_client()
        if not allow:
            _refuse_strangers(self._wanted)
        if host_ip is None and is_wildcard(self._wanted["storage"][0]):
            raise ConfigurationError(
                f"storage listens on {storage}, which no client can be sent to:"
                " give the address that clients reach with host_ip (--host-ip)"
            )
        if host_ip is not None and (not is_address(host_ip) or is_wildcard(host_ip)):
            raise ConfigurationError(f"host_ip must be an IP address of its own, not {host_ip!r}")
        self.tracker, self.storage, self.sidechannel = tracker, storage, sidechannel
        self._closing: AsyncExitStack | None = None

    async def __aenter__(self) -> Node:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start everything, in order; when it returns every door answers."""
        self._closing = AsyncExitStack()
        try:
            await self._open_catalogue()
            await self._open_storage()
            await self._register()
            await self._start_jobs()
            await self._open_tracker()
            await self._open_metrics()
        except BaseException:
            await self._undo()
            raise
        log.info("node started in %s", self.directory)

    async def stop(self) -> None:
        """Stop what was started, the last first. May be called twice."""
        if await self._undo():
            log.info("node stopped in %s", self.directory)

    async def _undo(self) -> bool:
        """Stop what was started so far; False where nothing was."""
        closing, self._closing = self._closing, None
        if closing is not None:
            await closing.aclose()
        return closing is not None

    def in_thread(self) -> NodeThread:
        """This node in a thread and event loop of its own: a context manager."""
        return NodeThread(self)

    def wake(self, *jobs: str) -> None:
        """There is work for these jobs (``replicate``, ``delete`` …): they need not wait."""
        self.jobs.wake(*jobs)

    def _at_stop(self, stop: Callable[[], Awaitable[Any] | None]) -> None:
        """Call ``stop`` when the node stops, before all that was started earlier."""

        async def call() -> None:
            pending = stop()
            if pending is not None:
                await pending

        assert self._closing is not None
        self._closing.push_async_callback(call)

    async def _open_catalogue(self) -> None:
        lock = DirectoryLock(self.directory)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError as error:
            raise ConfigurationError(f"cannot use {self.directory}: {error}") from error
        self._at_stop(lock.release)
        self.catalog = Catalog(self.directory / DATABASE_NAME, fsync=self.durable)
        self.catalog.open()
        self._at_stop(self.catalog.close)
        self.registry = Registry(self.catalog)
        self.registry.reload()
        self.fids = Fids(self.catalog)
        self.fids.open()
        self.uploads = OpenUploads(self.catalog)
        self._at_stop(self.uploads.stop)
        self._at_stop(self.fids.give_back)

    async def _open_storage(self) -> None:
        """The disks and the doors to them; after this ``self.storage`` is the address as bound."""
        self.devices = Devices(self.directory, durable=self.durable, commit=self.catalog.apply)
        self._at_stop(self.devices.close)
        self.devices.sweep()
        self.storage_door = StorageDoor(self.devices, networks=self.networks)
        self._at_stop(self.storage_door.stop)
        self.storage = await self._listen("storage", self.storage_door)
        sidechannel = Sidechannel(self.devices, networks=self.networks)
        self._at_stop(sidechannel.stop)
        self.sidechannel = await self._listen("sidechannel", sidechannel)

    async def _register(self) -> None:
        """The own host, its devices, and the domains and classes asked for."""
        self.own_host = OwnHost(self)
        await self.own_host.register()
        self.own_host.look()
        await self.own_host.create_domains(self.domains)

    async def _start_jobs(self) -> None:
        """The monitor, whose first round is over when this returns, and the background jobs."""
        self.jobs = Jobs(
            self.catalog, self.registry, self.devices, self.own_host.hostid, self._timings
        )
        self._at_stop(self.jobs.stop)
        await self.jobs.start()

    async def _open_tracker(self) -> None:
        self.tracker_door = TrackerDoor(self)
        self._at_stop(self.tracker_door.stop)
        self.tracker = await self._listen("tracker", self.tracker_door)

    async def _open_metrics(self) -> None:
        if self.metrics is not None:
            from .metrics import MetricsDoor  # an extra: not everybody has what it needs

            door = MetricsDoor(self)
            self._at_stop(door.stop)
            self.metrics = await self._listen("metrics", door)

    async def _listen(self, name: str, door: Door) -> str:
        host, port = self._wanted[name]
        try:
            return format_address(*await door.start(host, port))
        except OSError as error:
            address = format_address(host, port)
            raise ConfigurationError(f"{name} cannot listen on {address}: {error}") from error


def _need_prometheus_client() -> None:
    if find_spec("prometheus_client") is None:
        raise ConfigurationError(
            "metrics need prometheus-client: pip install 'django-mogilefs[metrics]'"
        )


def _refuse_strangers(addresses: Mapping[str, tuple[str, int]]) -> None:
    """Nobody listens beyond this machine without having said who may talk."""
    for name, (host, port) in addresses.items():
        if host != "localhost" and not is_loopback(host):
            address = format_address(host, port)
            raise ConfigurationError(
                f"{name} listens on {address}, beyond this machine: say which networks may talk"
                " with allow (--allow 10.0.0.0/8)"
            )


def _device_numbers(devices: int | Sequence[int]) -> tuple[int, ...]:
    numbers = tuple(range(1, devices + 1)) if isinstance(devices, int) else tuple(devices)
    if not numbers or any(number < 1 for number in numbers) or len({*numbers}) < len(numbers):
        raise ConfigurationError(f"devices is a count or different numbers above 0, not {devices}")
    return numbers


def _checked_domains(
    domains: Mapping[str, Mapping[str, int | None]],
) -> dict[str, dict[str, int | None]]:
    for domain, classes in domains.items():
        for name, mindevcount in classes.items():
            if mindevcount is not None and mindevcount < 1:
                raise ConfigurationError(
                    f"class {name!r} of domain {domain!r}: its mindevcount must be at least 1,"
                    f" not {mindevcount}"
                )
        if not domain or "" in classes:
            raise ConfigurationError(f"a domain or class without a name: {domain!r}, {classes!r}")
    return {name: dict(classes) for name, classes in domains.items()}
