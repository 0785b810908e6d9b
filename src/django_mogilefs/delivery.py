"""One storage's files as they are served: found, presented, handed to a front.

Everything a request needs is put together once for each storage and set of options, not for
each request; a changed setting (as in tests) or option starts anew. Only a storage with an option
that is a property (as for tenants) is looked at for each request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import storages
from django.core.signals import setting_changed

from mogilefs import AsyncClient, Client, KeyNotFound, StorageUnavailable

from . import conf
from .clients import get_async_client
from .conf import Configured, option
from .fronts import Front, Handover, LocalDirectories, LocalFile, Replica, make_front
from .names import directory_prefix
from .pathcache import Absent, PathCache, Place
from .project import signed_places
from .replies import ACTIVE_TYPES, Policy, Reply
from .storage import MogileFSStorage


class Options(Configured):
    """The settings ``MOGILEFS_…`` about serving; a view's options of the same names beat them."""

    front = option(conf.text_or_none, None)
    serve_with_perlbal = option(conf.boolean, False, ("SERVE_WITH_PERLBAL",))
    local_directories = option(conf.directories, {})
    reproxy_cache_for = option(conf.whole_seconds, 0)
    cache_control = option(conf.header_or_none, None)
    hashed_keys = option(conf.boolean, False)
    active_content = option(conf.one_of("sandbox", "attachment", "inline"), "sandbox")
    active_types = option(conf.texts, ACTIVE_TYPES)
    default_content_type = option(conf.header, "application/octet-stream")
    retry_after = option(conf.whole_seconds, 5)
    front_probe = option(conf.http_address, None)

    def policy(self) -> Policy:
        return Policy(**{field.name: getattr(self, field.name) for field in fields(Policy)})

    def make_front(self) -> Front | None:
        return make_front(self.front_name, self.reproxy_cache_for)

    @property
    def front_name(self) -> str | None:
        """The front, which the classic ``SERVE_WITH_PERLBAL = True`` can mean too."""
        named: str | None = self.front
        if named is None and "front" not in self.given:
            return "perlbal" if self.serve_with_perlbal else None
        return named


@dataclass(frozen=True)
class Delivery:
    """What is fixed about serving one storage's files."""

    client: Client
    async_client: AsyncClient
    domain: str
    prefix: str
    """What every key begins with; empty where all of the domain is served."""
    signed: bool
    """Whether addresses have to carry a signature."""
    signed_below: Mapping[str, bool]
    """The same of other storages' by what their keys begin with, of which the longest counts."""
    cache: PathCache | None
    front: Front | None
    local: LocalDirectories
    policy: Policy

    def is_signed(self, key: str) -> bool:
        """Whether the key's address has to carry a signature."""
        if self.signed or not self.signed_below:
            return self.signed
        prefixes = [prefix for prefix in self.signed_below if key.startswith(prefix)]
        return bool(prefixes) and self.signed_below[max(prefixes, key=len)]

    def find(self, key: str) -> tuple[Place, bool]:
        """Where a key's bytes lie, and whether that was only remembered.

        KeyNotFound if the tracker does not know the key, StorageUnavailable if it knows no
        replica.
        """
        if not key.startswith(self.prefix):
            raise KeyNotFound("unknown_key", "outside of the storage's location", key=key)
        remembered = self.cache.get(key) if self.cache else None
        if isinstance(remembered, Absent):
            raise KeyNotFound("unknown_key", "not there a moment ago", key=key)
        if remembered:
            return remembered, True
        return self._ask(key), False

    def _ask(self, key: str) -> Place:
        try:
            located = self.client.locate(key)
        except KeyNotFound:
            if self.cache:
                self.cache.put_absent(key)
            raise
        if not located.paths and located.info.length:
            raise StorageUnavailable(f"the tracker knows no replica of key {key!r}")
        place = Place(located.info.fid, located.info.length, tuple(located.paths))
        if self.cache:
            self.cache.put(key, place)
        return place

    def without_front(self) -> Delivery:
        """The same, but every byte is sent by the site."""
        return replace(self, front=None)

    def forget(self, key: str) -> None:
        """What is remembered of a key has turned out to be wrong."""
        if self.cache:
            self.cache.forget(key)

    def look(self, place: Place) -> tuple[list[Replica], LocalFile | None]:
        """The replicas that a front may be sent to, and one that lies on its own disk."""
        if self.front is None:
            return [], None
        replicas = [replica for path in place.paths if (replica := Replica.parse(path))]
        return replicas, self.local.find(replicas, place.length)

    def hand_over(
        self,
        reply: Reply,
        request: Mapping[str, str],
        replicas: list[Replica],
        local: LocalFile | None,
        *,
        public: bool,
    ) -> Mapping[str, str | None] | None:
        """The front's headers for a reply with a body, or None: it is for us to send."""
        if self.front is None or not replicas:
            return None
        span = reply.span if reply.is_partial else None
        return self.front.hand_over(Handover(replicas, local, reply.size, span, request, public))


