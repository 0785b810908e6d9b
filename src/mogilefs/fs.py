"""MogileFS for fsspec: ``mogilefs://domain/key`` in pandas, pyarrow, dask and friends.

Needs the extra: ``pip install django-mogilefs[fsspec]``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from errno import ENOTEMPTY
from itertools import chain
from pathlib import Path
from typing import Any

from fsspec.callbacks import DEFAULT_CALLBACK  # type: ignore[import-untyped]  # has no types
from fsspec.compression import compr  # type: ignore[import-untyped]  # has no types
from fsspec.core import get_compression  # type: ignore[import-untyped]  # has no types
from fsspec.spec import AbstractFileSystem  # type: ignore[import-untyped]  # has no types
from fsspec.utils import isfilelike  # type: ignore[import-untyped]  # has no types

from .client import Client
from .errors import ConfigurationError, DomainNotFound, InvalidKey, KeyNotFound
from .fs_files import Compressing, Text, Uncommitted, WholeFiles
from .fs_paths import directories, directory, is_path, outermost, split
from .levels import level
from .localfiles import replacing

AT_ONCE = 8
"""Files whose details a listing asks for at the same time: the tracker lists names only."""

TEXT_OPTIONS = ("encoding", "errors", "newline")


class MogileFSFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """MogileFS as a file system whose first level are the domains.

    A directory is what keys have in common before a ``/``: it comes with its first file and goes
    with its last, so ``mkdir`` does nothing and an empty directory cannot be.

    ``trackers`` is as for Client; left out, it is the environment's ``MOGILEFS_TRACKERS``.
    Files are written in ``mogile_class``. ``client_options`` go to Client. A file written appears
    under its key when it is closed, whole, and never if its ``with`` block raised.
    """

    protocol = "mogilefs"
    root_marker = ""
    transaction_type = WholeFiles

    def __init__(
        self,
        trackers: str | Sequence[str] | None = None,
        mogile_class: str | None = None,
        client_options: dict[str, Any] | None = None,
        **storage_options: Any,
    ) -> None:
        super().__init__(**storage_options)
        self.trackers = trackers or os.environ.get("MOGILEFS_TRACKERS") or ""
        if not self.trackers:
            raise ConfigurationError("no trackers: give trackers= or set MOGILEFS_TRACKERS")
        self.mogile_class = mogile_class
        self.client_options = client_options or {}
        self._clients: dict[str | None, Client] = {}

    def client(self, domain: str | None) -> Client:
        """The client of a domain, made at the first call. It may be shared by threads."""
        if domain not in self._clients:
            made = Client(domain, self.trackers, **self.client_options)
            return self._clients.setdefault(domain, made)
        return self._clients[domain]

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """What lies directly below ``path``, or the file itself. Costs what is listed there and
        not what lies below it; ``detail`` asks once more for each file."""
        path = self._strip_protocol(path)
        found = self._below(path)
        if not found:
            entry = self.info(path)
            found = [] if entry["type"] == "directory" else [(path, False)]
        return list(self._entries(found)) if detail else [name for name, _ in found]

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """A file's or directory's details; FileNotFoundError for what is neither."""
        path = self._strip_protocol(path)
        entry = self._file(path) or self._directory_if_there(path)
        if entry is None:
            raise FileNotFoundError(path)
        return entry

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Whether there is such a file or directory; an error where nobody can tell."""
        return self._kind(path) is not None

    def isfile(self, path: str) -> bool:
        """Whether there is such a file; an error where nobody can tell."""
        return self._kind(path) == "file"

    def isdir(self, path: str) -> bool:
        """Whether there is such a directory; an error where nobody can tell."""
        return self._kind(path) == "directory"

    def _kind(self, path: str) -> str | None:
        if not is_path(self._strip_protocol(path)):
            return None
        try:
            return str(self.info(path)["type"])
        except (FileNotFoundError, InvalidKey):
            return None

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **kwargs: Any,
    ) -> Any:
        """All files below ``path``, from one listing of its keys; ``maxdepth`` goes by levels."""
        path = self._strip_protocol(path)
        if maxdepth is not None or not path:
            return super().find(path, maxdepth, withdirs, detail, **kwargs)
        found = self._all_below(path, withdirs)
        if not found and self.isfile(path):
            found = {path: False}
        if not detail:
            return sorted(found)
        return {entry["name"]: entry for entry in self._entries(sorted(found.items()))}

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        """Nothing: a directory comes with its first file."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Nothing: a directory comes with its first file."""

    def rmdir(self, path: str) -> None:
        """Nothing for an empty directory, which cannot be there; OSError where files are."""
        path = self._strip_protocol(path)
        if self._below(path):
            raise OSError(ENOTEMPTY, os.strerror(ENOTEMPTY), path)

    def rm(
        self, path: str | list[str], recursive: bool = False, maxdepth: int | None = None
    ) -> None:
        """Delete files, or with ``recursive`` trees: every key that begins with the path and ``/``.

        FileNotFoundError for a file that is not there, and where there is none of the trees.
        """
        if recursive and maxdepth is None:
            were_there = [self._rm_tree(tree) for tree in outermost(self.expand_path(path))]
            if not any(were_there):
                raise FileNotFoundError(path)
            return
        gone_with_its_files = (FileNotFoundError, IsADirectoryError) if recursive else ()
        for found in reversed(self.expand_path(path, recursive=recursive, maxdepth=maxdepth)):
            with suppress(*gone_with_its_files):
                self.rm_file(found)

    def _rm_tree(self, path: str) -> bool:
        """Also of keys that end in a slash, which stand for no file here. Whether it was there."""
        if not path:
            for domain in self.ls(path, detail=False):
                self._rm_tree(domain)
            return True
        if not self.exists(path):
            return False
        domain, key = split(path)
        client = self.client(domain)
        for each in chain([key] if key else [], client.keys(f"{key}/" if key else "")):
            with suppress(KeyNotFound):
                client.delete(each)
        return True

    def rm_file(self, path: str) -> None:
        """Delete a file; FileNotFoundError if it is none."""
        domain, key = self._file_path(path)
        self.client(domain).delete(key)

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy a file, with its class if it stays in its domain; replaces what is there."""
        if self.isdir(path1):
            return
        (domain1, key1), (domain2, key2) = self._file_path(path1), self._file_path(path2)
        if domain1 == domain2:
            self.client(domain1).copy(key1, key2)
        else:
            with self.open(path1) as source:
                self.client(domain2).store(key2, source, mogile_class=self.mogile_class)

    def mv(
        self,
        path1: str | list[str],
        path2: str | list[str],
        recursive: bool = False,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Move. A file that goes to a free name of its domain is renamed, all else is copied.

        Only what was copied is deleted; what was moved onto itself stays.
        """
        if not recursive and self._renamed(path1, path2):
            return
        before = self._fids(self.expand_path(path1, recursive=recursive, maxdepth=maxdepth))
        self.copy(path1, path2, recursive=recursive, maxdepth=maxdepth, on_error="raise")
        after = self._fids(before)
        for path, fid in before.items():
            if after.get(path) == fid:  # another fid is another file: a copy that came here
                self.rm_file(path)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        """Store ``value``; with mode ``create`` FileExistsError where the path is taken."""
        if self._intrans:
            with self.open(path, "xb" if mode == "create" else "wb") as file:
                file.write(value)
            return
        domain, key = self._file_path(path)
        self.client(domain).store(
            key, value, mogile_class=self.mogile_class, overwrite=mode != "create"
        )

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        """The bytes of a file, or those from ``start`` to ``end``, as Python slices."""
        domain, key = self._file_path(path)
        client = self.client(domain)
        if start is None and end is None:
            return client.read(key)
        start = start or 0
        if start >= 0 and (end is None or end >= 0):
            with client.stream(key, start=start, stop=end) as chunks:
                return b"".join(chunks)
        found = client.locate(key)
        size = found.info.length
        first, stop, _ = slice(start, end).indices(size)
        with client.stream(
            key, start=first, stop=max(first, stop), paths=found.paths, size=size
        ) as chunks:
            return b"".join(chunks)

    def get_file(
        self,
        rpath: str,
        lpath: Any = None,
        callback: Any = DEFAULT_CALLBACK,
        outfile: Any = None,
        **kwargs: Any,
    ) -> None:
        """Fetch a file, or make the directory, as ``lpath``.

        A file appears whole or not at all, unless its directory takes no new one: then the file
        that is there is written over.
        """
        if outfile is not None or isfilelike(lpath) or self.isdir(rpath):
            super().get_file(rpath, lpath, callback, outfile, **kwargs)
            return
        Path(lpath).parent.mkdir(parents=True, exist_ok=True)
        with replacing(lpath) as file:
            super().get_file(rpath, file, callback, **kwargs)

    def modified(self, path: str) -> datetime:
        """When the file was stored (UTC)."""
        domain, key = self._file_path(path)
        return self.client(domain).modified(key)

    def ukey(self, path: str) -> str:
        """The fid: it never stands for other bytes."""
        return f"mogilefs-{self.info(path)['fid']}"

    def open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        cache_options: dict[str, Any] | None = None,
        compression: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """As fsspec's; what is written as text or compressed is stored when it is closed, too."""
        if "r" in mode:
            return super().open(path, mode, block_size, cache_options, compression, **kwargs)
        text = {name: kwargs.pop(name) for name in TEXT_OPTIONS if name in kwargs}
        binary = mode.replace("t", "").replace("b", "") + "b"
        file = super().open(path, binary, block_size, cache_options, **kwargs)
        codec = get_compression(self._strip_protocol(path), compression)
        if codec is not None:
            file = Compressing(file, compr[codec])
        return file if "b" in mode else Text(file, **text)

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        domain, key = self._file_path(path)
        if mode == "rb":
            file = self.client(domain).open(key)
            file.size  # noqa: B018 - asks the tracker, so that a missing file is told on opening
            return file
        if mode not in ("wb", "xb"):
            raise ValueError(f"mode {mode!r} for {path}: rb, wb and xb are what there is")
        if mode == "xb" and self.isfile(path):
            raise FileExistsError(path)
        mogile_class = kwargs.get("mogile_class", self.mogile_class)
        writer = self.client(domain).open(
            key, "wb", mogile_class=mogile_class, overwrite=mode == "wb"
        )
        return writer if autocommit else Uncommitted(writer)

    def _file_path(self, path: str) -> tuple[str, str]:
        """The domain and key of a path that names a file."""
        path = self._strip_protocol(path)
        domain, key = split(path)
        if not key:
            raise IsADirectoryError(f"{path or '/'}: a domain is no file")
        return domain, key

    def _renamed(self, path1: str | list[str], path2: str | list[str]) -> bool:
        if isinstance(path1, list) or isinstance(path2, list) or path2.endswith("/"):
            return False
        domain1, key1 = split(self._strip_protocol(path1))
        domain2, key2 = split(self._strip_protocol(path2))
        if domain1 != domain2 or self.exists(path2) or not self.isfile(path1):
            return False
        self.client(domain1).rename(key1, key2)
        return True

    def _fids(self, paths: Iterable[str]) -> dict[str, int]:
        """The fid of each path that is a file."""
        entries = self._entries((path, False) for path in paths)
        return {entry["name"]: entry["fid"] for entry in entries}

    def _below(self, path: str) -> list[tuple[str, bool]]:
        """The paths directly below, and whether each is a directory."""
        if not path:
            return [(domain.name, True) for domain in self.client(None).admin.domains()]
        domain, key = split(path)
        prefix = f"{key}/" if key else ""
        with suppress(DomainNotFound):
            found = level(self.client(domain), prefix)
            return [(f"{domain}/{prefix}{name}", inner) for name, inner in found]
        return []

    def _all_below(self, path: str, withdirs: bool) -> dict[str, bool]:
        """Every path below, at any depth, and whether it is a directory."""
        domain, key = split(path)
        found: dict[str, bool] = {}
        with suppress(DomainNotFound):
            for below in self.client(domain).keys(f"{key}/" if key else ""):
                name = f"{domain}/{below}"
                if not name.endswith("/"):
                    found[name] = False
                if withdirs:
                    found.update(dict.fromkeys(directories(name, path), True))
        return found

    def _entries(self, found: Iterable[tuple[str, bool]]) -> Iterator[dict[str, Any]]:
        """Details of paths, in their order; those that are gone by now are left out."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from filter(None, pool.map(self._entry, found))

    def _entry(self, found: tuple[str, bool]) -> dict[str, Any] | None:
        path, inner = found
        return directory(path) if inner else self._file(path)

    def _file(self, path: str) -> dict[str, Any] | None:
        domain, key = split(path)
        if not key:
            return None
        try:
            info = self.client(domain).info(key)
        except (KeyNotFound, DomainNotFound):
            return None
        return {
            "name": path,
            "type": "file",
            "size": info.length,
            "fid": info.fid,
            "class": info.mogile_class,
            "devcount": info.devcount,
            "checksum": info.checksum,
        }

    def _directory_if_there(self, path: str) -> dict[str, Any] | None:
        if not path:
            return directory(path)
        domain, key = split(path)
        try:
            below = self.client(domain).keys(f"{key}/" if key else "", limit=1)
            there = any(True for _ in below) or not key
        except DomainNotFound:
            return None
        return directory(path) if there else None
