"""Which MogileFS storages a project has, found without making any or touching the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import storages
from django.db.models import FileField, Model
from django.utils.module_loading import import_string

from django_mogilefs.clients import ClientOptions
from django_mogilefs.names import directory_prefix
from django_mogilefs.storage import MogileFSStorage

NO_OPTIONS: Mapping[str, Any] = {}


@dataclass(frozen=True)
class StorageUse:
    """A place where the project uses a MogileFS storage: where, its class, its options.

    For an alias of STORAGES also which; for a field, ``given`` are its storage's own options.
    """

    where: str
    backend: type[MogileFSStorage]
    given: Mapping[str, Any]
    alias: str | None = None

    def is_fixed(self, name: str) -> bool:
        """Whether the option is no property, which may tell something else every time."""
        return name in self.backend.options()

    def look_up(self, name: str) -> Any:
        """An option's value as the storage will have it; ImproperlyConfigured as there.

        A property is asked what it tells now, if it tells anything: there may be no tenant.
        """
        if not self.is_fixed(name):
            with suppress(Exception):
                return getattr(self.backend(**self.given), name)
        return self.backend.declared()[name].look_up(self.backend, self.given)

    def client_options(self) -> ClientOptions:
        """What the storage's client is made of; ImproperlyConfigured as there."""
        return ClientOptions(**{name: self.look_up(name) for name in ClientOptions.names()})


def storage_uses() -> list[StorageUse]:
    """Every use: the aliases of STORAGES (DEFAULT_FILE_STORAGE is one), then fields' storages."""
    return [*_aliases(), *_fields()]


def signed_places(domain: str) -> dict[str, bool]:
    """What keys in each location of a domain begin with, and whether all storages there sign.

    Whichever trackers they name: those may be another cluster's, or the same one's by another name.
    """
    found: dict[str, bool] = {}
    for use in map(_as_made, storage_uses()):
        if not use.backend.is_fixed:
            continue  # a property may tell something else every time: nobody else can ask it
        with suppress(ImproperlyConfigured):  # whoever uses that one is told
            if use.look_up("domain") == domain:
                prefix = directory_prefix("", use.look_up("location"))
                found[prefix] = use.look_up("querystring_auth") and found.get(prefix, True)
    return found


def _as_made(use: StorageUse) -> StorageUse:
    """The use with what a constructor of its storage's own adds, if that can be made now."""
    if use.alias is not None:
        with suppress(Exception):
            return replace(use, given=vars(storages[use.alias])["given"])
    return use


def _aliases() -> Iterator[StorageUse]:
    backends: Any = storages.backends
    for alias, entry in backends.items():
        backend = _import(entry.get("BACKEND"))
        if isinstance(backend, type) and issubclass(backend, MogileFSStorage):
            given = entry.get("OPTIONS", NO_OPTIONS)
            yield StorageUse(f"STORAGES[{alias!r}]", backend, given, alias)


def _import(path: Any) -> Any:
    try:
        return import_string(path)
    except (ImportError, ImproperlyConfigured, AttributeError):
        return None  # another backend's trouble, which Django tells when that is used


def _fields() -> Iterator[StorageUse]:
    for model, field in file_fields():
        storage: Any = field.storage
        # A lazy one, as default_storage is, stays unmade: STORAGES tells of that.
        if issubclass(type(storage), MogileFSStorage):
            yield StorageUse(f"{model._meta.label}.{field.name}", type(storage), storage.given)


def file_fields() -> Iterator[tuple[type[Model], FileField]]:
    """Every FileField of every concrete model, each once, where it was declared."""
    for model in apps.get_models():
        for field in model._meta.local_concrete_fields:
            if isinstance(field, FileField) and not model._meta.proxy:
                yield model, field
