"""The devices of the node's own host: directories ``devN`` below one root, with MogileFS's layout.

A device's directory may be a symbolic link or a mount point, so that each can lie on a disk of its
own; below it no symbolic link is followed. Coroutines do their reading and writing in threads of
its device's own, so that one slow disk does not hold up the rest; other functions ask the disk in
the thread that calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import logging
import os
import stat
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from mogilefs.errors import ContentMismatch
from mogilefs.node import layout
from mogilefs.node.arrivals import Arrivals
from mogilefs.node.disk import Disk
from mogilefs.node.diskthreads import DiskThreads
from mogilefs.node.layout import Place
from mogilefs.node.parts import Part, open_file, open_regular, sweep, unlink_all
from mogilefs.node.space import Room, Space
from mogilefs.node.syncs import Commit, Durability, Syncs
from mogilefs.node.trust import Trust
from mogilefs.node.writer import Change, Function
from mogilefs.wire import CHECKSUMS

log = logging.getLogger(__name__)

T = TypeVar("T")

BLOCK = 2**20
"""How many bytes are in memory while a file is copied or summed."""

ARRIVAL_SECONDS = 5.0
"""How long a file that a PUT is still to bring is waited for, at most."""

FULL = 90
"""Per cent of a device in use beyond which nothing goes before removing files."""


class _Base(NamedTuple):
    entry: str
    path: str
    inode: tuple[int, ...]
    disk: Disk


class Devices:
    """All ``devN`` directories below ``root``; safe to share between threads."""

    def __init__(
        self,
        root: str | Path,
        *,
        durable: bool = True,
        quota: int | None = None,
        commit: Commit | None = None,
    ) -> None:
        """``durable=False`` leaves every fsync out. ``quota`` limits each device, in bytes."""
        self.root = Path(root).absolute()
        self.trust = Trust()
        self.arrivals = Arrivals()
        self._root = str(self.root)
        self._durable = durable
        self._durability = Durability(self._root, durable=durable)
        self._quota = quota
        self._commit = commit
        self._bases: dict[int, _Base] = {}
        self._disks: dict[int, Disk] = {}
        self._rooms: dict[int, Room] = {}
        self.threads = DiskThreads(self._root)
        self._syncs: dict[int, Syncs] = {}

    # Directories

    def discover(self) -> list[int]:
        """The numbers of the device directories that are there now, in ascending order."""
        names = (entry.name for entry in os.scandir(self.root) if entry.is_dir())
        return sorted(devid for devid in map(layout.parse_devid, names) if devid is not None)

    def add(self, devid: int) -> Path:
        """Make the directory of a device, durably; one that is there already stays as it is."""
        directory = self.directory(devid)
        with contextlib.suppress(FileExistsError):
            directory.mkdir()
            self._durability.sync(self._root)
        return directory

    def sweep(self) -> int:
        """Remove what uploads of an earlier run left unfinished; returns how many there were.

        A disk that fails, or takes no writes, keeps its own.
        """
        swept = 0
        for devid in self.discover():
            try:
                swept += sweep(self.directory(devid))
            except OSError as error:
                log.warning("device %d is not swept: %s", devid, error)
        return swept

    def directory(self, devid: int) -> Path:
        """The directory of a device, whether it exists or not."""
        return self.root / f"dev{devid}"

    def base(self, devid: int) -> str:
        """The real directory of a device that exists, links resolved; ``FileNotFoundError``.

        An empty directory where another was before is none: there a disk has gone, until
        somebody who knows better says ``accept``.
        """
        return self._known(devid).path

    def _known(self, devid: int) -> _Base:
        known = self._bases.get(devid)
        inode = _identity(f"{self._root}/dev{devid}")
        if known is None or known.inode != inode:
            known = self._resolve(devid, inode)
        return known

    def _disk(self, devid: int) -> Disk:
        """Where a device was when it was last looked at: that takes no call to a disk."""
        known = self._bases.get(devid) or self._known(devid)
        return known.disk

    def _resolve(self, devid: int, inode: tuple[int, ...]) -> _Base:
        path = self.directory(devid).resolve(strict=True)
        if not path.is_dir():
            raise FileNotFoundError(f"{self.directory(devid)} is no directory")
        if devid in self._bases and is_blank(path):
            raise FileNotFoundError(f"{self.directory(devid)} is empty, as without its disk")
        self._rooms.pop(devid, None)
        self._durability.forget(f"{self._root}/dev{devid}")
        disk = self._disks.setdefault(path.stat().st_dev, Disk())
        self._bases[devid] = _Base(str(self.directory(devid)), str(path), inode, disk)
        return self._bases[devid]

    def path(self, devid: int, fid: int) -> Path:
        """Where a file lies on a device, whether it exists or not."""
        return Path(self._path(devid, fid))

    def _path(self, devid: int, fid: int) -> str:
        return f"{self._root}/dev{devid}/{layout.file_path(fid)}"  # a Path takes ten times as long

    def accept(self, devid: int) -> None:
        """Take a device as it is now, though it was another before and nothing lies in it."""
        self._bases.pop(devid, None)

    # Files

    def size(self, devid: int, fid: int) -> int | None:
        """The length of a file in bytes; None where it, or its device's directory, is missing."""
        try:
            return os.stat(self._path(devid, fid), follow_symlinks=False).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    async def length(self, devid: int, fid: int) -> int | None:
        """``size``, which does not keep the event loop waiting for a disk that is known as slow."""
        if self.trust.given(devid):
            return self.trust.ask(devid, self.size, devid, fid)
        try:
            return await self.run(devid, self.size, devid, fid)
        except FileNotFoundError:  # the device itself is missing
            return None

    def open(self, place: Place) -> tuple[int, os.stat_result]:
        """Open a file for reading, and what is known of it; ``OSError``."""
        known = self._bases.get(place.devid)
        if known is not None:
            try:
                return open_regular(known.path, place.path, known.entry)
            except PermissionError:  # the device may have moved: look anew
                pass
        return open_regular(self.base(place.devid), place.path)

    async def arrived(self, devid: int, fid: int) -> int | None:
        """The length of a file as it will stay; None where it is, or its device is, missing.

        Where a PUT is still to bring it, that is waited for, up to ARRIVAL_SECONDS; where it is
        there already, no PUT that is under way replaces it any more. ``OSError`` as for ``size``.
        """
        path = layout.file_path(fid)
        length = await self.length(devid, fid)
        while length is None and await self.arrivals.wait(devid, path, ARRIVAL_SECONDS):
            length = await self.length(devid, fid)
        if (devid, path) in self.arrivals:
            await self.run(devid, self.arrivals.stop, devid, [path])
            length = await self.length(devid, fid)
        return length

    async def keep_off(self, devid: int, fid: int) -> None:
        """Have a file neither on a device nor on its way there; ``OSError``."""
        comes = (devid, layout.file_path(fid)) in self.arrivals
        if comes or await self.length(devid, fid) is not None:
            await self.delete(devid, fid)

    async def delete(self, devid: int, fid: int) -> bool:
        """Delete a file; False where it was not there. ``OSError`` where the disk refuses."""
        try:
            return await self.run(devid, self.remove, devid, layout.file_path(fid))
        except FileNotFoundError:  # the device itself is missing
            return False

    async def delete_all(
        self, devid: int, fids: Sequence[int], *, hurry: bool = False
    ) -> dict[int, OSError]:
        """Delete several files; returns what the disk refused.

        Missing ones count as deleted, unless the disk itself is: then nothing is known of them.
        Unless there is a ``hurry``, or the device is nearly full, that gives way to ``fsync`` of
        other files on the same disk.
        """
        try:
            hurry = hurry or await self.run(devid, self._is_nearly_full, devid)
            remove = functools.partial(self.run, devid, self._remove_all, devid)
            return await self._disk(devid).remove(fids, remove, hurry=hurry)
        except FileNotFoundError as error:  # the device itself is missing
            return dict.fromkeys(fids, error)

    def _is_nearly_full(self, devid: int) -> bool:
        base = self.base(devid)
        try:
            return self.space(devid).percent > FULL
        except OSError as error:  # each file will be refused, or not
            log.warning("cannot tell how full %s is: %s", base, error)
            return False

    def _remove_all(self, devid: int, fids: Sequence[int]) -> dict[int, OSError]:
        paths = {layout.file_path(fid): fid for fid in fids}
        _, refused = self._unlink(devid, paths)
        return {paths[path]: error for path, error in refused.items()}

    def remove(self, devid: int, path: str) -> bool:
        """The same for any path below a device, in the caller's own thread."""
        try:
            removed, refused = self._unlink(devid, [path])
        except (FileNotFoundError, NotADirectoryError):  # the device itself is missing
            return False
        if refused:
            raise refused[path]
        return bool(removed)

    def _unlink(
        self, devid: int, paths: Collection[str]
    ) -> tuple[dict[str, int], dict[str, OSError]]:
        base = self.base(devid)
        self.arrivals.stop(devid, paths)
        removed, refused = unlink_all(base, paths)
        self.room(devid).changed(-sum(removed.values()))
        return removed, refused

    async def checksum(self, devid: int, fid: int, algorithm: str) -> str:
        """The digest of a file in lower-case hex; ``algorithm`` is one of ``wire.CHECKSUMS``."""
        return await self.digest(Place(devid, layout.file_path(fid)), algorithm)

    async def digest(self, place: Place, algorithm: str) -> str:
        """The same for any place of a device."""
        return await self._run_long(place.devid, self._digest, place, algorithm)

    def _digest(self, place: Place, algorithm: str) -> str:
        digest = hashlib.new(CHECKSUMS[algorithm], usedforsecurity=False)
        with open(open_file(self.base(place.devid), place.path), "rb", buffering=0) as file:
            while block := file.read(BLOCK):
                digest.update(block)
        return digest.hexdigest()

    async def copy(
        self,
        fid: int,
        source: int,
        target: int,
        *,
        length: int,
        algorithm: str | None = None,
        checksum: str | None = None,
    ) -> str | None:
        """Copy a file from one device to another, durably; nothing appears there until it is whole.

        Raises ``ContentMismatch`` where the source is not ``length`` bytes long or its digest (hex)
        is not ``checksum``, and ``OSError`` where one of the disks fails. Returns the digest where
        an ``algorithm`` is given. The copy is as old as the source, so that browsers are told the
        same Last-Modified whichever replica they get.
        """
        return await self._run_long(
            target, self._copy, fid, source, target, length, algorithm, checksum
        )

    def _copy(
        self,
        fid: int,
        source: int,
        target: int,
        length: int,
        algorithm: str | None,
        checksum: str | None,
    ) -> str | None:
        path = layout.file_path(fid)
        digest = hashlib.new(CHECKSUMS[algorithm], usedforsecurity=False) if algorithm else None
        copied = 0
        fd, known = open_regular(self.base(source), path)
        with open(fd, "rb", buffering=0) as file:
            part = Part(self.base(target), path)
            try:
                while block := file.read(BLOCK):
                    part.write(block)
                    copied += len(block)
                    if digest:
                        digest.update(block)
                found = digest.hexdigest() if digest else None
                _compare(fid, source, (copied, length), (found, checksum))
                replaced = self.size(target, fid) or 0
                os.utime(part.fd, ns=(known.st_atime_ns, known.st_mtime_ns))
                part.commit(sync=self._durable)
            finally:
                part.abandon()
        self.room(target).changed(copied - replaced)
        self._durability.sync_entry(self._path(target, fid))
        return found

    # Durability

    async def fsync(self, devid: int, fid: int, *then: Function) -> Sequence[Change]:
        """Make a file on a device durable: its bytes, its entry, and directories that are new.

        ``then`` are changes of the catalogue to be committed together when the file is durable;
        they are returned, each with its outcome. ``FileNotFoundError`` where the file is missing.
        With ``durable=False`` nothing waits for the disk.
        """
        if devid not in self._syncs:
            self._syncs[devid] = Syncs(self._durability, self._commit, self.threads.short(devid))
        with self._disk(devid).awaited():
            return await self._syncs[devid].sync(self._path(devid, fid), then)

    # Space

    def room(self, devid: int) -> Room:
        """The account of what may still be put into a device."""
        if devid not in self._rooms:
            self._rooms[devid] = Room(self.base(devid), self._quota)
        return self._rooms[devid]

    def space(self, devid: int) -> Space:
        """What is used and left on a device, in bytes; ``OSError`` where it cannot be told."""
        self.base(devid)
        return self.room(devid).space()

    # Threads

    async def run(self, devid: int, function: Callable[..., T], *args: object) -> T:
        """Run a function that may wait for a disk in one of that device's threads."""
        threads = self.threads.short(devid)
        return await asyncio.get_running_loop().run_in_executor(threads, function, *args)

    async def _run_long(self, devid: int, function: Callable[..., T], *args: object) -> T:
        """The same for what takes as long as a file is large."""
        threads = self.threads.long(devid)
        return await asyncio.get_running_loop().run_in_executor(threads, function, *args)

    def close(self) -> None:
        """Let the threads end when what they do now is done. May be repeated."""
        self.threads.close()
        self._syncs.clear()


def is_blank(directory: str | Path) -> bool:
    """Whether nothing of MogileFS's lies there: a new disk, or an empty mount point."""
    names = os.listdir(directory)
    return not any(name == layout.USAGE or name.isdecimal() for name in names)


def _identity(path: str) -> tuple[int, ...]:
    """What changes when another directory takes the place of a device's, or a link is moved."""
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        behind = os.stat(path)
        return found.st_dev, found.st_ino, behind.st_dev, behind.st_ino, behind.st_mode
    return found.st_dev, found.st_ino, found.st_mode  # a file may be given a directory's number


def _compare(
    fid: int, devid: int, sizes: tuple[int, int], digests: tuple[str | None, str | None]
) -> None:
    if sizes[0] != sizes[1]:
        raise ContentMismatch(f"fid {fid} on dev{devid} has {sizes[0]} bytes, not {sizes[1]}")
    found, wanted = digests
    if wanted is not None and found != wanted.lower():
        raise ContentMismatch(f"fid {fid} on dev{devid} has the checksum {found}, not {wanted}")
