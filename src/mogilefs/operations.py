"""What a client does, as generators of steps: every face runs these."""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import partial
from typing import BinaryIO

from .config import Config, check_checksum
from .content import Content, Storable, prepare
from .download import Download, Replicated
from .errors import (
    ConfigurationError,
    KeyNotFound,
    ProtocolError,
    ReadOnlyError,
    StorageUnavailable,
)
from .http1 import Http, Response
from .localfiles import SpecialFile, is_special, replacing
from .models import (
    FileInfo,
    Found,
    Located,
    checked_key,
    escaped_key,
    integer,
    is_of_one_file,
    paths_of,
)
from .packets import Answer, Command
from .steps import BULK, CHUNK, Network, Op, why
from .trackers import READING, Trackers
from .upload import Alternative, Upload
from .wire import arguments, escape

MAX_PATHS = 100
"""Replicas asked for where the caller wants all of them."""


MAX_LOOKS = 10
"""How often a key is looked up that is stored anew meanwhile: under two writers that did nothing
else, one look in two hundred was in vain."""

RESERVED = 2**20
"""Bytes taken at once for a file that is read whole; what is larger takes room as it comes."""


class Operations:
    """A client's state, and its operations on files."""

    def __init__(self, config: Config, network: Network) -> None:
        self.config = config
        self.network = network
        self.trackers = Trackers(config.trackers, network)
        self.http = Http(network)

    def close(self) -> None:
        """Close the idle connections; the next operation opens new ones."""
        self.trackers.pool.close()
        self.http.pool.close()

    # What operations are made of

    def ask(self, *commands: Command) -> Op[list[Answer]]:
        """Trackers.ask, unless this client only reads and the commands do not."""
        if self.config.readonly:
            for command in commands:
                if command.name not in READING:
                    self.check_writable(command.name)
        return self.trackers.ask(*commands)

    def check_writable(self, wanted: str) -> None:
        """Raise ReadOnlyError if this client only reads."""
        if self.config.readonly:
            raise ReadOnlyError(f"this client only reads: {wanted} was not sent")

    def command(self, name: str, **args: object) -> Op[dict[str, str]]:
        """The values of one command's OK."""
        answers = yield from self.ask(Command(name, arguments(args)))
        return answers[0].values()

    def on_key(self, name: str, key: str, args: str = "") -> Command:
        """A command about one key of the client's domain; ``args`` are further arguments."""
        about = f"domain={self._escaped_domain}&key={escaped_key(key)}"
        return Command(name, f"{about}&{args}" if args else about, key)

    @functools.cached_property
    def _escaped_domain(self) -> str:
        return escape(self.domain)

    @property
    def domain(self) -> str:
        """The domain. Raises ConfigurationError on a client that has none."""
        if self.config.domain is None:
            raise ConfigurationError("domain: this client was made without one")
        return self.config.domain

    # Asking about a file

    def paths(
        self, key: str, *, count: int | None = None, verify: bool = False, zone: str | None = None
    ) -> Op[list[str]]:
        """The URLs of the file's replicas, the best first; one wait.

        At most ``count`` of them. ``verify`` lets the tracker look whether each is really there,
        which takes it a while. ``zone="alt"`` gives the hosts' alternate addresses. An empty list
        means that no replica is left. Raises KeyNotFound.
        """
        answers = yield from self.ask(self._get_paths(key, count, verify, zone))
        return paths_of(answers[0].values())[:count]

    def _get_paths(
        self, key: str, count: int | None = None, verify: bool = False, zone: str | None = None
    ) -> Command:
        if count is not None and count < 1:
            raise ValueError(f"count: 1 or more, not {count!r}")
        args = f"noverify={0 if verify else 1}&pathcount={count or MAX_PATHS}"
        zone = zone or self.config.zone
        return self.on_key("get_paths", key, f"{args}&zone={escape(zone)}" if zone else args)

    def locate(self, key: str) -> Op[Located]:
        """What ``info`` and ``paths`` tell of one file, in one wait.

        Raises KeyNotFound, StorageUnavailable where the key is stored anew all the time.
        """
        known, paths = yield from self._look_up(key)
        return Located(self._info(key, known), paths)

    def find(self, key: str) -> Op[Found]:
        """What reading the file needs, in one wait. Raises as ``locate``."""
        known, paths = yield from self._look_up(key)
        values = known.values()
        return Found(integer(values, "fid"), integer(values, "length"), paths)

    def _look_up(self, key: str) -> Op[tuple[Answer, list[str]]]:
        """The answers to ``file_info`` and ``get_paths`` about one file.

        Between the two commands the key may be given to another one. A tracker that says the same
        twice is believed, however it names its files.
        """
        before = None
        for _ in range(MAX_LOOKS):
            found, known = yield from self.ask(self._get_paths(key), self.on_key("file_info", key))
            fid, paths = integer(known.values(), "fid"), paths_of(found.values())
            if is_of_one_file(fid, paths) or (fid, *sorted(paths)) == before:
                return known, paths
            before = (fid, *sorted(paths))
        raise self._always_anew(key)

    def _always_anew(self, key: str) -> StorageUnavailable:
        return StorageUnavailable(f"{key!r} was stored anew each time that it was looked up")

    def info(self, key: str) -> Op[FileInfo]:
        """The file's fid, length, class and number of replicas; one wait. Raises KeyNotFound."""
        answers = yield from self.ask(self.on_key("file_info", key))
        return self._info(key, answers[0])

    def _info(self, key: str, answer: Answer) -> FileInfo:
        return FileInfo.from_values(key, self.domain, answer.values())

    def exists(self, key: str) -> Op[bool]:
        """Whether the key is there, with a replica left or not; one wait."""
        try:
            yield from self.info(key)
        except KeyNotFound:
            return False
        return True

    def size(self, key: str) -> Op[int]:
        """The file's length in bytes; one wait. Raises KeyNotFound."""
        return (yield from self.info(key)).length

    def modified(self, key: str) -> Op[datetime]:
        """When the file was written, in UTC: a replica's Last-Modified; two waits.

        MogileFS itself keeps no times, so a new replica may be younger than the file. Raises
        KeyNotFound, StorageUnavailable.
        """
        reasons = {}
        for url in (yield from self.paths(key)):
            try:
                response = yield from self.http.head(url)
                return _last_modified(response)
            except (OSError, ProtocolError) as error:
                reasons[url] = why(error)
        raise StorageUnavailable(f"no replica of {key!r} could be asked", reasons)

    def debug(self, key: str) -> Op[dict[str, str]]:
        """All that the tracker knows about the file, as it says it (``file_debug``)."""
        answers = yield from self.ask(self.on_key("file_debug", key))
        return answers[0].values()

    # Changing what is there

    def delete(self, key: str) -> Op[None]:
        """Delete the file; one wait. Raises KeyNotFound."""
        answers = yield from self.ask(self.on_key("delete", key))
        answers[0].values()

    def rename(self, key: str, new_key: str) -> Op[None]:
        """Give the file another key; one wait. Raises KeyNotFound, KeyExists."""
        answers = yield from self.ask(self.renaming(key, new_key))
        answers[0].values()

    def renaming(self, key: str, new_key: str) -> Command:
        """The command that gives a file another key."""
        keys = f"from_key={escaped_key(key)}&to_key={escaped_key(new_key)}"
        return Command("rename", f"domain={self._escaped_domain}&{keys}", key)

    def set_class(self, key: str, mogile_class: str) -> Op[None]:
        """Move the file to another class; its replicas follow.

        Raises KeyNotFound, ClassNotFound.
        """
        named = f"class={escape(mogile_class)}"
        answers = yield from self.ask(self.on_key("updateclass", key, named))
        answers[0].values()

    # Reading

    def reading(
        self,
        key: str,
        *,
        start: int = 0,
        stop: int | None = None,
        paths: Sequence[str] | None = None,
        size: int | None = None,
    ) -> Download:
        """The file's bytes, to be read step by step; nothing is asked before the first read."""
        checked_key(key)
        find = partial(self.find, key)
        return Download(key, self.http, find, start=start, stop=stop, paths=paths, size=size)

    def read(self, key: str) -> Op[bytes]:
        """The whole file; two waits. Raises KeyNotFound, StorageUnavailable."""
        download = self.reading(key)
        try:
            first = yield from download.read()
            if download.offset == download.size:
                return first
            size = download.size or 0
            whole = _room_for(size)
            whole.write(first)
            while chunk := (yield from download.read(BULK if size > RESERVED else CHUNK)):
                whole.write(chunk)
            return whole.getvalue()
        finally:
            download.close()

    def download(self, key: str, path: str | os.PathLike[str]) -> Op[None]:
        """The file as a file on disk, which appears under its name only when it is whole.

        A file that was there is replaced, with its permissions and, where this process may give
        files away, its owner. A pipe or device is written to; so is, as a last resort, a file in a
        directory that takes no new one. Raises KeyNotFound, StorageUnavailable, OSError.
        """
        download = self.reading(key)
        try:
            chunk = yield from download.read()
            with _target(path) as file:
                yield partial(self.network.call, file.write, chunk)
                while chunk := (yield from download.read()):
                    yield partial(self.network.call, file.write, chunk)
        finally:
            download.close()

    # Storing

    def store(
        self,
        key: str,
        content: Storable,
        *,
        mogile_class: str | None = None,
        size: int | None = None,
        overwrite: bool = True,
        checksum: str | None = None,
        verify: bool = False,
        alternative: Alternative | None = None,
    ) -> Op[FileInfo]:
        """Store ``content`` under ``key``; three waits. The caller's file stays open.

        ``content`` is bytes, a path object, a binary file (from where it stands to its end), or
        an iterable of bytes. What cannot be rewound is spooled: in memory up to ``max_spool``,
        beyond that in a temporary file. ``size`` is what the content must turn out to be, in
        bytes. ``checksum`` (``"MD5"``, ``"SHA-1"``) is computed on the way and told to the
        tracker, which keeps it if the class does; ``verify`` lets the tracker compare the stored
        bytes with it (MD5 where no kind was named).

        With ``overwrite=False`` the key must be free: of two who store one key at the same time
        exactly one gets it, the other KeyExists. Nothing is under the key until all of it is.
        ``alternative`` is called with a key that was found to be taken and returns another one to
        try (a wait more), or the same to have it replaced; the FileInfo says which it became.

        Raises KeyExists, ClassNotFound, DomainNotFound, ContentMismatch, NoDevice,
        StorageUnavailable (with a cause for each device), UploadRejected (where the devices are
        at fault, only after three tries on others).
        """
        checked_key(key)
        self.check_writable("create_open")
        algorithm = self._algorithm(checksum, verify)
        prepared = yield from prepare(content, size, algorithm, self.network, self.config.max_spool)
        upload = Upload(self, key, prepared, mogile_class, overwrite, verify, alternative)
        return (yield from upload.run())

    def copy(
        self, key: str, new_key: str, *, mogile_class: str | None = None, overwrite: bool = True
    ) -> Op[FileInfo]:
        """Store the file under a second key as well; its bytes pass through here, not its memory.

        The copy gets the original's class unless ``mogile_class`` names another. Raises
        KeyNotFound for ``key``, and what ``store`` raises.
        """
        checked_key(new_key)
        self.check_writable("create_open")
        for _ in range(MAX_LOOKS):
            located = yield from self.locate(key)
            try:
                return (yield from self._copy(located, new_key, mogile_class, overwrite))
            except StorageUnavailable:
                now = yield from self.info(key)
                if now.fid == located.info.fid:
                    raise
        raise self._always_anew(key)

    def _copy(
        self, located: Located, new_key: str, mogile_class: str | None, overwrite: bool
    ) -> Op[FileInfo]:
        info = located.info
        read = partial(self.reading, info.key, paths=located.paths, size=info.length)
        content = Content(Replicated(read), info.length, self._algorithm(None, verify=False))
        chosen = mogile_class or info.mogile_class
        return (yield from Upload(self, new_key, content, chosen, overwrite, verify=False).run())

    def _algorithm(self, checksum: str | None, verify: bool) -> str | None:
        algorithm = checksum or self.config.checksum or ("MD5" if verify else None)
        check_checksum(algorithm)
        return algorithm


def _target(path: str | os.PathLike[str]) -> AbstractContextManager[BinaryIO | SpecialFile]:
    """A file on disk is opened in no thread, where it could outlive a cancellation."""
    return SpecialFile(path) if is_special(path) else replacing(path)


def _room_for(size: int) -> io.BytesIO:
    """An empty file in memory whose room is taken at once, as far as one may believe the size.

    Pieces that are joined at the end take room twice, and the allocator gives what a megabyte
    needs back to the kernel each time: reading one took three times as long.
    """
    room = io.BytesIO()
    room.seek(min(size, RESERVED) - 1)
    room.write(b"\0")
    room.seek(0)
    return room


def _last_modified(response: Response) -> datetime:
    if response.status != 200:
        raise ProtocolError(f"answered {response.status}")
    try:
        moment = parsedate_to_datetime(response.header("last-modified"))
        return moment.replace(tzinfo=moment.tzinfo or timezone.utc).astimezone(timezone.utc)
    except (ValueError, OverflowError) as error:
        raise ProtocolError("sent no Last-Modified") from error