def deliver(storage: str | MogileFSStorage | None, options: Mapping[str, Any]) -> Delivery:
    """The delivery for a storage (an alias of STORAGES, an instance, or None for the site's own).

    The site's own is the default storage if that is a MogileFSStorage, else one made of the
    ``MOGILEFS_…`` settings alone.
    """
    found = _find_storage(storage)
    frozen = tuple((name, _frozen(value)) for name, value in options.items())
    if found.is_fixed:
        return _remembered(found, found.changes, frozen)
    return _put_together(found, frozen)


@lru_cache(maxsize=256)
def _remembered(
    storage: MogileFSStorage, changes: int, options: tuple[tuple[str, Any], ...]
) -> Delivery:
    """As long as ``changes`` says that no option of the storage was set since."""
    return _put_together(storage, options)


def _put_together(storage: MogileFSStorage, options: tuple[tuple[str, Any], ...]) -> Delivery:
    front, local, policy = _presented(options)
    prefix = directory_prefix("", storage.location)
    return Delivery(
        client=storage.client,
        async_client=get_async_client(storage.client_options),
        domain=storage.domain,
        prefix=prefix,
        signed=storage.querystring_auth,
        signed_below=_signed_below(storage.domain, prefix),
        cache=storage.places,
        front=front,
        local=local,
        policy=policy,
    )


@lru_cache(maxsize=256)
def _signed_below(domain: str, prefix: str) -> Mapping[str, bool]:
    places = signed_places(domain).items()
    return {
        place: signed for place, signed in places if place != prefix and place.startswith(prefix)
    }


@lru_cache(maxsize=256)
def _presented(
    options: tuple[tuple[str, Any], ...],
) -> tuple[Front | None, LocalDirectories, Policy]:
    chosen = Options(**{name: _thawed(value) for name, value in options})
    return chosen.make_front(), LocalDirectories(chosen.local_directories), chosen.policy()


def _find_storage(storage: str | MogileFSStorage | None) -> MogileFSStorage:
    found: Any = storage or "default"
    if isinstance(found, str):
        found = storages[found]
    if isinstance(found, MogileFSStorage):
        return found
    if storage is None:
        return _of_the_settings()
    raise ImproperlyConfigured(f"serving files: {storage!r} is no MogileFSStorage")


@lru_cache
def _of_the_settings() -> MogileFSStorage:
    return MogileFSStorage()


def _frozen(value: Any) -> Any:
    """The same as something that can be a part of a dictionary's key."""
    if isinstance(value, dict):
        return _Pairs(value.items())
    return tuple(value) if isinstance(value, (list, set)) else value


class _Pairs(tuple[Any, ...]):
    """A dictionary's items."""


def _thawed(value: Any) -> Any:
    return dict(value) if isinstance(value, _Pairs) else value


def _start_anew(*, setting: str, **_: Any) -> None:
    if setting.startswith("MOGILEFS_") or setting in _OTHER_SETTINGS:
        for memory in (_remembered, _presented, _signed_below):
            memory.cache_clear()


_OTHER_SETTINGS = {"STORAGES", "DEFAULT_FILE_STORAGE", "MEDIA_URL", "SERVE_WITH_PERLBAL"}
setting_changed.connect(_start_anew)
