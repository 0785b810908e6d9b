"""The demo's window on MogileFS: its devices, and where a file's replicas lie."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db.models.fields.files import FieldFile
from django.http import Http404

from demo.people.storages import AvatarStorage
from mogilefs import KeyNotFound
from mogilefs import cluster as told
from mogilefs.client import Admin
from mogilefs.node.layout import url_path


@dataclass(frozen=True)
class Device:
    """A directory that keeps files: what the tracker says of it, and what lies there."""

    number: int
    state: str
    percent: int | None
    """How full its disk is; None until the tracker has looked."""
    files: int
    bytes: int

    @property
    def dead(self) -> bool:
        return self.state == "dead"

    @classmethod
    def look_at(cls, device: told.Device) -> Device:
        sizes = [path.stat().st_size for path in _directory(device.devid).glob("[0-9]/**/*.fid")]
        full = 100 * (device.mb_used or 0) // device.mb_total if device.mb_total else None
        return cls(device.devid, device.status, full, len(sizes), sum(sizes))


@dataclass(frozen=True)
class Replica:
    """One copy of a file: on which device, at which path."""

    device: Device
    path: Path
    present: bool
    """Whether the file is on the disk, with all its bytes."""
    listed: bool
    """Whether the tracker counts it; what a dead device keeps lies there uncounted."""

    @property
    def good(self) -> bool:
        return self.listed and self.present and not self.device.dead


@dataclass(frozen=True)
class Kept:
    """A file as MogileFS keeps it."""

    key: str
    fid: int
    length: int
    mogile_class: str
    wanted: int
    """How many replicas its class asks for."""
    possible: int
    """On how many devices there could be one now."""
    replicas: list[Replica]

    @property
    def good(self) -> int:
        return sum(replica.good for replica in self.replicas)

    @property
    def lost(self) -> bool:
        return not self.good

    @property
    def healing(self) -> bool:
        """Replicas are missing, and will be made by themselves."""
        return 0 < self.good < min(self.wanted, self.possible)


class Cluster:
    """What the tracker says at one moment. Raises MogileFSError where no tracker answers."""

    def __init__(self) -> None:
        self.client = AvatarStorage().client
        self.devices = [Device.look_at(device) for device in self.client.admin.devices()]
        classes = self.client.admin.classes(settings.MOGILEFS_DOMAIN)
        self.mindevcounts = {each.name: each.mindevcount for each in classes}

    def kept(self, file: FieldFile) -> Kept:
        """Where a file's replicas lie; nowhere, if the tracker does not know its key."""
        key = AvatarStorage().key(str(file.name))
        try:
            facts = self.client.debug(key)
        except KeyNotFound:
            return Kept(key, 0, 0, "", 0, 0, [])
        fid, length = int(facts["fid_fid"]), int(facts["fid_length"])
        listed = {int(number) for number in facts.get("devids", "").split(",") if number}
        return Kept(
            key=key,
            fid=fid,
            length=length,
            mogile_class=facts["fid_class"],
            wanted=self.mindevcounts[facts["fid_class"]],
            possible=sum(device.state == "alive" for device in self.devices),
            replicas=list(self._replicas(fid, length, listed)),
        )

    def _replicas(self, fid: int, length: int, listed: set[int]) -> Iterable[Replica]:
        for device in self.devices:
            path = _file(device.number, fid)
            present = path.is_file() and path.stat().st_size == length
            if present or device.number in listed:
                yield Replica(device, path, present, device.number in listed)


def take_away(number: int) -> None:
    """Declare the device dead: its files are copied anew from their other replicas."""
    admin = AvatarStorage().client.admin
    admin.set_device_state(_host_of(admin, number), number, "dead")


def bring_back(number: int) -> None:
    """Make a dead device alive. It went through dead, so what it kept is not counted again."""
    admin = AvatarStorage().client.admin
    host = _host_of(admin, number)
    # MogileFS refuses the way from dead straight to alive, lest it happen by a slip.
    admin.set_device_state(host, number, "down")
    admin.set_device_state(host, number, "alive")
    _use_new_places(admin)


def add_device() -> None:
    """Make one more device, on the host of the others, with an empty directory."""
    admin = AvatarStorage().client.admin
    numbers = [device.devid for device in admin.devices()]
    newest = max(numbers)
    admin.create_device(_host_of(admin, newest), newest + 1, "alive")
    _use_new_places(admin)


def _use_new_places(admin: Admin) -> None:
    """Look through all files: those with too few replicas for want of devices get more."""
    admin.fsck_reset(policy_only=True)
    admin.fsck_start()


def _host_of(admin: Admin, number: int) -> str:
    hosts = {host.hostid: host.name for host in admin.hosts()}
    devices = {device.devid: hosts[device.hostid] for device in admin.devices()}
    if number not in devices:
        raise Http404(f"There is no device {number}.")
    return devices[number]


def _directory(device: int) -> Path:
    return Path(settings.DEMO_DATA, f"dev{device}")


def _file(device: int, fid: int) -> Path:
    return Path(settings.DEMO_DATA, url_path(device, fid).lstrip("/"))
