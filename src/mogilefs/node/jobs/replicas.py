"""Copies of files, wherever they are: own devices directly on disk, other hosts' over HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence

from ...errors import ContentMismatch
from ...wire import CHECKSUMS
from ..addresses import format_address
from ..devices import Devices
from ..layout import url_path
from ..registry import Device, Registry
from . import foreign
from .foreign import StorageError

BLOCK = 256 * 1024


class CopyFailed(Exception):
    """A copy was not made. ``source_is_bad``: its bytes are not what they must be."""

    def __init__(self, message: str, *, source_is_bad: bool = False) -> None:
        super().__init__(message)
        self.source_is_bad = source_is_bad


class Replicas:
    """Access to the copies of files by device and fid.

    Every method raises StorageError where the device cannot be asked (its disk fails, its host
    does not answer): that says nothing about whether the copy is there.
    """

    def __init__(self, registry: Registry, devices: Devices, own_hostid: int) -> None:
        self._registry = registry
        self._devices = devices
        self._own_hostid = own_hostid

    def owns(self, devid: int) -> bool:
        """Is the device a directory of this node's?"""
        device = self._registry.devices.get(devid)
        return device is not None and device.host.hostid == self._own_hostid

    def own_devices(self) -> list[Device]:
        """The devices of this node, dead ones included."""
        return list(self._registry.devices_of(self._own_hostid))

    def url(self, devid: int, path: str) -> str:
        """Where a path of another host's device is written and checked."""
        host = self._registry.devices[devid].host
        return f"http://{format_address(host.ip, host.http_port)}{path}"

    def _file_url(self, devid: int, fid: int) -> str:
        return self.url(devid, url_path(devid, fid))

    async def size(self, devid: int, fid: int) -> int | None:
        """The length of a copy in bytes, None where it is missing."""
        if not self.owns(devid):
            return await foreign.size(self._file_url(devid, fid))
        try:
            return await self._devices.run(devid, self._own_size, devid, fid)
        except OSError as error:
            raise StorageError(f"dev{devid}: {error}") from error

    def _own_size(self, devid: int, fid: int) -> int | None:
        """A missing copy on a disk that is there: where the disk is missing, nothing is known."""
        self._devices.base(devid)
        return self._devices.size(devid, fid)

    async def checksum(self, devid: int, fid: int, algorithm: str) -> str:
        """The digest of a copy in hex; a copy that is missing is a StorageError too."""
        try:
            if self.owns(devid):
                return await self._devices.checksum(devid, fid, algorithm)
        except OSError as error:
            raise StorageError(f"dev{devid}: {error}") from error
        url = self._file_url(devid, fid)
        return await foreign.checksum(url, CHECKSUMS[algorithm])

    async def delete(self, devid: int, fid: int) -> None:
        """Remove a copy; one that is not there counts as removed."""
        refused = await self.delete_all(devid, [fid])
        if refused:
            raise refused[fid]

    async def delete_all(
        self, devid: int, fids: Sequence[int], *, hurry: bool = False
    ) -> dict[int, StorageError]:
        """The same for several copies on a device; returns why, for those that are left.

        Own disks let those who write go first, unless there is a ``hurry``.
        """
        if self.owns(devid):
            failed = await self._devices.delete_all(devid, fids, hurry=hurry)
            return {fid: StorageError(f"dev{devid}: {error}") for fid, error in failed.items()}
        refused = {}
        for fid in fids:
            try:
                await foreign.delete(self._file_url(devid, fid))
            except StorageError as error:
                refused[fid] = error
        return refused

    async def strays(self, fid: int, known: list[int]) -> dict[int, int]:
        """Lengths of copies on own, readable devices that are not among ``known``, by device.

        A copy whose row a crash has lost, or that the catalogue forgot.
        """
        asked = [
            device.devid
            for device in self.own_devices()
            if device.readable
            and device.devid not in known
            and self._registry.seen_readable(device.devid)
        ]
        found = {}
        for devid in asked:
            try:
                size = await self._devices.length(devid, fid)
            except OSError:  # a failing disk: the monitor's matter, there is no copy to be had
                continue
            if size is not None:
                found[devid] = size
        return found

    async def copy(
        self,
        fid: int,
        source: int,
        target: int,
        *,
        length: int,
        algorithm: str | None,
        checksum: str | None,
    ) -> str | None:
        """Copy a file durably, verified by ``length`` and, where given, by ``checksum`` (hex).

        Returns the digest where an ``algorithm`` is given. Raises CopyFailed.
        """
        try:
            if self.owns(source) and self.owns(target):
                return await self._devices.copy(
                    fid, source, target, length=length, algorithm=algorithm, checksum=checksum
                )
            digest = await self._copy_abroad(fid, source, target, length, algorithm, checksum)
            if self.owns(target):
                await self._devices.fsync(target, fid)
        except ContentMismatch as error:
            raise CopyFailed(str(error), source_is_bad=True) from error
        except (OSError, StorageError) as error:
            told = f"fid {fid} from dev{source} to dev{target}: {error}"
            raise CopyFailed(told) from error
        return digest

    async def _copy_abroad(
        self,
        fid: int,
        source: int,
        target: int,
        length: int,
        algorithm: str | None,
        checksum: str | None,
    ) -> str | None:
        """Through HTTP, to own devices too: the storage door writes a file whole or not at all."""
        name = f"fid {fid} on dev{source}"
        content = _Checked(self._read(source, fid), name, length, algorithm, checksum)
        url = self._file_url(target, fid)
        try:
            await _put_and_look(url, content, length)
        except (ContentMismatch, StorageError):
            await self._forget(url)
            raise
        return content.digest

    async def _forget(self, url: str) -> None:
        try:
            await foreign.delete(url)
        except StorageError:  # as it could not be written; a later copy overwrites what is there
            return

    async def _read(self, devid: int, fid: int) -> AsyncIterator[bytes]:
        if not self.owns(devid):
            async for block in foreign.blocks(self._file_url(devid, fid)):
                yield block
            return
        with open(self._devices.path(devid, fid), "rb", buffering=0) as file:  # noqa: ASYNC230 - only names are looked at
            while block := await self._devices.run(devid, file.read, BLOCK):
                yield block


async def _put_and_look(url: str, content: _Checked, length: int) -> None:
    await foreign.put(url, content.blocks(), length)
    if await foreign.size(url) != length:
        raise StorageError(f"{url} has not the length that was written")


class _Checked:
    """Passes blocks on, and raises ContentMismatch at their end where they are not as expected."""

    def __init__(
        self,
        source: AsyncIterator[bytes],
        name: str,
        length: int,
        algorithm: str | None,
        checksum: str | None,
    ) -> None:
        self._source = source
        self._name = name
        self._length = length
        self._checksum = checksum
        self._digest = (
            hashlib.new(CHECKSUMS[algorithm], usedforsecurity=False) if algorithm else None
        )

    @property
    def digest(self) -> str | None:
        """The digest in hex of what has passed."""
        return self._digest.hexdigest() if self._digest else None

    async def blocks(self) -> AsyncIterator[bytes]:
        """The blocks; the last one only once the whole is seen to be right."""
        seen, last = 0, b""
        async for block in self._source:
            seen += len(block)
            if seen > self._length:
                break
            if self._digest:
                self._digest.update(block)
            if last:
                yield last
            last = block
        if seen != self._length:
            raise ContentMismatch(f"{self._name} is not {self._length} bytes long")
        if self._checksum and self.digest != self._checksum:
            raise ContentMismatch(f"{self._name} has not the checksum {self._checksum}")
        if last:
            yield last
