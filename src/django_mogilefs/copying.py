"""One file from one storage to another: compared, copied, read back, and only then deleted."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Container
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.files.base import File
from django.core.files.storage import Storage

from django_mogilefs.names import directory_prefix
from django_mogilefs.storage import MogileFSStorage
from mogilefs import Client, TrackersUnavailable

if TYPE_CHECKING:
    AnyFile = File[Any]
else:
    AnyFile = File

COPIED, UNCHANGED, OWN = "copied", "unchanged", "the destination's own"
ONLY_THERE, NOTED = "only in the destination", "in the journal"


class CopyFailed(Exception):
    """A file could not be copied as asked; the text says why."""


class Hashed(AnyFile):
    """A file with the checksum of what was read since it was last rewound."""

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self._file = file
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._file.read(size)
        self._digest.update(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        self._digest = hashlib.sha256()
        return int(self._file.seek(offset, whence))

    def checksum(self) -> str:
        return self._digest.hexdigest()


def replacing(storage: Storage) -> Storage:
    """The storage, but one that replaces a file of the same name where it can do so at once."""
    if not isinstance(storage, MogileFSStorage):
        return storage
    clone = copy(storage)
    clone.given = {**storage.given, "file_overwrite": True}
    return clone


def own_prefix(source: Storage, destination: Storage) -> str:
    """What the destination's own files begin with in the source's listing; "" if none are there.

    They are where the destination lies below the source: in one domain, or on one disk.
    """
    try:
        outer, inner = _root(source), _root(destination)
    except NotImplementedError:  # one of them is somewhere else
        return ""
    return inner.removeprefix(outer) if inner.startswith(outer) else ""


def place(storage: Storage) -> str:
    """Where a storage keeps its files, in words; only its class for what is not known here."""
    if isinstance(storage, MogileFSStorage):
        trackers = ", ".join(sorted(storage.trackers))
        return f"{storage.domain}:{storage.location} at {trackers}"
    try:
        return storage.path("")
    except NotImplementedError:  # only a storage on a disk of this machine has a path
        return f"{type(storage).__module__}.{type(storage).__qualname__}"


def _root(storage: Storage) -> str:
    if isinstance(storage, MogileFSStorage):
        return f"{storage.domain}\0{directory_prefix('', storage.location)}"
    return os.path.join(os.path.realpath(storage.path("")), "")


@dataclass(frozen=True)
class Copy:
    """Copies files by name. Raises CopyFailed, and what the storages raise."""

    source: Storage
    destination: Storage
    overwrite: bool = False
    delete_source: bool = False
    dry_run: bool = False
    done: Container[str] = ()
    """The names that an earlier run has done with: they may be in the source no more."""
    own: str = ""
    """The ``own_prefix``, where the names are those that the source lists."""
    optional: Container[str] = ()
    """The names that no field on the source refers to: the destination alone may have them."""

    def __call__(self, name: str) -> str:
        """COPIED, UNCHANGED where the destination has the same bytes already, or why it was left:

        NOTED if it was moved before, ONLY_THERE, or OWN: a copy of what is the destination's own
        would lie in it once more, deeper.
        """
        if name in self.done and not self.source.exists(name):
            return NOTED
        if self.own and name.startswith(self.own) and self._is_own(name):
            return OWN
        outcome = self._outcome(name)
        if self.dry_run or outcome == ONLY_THERE:
            return outcome
        if outcome == COPIED:
            self._copy(name)
        if self.delete_source:
            if self._is_one_file(name):
                raise CopyFailed("is one file in both, and was not deleted")
            self.source.delete(name)
        return outcome

    def _outcome(self, name: str) -> str:
        if not self.source.exists(name):
            if name in self.optional and self.destination.exists(name):
                return ONLY_THERE
            raise CopyFailed("is not in the source")
        if not self.destination.exists(name):
            return COPIED
        if self._is_same(name):
            return UNCHANGED
        if not self.overwrite:
            raise CopyFailed("is in the destination with other content (--overwrite replaces it)")
        return COPIED

    def _is_own(self, name: str) -> bool:
        """Whether it is, and not one of another cluster with a domain of the same name."""
        source, destination = self.source, self.destination
        if isinstance(source, MogileFSStorage) and isinstance(destination, MogileFSStorage):
            shared = set(source.trackers) & set(destination.trackers)
            key, there = source.key(name), destination.client
            return bool(shared) or (there.exists(key) and _is_one(source.client, key, there, key))
        return True

    def _is_same(self, name: str) -> bool:
        if self.source.size(name) != self.destination.size(name):
            return False
        wanted = _checksum(self.source, name)
        try:
            return _checksum(self.destination, name) == wanted
        except TrackersUnavailable:  # nothing can be put there either
            raise
        except OSError as error:
            if self.overwrite:
                return False
            told = f"cannot be read in the destination (--overwrite replaces it): {error}"
            raise CopyFailed(told) from error

    def _is_one_file(self, name: str) -> bool:
        """Whether the name stands for one and the same file, however the storages are set up."""
        source, destination = self.source, self.destination
        if isinstance(source, MogileFSStorage) and isinstance(destination, MogileFSStorage):
            one, other = source.key(name), destination.key(name)
            return _is_one(source.client, one, destination.client, other)
        try:
            return os.path.samefile(source.path(name), destination.path(name))
        except NotImplementedError:  # not both are on a disk of this machine
            return source is destination

    def _copy(self, name: str) -> None:
        if self.overwrite:
            self._make_way(name)
        with self.source.open(name) as file:
            content = Hashed(file)
            saved = self.destination.save(name, content)
        if saved != name:
            self.destination.delete(saved)
            raise _other_name(saved)
        if _checksum(self.destination, name) != content.checksum():
            self.destination.delete(name)
            raise CopyFailed("arrived with other bytes")

    def _make_way(self, name: str) -> None:
        """See to it that the name is free; where saving replaces files, that it is this name."""
        if not getattr(self.destination, "file_overwrite", False):
            if self.destination.exists(name) and self._is_one_file(name):
                raise CopyFailed("is one file in both, and was left alone")
            self.destination.delete(name)
        elif (other := self.destination.get_available_name(name)) != name:
            raise _other_name(other)


def _other_name(name: str) -> CopyFailed:
    return CopyFailed(f"is taken there, or no name there: it would have been {name!r}")


def _is_one(client: Client, key: str, other_client: Client, other_key: str) -> bool:
    """Whether two keys stand for one file, also where it is empty and no replica of it is left.

    Another cluster may have a file of the same fid, but not in the same place.
    """
    if client.info(key).fid != other_client.info(other_key).fid:
        return False
    before, others = _replicas(client, key), _replicas(other_client, other_key)
    apart = before and others and before.isdisjoint(others)
    return not apart or before != _replicas(client, key)  # or it was moved between the questions


def _replicas(client: Client, key: str) -> set[str]:
    # In one zone, whichever the client is in: the same replica has another address in each.
    return set(client.paths(key, zone="alt"))


def _checksum(storage: Storage, name: str) -> str:
    with storage.open(name) as file:
        content = Hashed(file)
        for _ in content.chunks():
            pass
        return content.checksum()
