"""The storage: Django's file storage API over MogileFS."""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import Storage
from django.core.files.utils import validate_file_name
from django.utils.deconstruct import deconstructible
from django.utils.encoding import filepath_to_uri

from django_mogilefs import conf, listing, names
from django_mogilefs.clients import ClientOptions, get_client
from django_mogilefs.conf import ClassChooser, Configured, option
from django_mogilefs.files import MogileFSFile
from django_mogilefs.pathcache import PathCache
from django_mogilefs.signing import signed_query
from django_mogilefs.uploads import readable
from mogilefs import Client, KeyNotFound
from mogilefs.config import Config
from mogilefs.upload import PRIVATE


@dataclass(frozen=True)
class _Save:
    """A save that is going on, the innermost one where saving saves something else as well."""

    storage: MogileFSStorage
    max_length: int | None
    taken: Set[str] | None = None
    """While it chooses its name: the names that have turned out to be taken."""

    @contextmanager
    def going_on(self) -> Iterator[None]:
        token = _save.set(self)
        try:
            yield
        finally:
            _save.reset(token)


_save: ContextVar[_Save | None] = ContextVar("_save", default=None)


@deconstructible
class MogileFSStorage(Configured, Storage):
    """Files in MogileFS. Options come by keyword, class attribute or ``MOGILEFS_…`` setting.

    Unknown options and malformed values are refused here with ImproperlyConfigured; what is
    missing is told when it is first needed. No method waits for the network that need not:
    opening and ``url`` never do, saving does three times, reading twice.
    """

    #: The MogileFS domain, and the trackers as ``["host:port", …]`` or one text with commas.
    domain: str = option(conf.text)
    trackers: tuple[str, ...] = option(conf.trackers)
    #: The class that files are kept in: a name, a function of the file's name, None for default.
    mogile_class: str | ClassChooser | None = option(conf.mogile_class, None)
    #: A prefix for all keys.
    location: str = option(conf.location, "")
    #: What ``url`` puts before the key; ends in a slash.
    base_url: str | None = option(conf.base_url, settings=("MOGILEFS_MEDIA_URL", "MEDIA_URL"))
    #: Whether saving replaces a file of the same name; else the new one gets another name.
    file_overwrite: bool = option(conf.boolean, False)
    #: For the client; see ``mogilefs.Client``.
    checksum: str | None = option(conf.checksum, None)
    connect_timeout: float = option(conf.seconds, Config.connect_timeout)
    timeout: float = option(conf.seconds, Config.timeout)
    zone: str | None = option(conf.text_or_none, None)
    max_spool: int = option(conf.size, Config.max_spool)
    readonly: bool = option(conf.boolean, False)
    #: Whether ``url`` signs addresses, and the view asks for the signature; for how many seconds
    #: an address holds at most.
    querystring_auth: bool = option(conf.boolean, False)
    querystring_expire: int = option(conf.signed_lifetime, 3600)
    #: The cache (an alias of CACHES) in which the view remembers where files lie, for how many
    #: seconds, and for how many that there is no file.
    path_cache: str | None = option(conf.cache_alias, None)
    path_cache_seconds: int = option(conf.lifetime, 300)
    path_cache_absent_seconds: int = option(conf.whole_seconds, 5)

    @property
    def client(self) -> Client:
        """The process's client for this configuration; asking for it opens no connection."""
        return get_client(self.client_options)

    @property
    def client_options(self) -> ClientOptions:
        """What that client is made of."""
        return ClientOptions(**{name: getattr(self, name) for name in ClientOptions.names()})

    @property
    def places(self) -> PathCache | None:
        """Where the view remembers where files lie; None without ``path_cache``."""
        if self.path_cache is None:
            return None
        return PathCache(
            self.path_cache,
            self.domain,
            self.trackers,
            seconds=self.path_cache_seconds,
            absent_seconds=self.path_cache_absent_seconds,
        )

    def forget(self, key: str) -> None:
        """What the view remembers of a key's place is out of date: it was stored or deleted."""
        if places := self.places:
            places.forget(key)

    def key(self, name: str) -> str:
        """The key under which MogileFS has the file of this name.

        SuspiciousFileOperation for absolute names, ``..`` and backslashes; InvalidKey over 255
        bytes.
        """
        return names.key_of(name, self.location)

    def class_for(self, name: str) -> str | None:
        """The MogileFS class for a file of this name; None is the domain's default class."""
        chosen = self.mogile_class
        return chosen(name) if callable(chosen) else chosen

    # Opening and saving

    def open(self, name: str, mode: str = "rb", **text: Any) -> MogileFSFile:
        """The file of this name; for text modes also ``encoding``, ``errors`` and ``newline``."""
        return self._open(name, mode, **text)

    def _open(self, name: str, mode: str = "rb", **text: Any) -> MogileFSFile:
        return MogileFSFile(self, name, mode, **text)

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        """Store the content under this name, or under another one if it is taken.

        Whether the name is free is asked along with the upload and enforced when that ends: of
        any number that save under one name at once, each keeps its own. The content is not closed.
        """
        if name is None:
            name = content.name
        if not hasattr(content, "chunks"):
            content = File(content, name)
        # Django's checks: before and after whatever a subclass does to the name.
        validate_file_name(name, allow_relative_path=True)
        name = self._choose(name, max_length, taken=frozenset())
        validate_file_name(name, allow_relative_path=True)
        with _Save(self, max_length).going_on():
            name = self._save(name, content)
        validate_file_name(name, allow_relative_path=True)
        return name

    def _choose(self, name: str, max_length: int | None, taken: Set[str]) -> str:
        """A name for the save that is going on. The upload itself finds out whether it is free."""
        with _Save(self, max_length, taken).going_on():
            return self.get_available_name(name, max_length=max_length)

    def _save(self, name: str, content: Any) -> str:
        saved, key, taken = name, self.key(name), set[str]()
        save = _save.get()
        max_length = save.max_length if save and save.storage is self else None

        def another(_: str) -> str:
            nonlocal saved, key
            taken.add(saved)
            saved = self._choose(name, max_length, taken)
            key = self.key(saved)
            return key

        try:
            with readable(content) as body:
                self.client.store(
                    key,
                    body,
                    mogile_class=self.class_for(name),
                    overwrite=self.file_overwrite,
                    alternative=another,
                )
        finally:  # a tracker that broke off may have stored it all the same
            self.forget(key)
        return saved

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """A name that is free, by Django's rules, and that fits the field and MogileFS."""
        return names.find_name(
            str(name),
            is_free=self._is_free,
            excess=partial(names.excess, location=self.location, max_length=max_length),
            alternative=self.get_alternative_name,
        )

    def get_alternative_name(self, file_root: str, file_ext: str) -> str:
        """Django's; where saving replaces files, a name is only ever shortened."""
        if self.file_overwrite:
            return f"{file_root}{file_ext}"
        return super().get_alternative_name(file_root, file_ext)

    def is_name_available(self, name: str, max_length: int | None = None) -> bool:
        """Whether a new file may have this name."""
        return not names.excess(name, self.location, max_length) and self._is_free(name)

    def _is_free(self, name: str) -> bool:
        """Where a save chooses its name, only what the upload has found out counts."""
        if self.file_overwrite:
            return True
        save = _save.get()
        if save and save.storage is self and save.taken is not None:
            return name not in save.taken
        return not self.exists(name)

    # Asking and deleting

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name, whatever ``file_overwrite`` says.

        The root, ``""``, is always there; other directories are only parts of names.
        """
        if name in ("", "."):
            return True
        return self.client.exists(self.key(name))

    def size(self, name: str) -> int:
        """Bytes; FileNotFoundError if there is no such file."""
        return self.client.size(self.key(name))

    def delete(self, name: str) -> None:
        """Delete the file; that there is none is no error."""
        if not name:
            raise ValueError("The name must be given to delete().")
        try:
            self.client.delete(self.key(name))
        except KeyNotFound:
            return
        finally:
            self.forget(self.key(name))

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """The directories and the files in a directory, by the slashes in keys.

        Costs by what is listed, not by what lies below. MogileFS has no directories of their own:
        an unknown one is empty.
        """
        return listing.listdir(self.client, names.directory_prefix(path, self.location))

    def names(self, prefix: str = "") -> Iterator[str]:
        """The names of all files, in all directories, that begin with the prefix.

        Uploads that are going on have no name yet.
        """
        root = f"{self.location}/" if self.location else ""
        for key in self.client.keys(root + prefix):
            if not key.startswith(PRIVATE):
                yield key[len(root) :]

    def url(self, name: str | None) -> str:
        """``base_url`` plus the key. Waits for nothing, so the file need not exist.

        ValueError where ``base_url`` is None: the files have no address then.
        """
        base_url, relative = self.base_url, str(name or "").replace("\\", "/").lstrip("/")
        if base_url is None:
            raise ValueError("This file is not accessible via a URL.")
        if not relative:
            return base_url
        key = self.key(relative)
        address = base_url + filepath_to_uri(key)
        if not self.querystring_auth:
            return address
        return f"{address}?{signed_query(self.domain, key, seconds=self.querystring_expire)}"

    def get_modified_time(self, name: str) -> datetime:
        """When the file was stored; aware if USE_TZ, else naive local time."""
        modified = self.client.modified(self.key(name))
        return modified if settings.USE_TZ else modified.astimezone().replace(tzinfo=None)

    def get_created_time(self, name: str) -> datetime:
        """The same as when it was modified: in MogileFS every new content is a new file."""
        return self.get_modified_time(name)

    def get_accessed_time(self, name: str) -> datetime:
        """MogileFS does not keep it."""
        raise NotImplementedError("MogileFS does not keep when a file was last read.")
