"""Find keys that nothing refers to, and references to keys that are not there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from django.core.exceptions import SuspiciousFileOperation
from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_mogilefs.project import storage_uses
from django_mogilefs.references import Field, fields
from django_mogilefs.static import MogileFSStaticStorage
from django_mogilefs.storage import MogileFSStorage
from mogilefs import Client, InvalidKey, KeyNotFound, MogileFSError, StorageUnavailable
from mogilefs.cli.exits import printable
from mogilefs.upload import PRIVATE

UPLOAD_TIME = timedelta(hours=1)
"""A key of an upload that is not finished, or of one whose row is not committed, is nobody's after
this long."""


class Command(BaseCommand):
    """Compares what FileFields refer to with what the trackers list."""

    help = (
        "Lists keys that no FileField refers to ('orphan') and references whose key is missing"
        " ('missing'). Only the domains and locations of fields' storages are looked at, static"
        " files are not. Files that something else than a FileField refers to (thumbnails, for"
        " one) count as orphans: see --exclude. Nothing is deleted without --delete."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--delete", action="store_true", help="delete the orphans")
        parser.add_argument(
            "--exclude",
            action="append",
            default=[],
            metavar="PREFIX",
            help="leave keys alone that begin with this; may be repeated",
        )
        parser.add_argument(
            "--min-age",
            type=int,
            default=int(UPLOAD_TIME.total_seconds()),
            metavar="SECONDS",
            help="leave keys alone that were stored since then: the row that refers to one may not"
            " be committed yet (%(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        age = _age(options["min_age"])
        try:
            self._compare(options, age)
        except MogileFSError as error:
            raise CommandError(str(error)) from error

    def _compare(self, options: dict[str, Any], age: timedelta) -> None:
        orphans = young = missing = 0
        places = _places()
        for place, referring in places.items():
            client = _client(referring)
            references = _references(referring)
            keys = set(_keys(client, referring))
            alike = _alike(place, places)
            spared = (*options["exclude"], *_static_prefixes(place.domain))
            unknown = [key for key in keys - references.keys() if not key.startswith(spared)]
            for key in _still_unknown(unknown, alike):
                if _is_old(client, key, age):
                    self.stdout.write(printable(f"orphan {client.domain}:{key}"))
                    if options["delete"]:
                        _delete(client, key, alike)
                    orphans += 1
                else:
                    young += 1
            missing += self._missing(client, references, keys)
        done = "deleted" if options["delete"] else "listed"
        self.stdout.write(f"{orphans} orphans {done}, {missing} references without a key")
        if young:
            told = "others left alone: stored too lately, or no replica tells when"
            self.stdout.write(f"{young} {told}")

    def _missing(self, client: Client, references: dict[str, list[str]], keys: set[str]) -> int:
        """Tell of references without a key; each is looked at once more."""
        lost = [key for key in sorted(references.keys() - keys) if not _exists(client, key)]
        for key in lost:
            for who in references[key]:
                self.stdout.write(printable(f"missing {client.domain}:{key} of {who}"))
        return sum(len(references[key]) for key in lost)


class Place(NamedTuple):
    """Where files are kept, however a storage's other options are."""

    domain: str
    trackers: frozenset[str]


def _places() -> dict[Place, list[Field]]:
    """The fields on MogileFS, by where their storages keep files."""
    places: defaultdict[Place, list[Field]] = defaultdict(list)
    for field in fields():
        if isinstance(field.storage, MogileFSStorage):
            place = Place(field.storage.domain, frozenset(field.storage.trackers))
            places[place].append(field)
    return places


def _alike(place: Place, places: dict[Place, list[Field]]) -> list[Field]:
    """The fields of the place, and of those whose trackers may be the same under another name."""
    return [field for each in places if each.domain == place.domain for field in places[each]]


def _still_unknown(unknown: list[str], alike: list[Field]) -> list[str]:
    """The keys that nothing refers to at a second look, in their order.

    What was saved since the first look is no orphan.
    """
    if not unknown:
        return []
    known = _references(alike)
    return [key for key in sorted(unknown) if key not in known]


def _client(referring: list[Field]) -> Client:
    """The client of one of these fields' storages, of one that may delete if there is any."""
    found = [each.storage for each in referring if isinstance(each.storage, MogileFSStorage)]
    return min(found, key=lambda storage: storage.readonly).client


def _references(referring: list[Field]) -> dict[str, list[str]]:
    """Every key that is referred to, with the rows that do. What can be no key is as it is."""
    # Each row once: another database may be a replica.
    found: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for field in referring:
        assert isinstance(field.storage, MogileFSStorage)
        for pk, name in field.names():
            try:
                key = field.storage.key(name)
            except (SuspiciousFileOperation, InvalidKey):
                key = name
            found[key][f"{field.label} {pk}"] = None
    return {key: list(rows) for key, rows in found.items()}


def _keys(client: Client, referring: list[Field]) -> Iterator[str]:
    """All keys in the locations of these fields' storages, each once."""
    locations = {getattr(field.storage, "location", "") for field in referring}
    prefixes = {f"{location}/" if location else "" for location in locations}
    for prefix in prefixes:
        if not any(prefix != other and prefix.startswith(other) for other in prefixes):
            yield from client.keys(prefix)


def _static_prefixes(domain: str) -> list[str]:
    """Where static files lie among the others; CommandError where they cannot be told apart."""
    prefixes = []
    for use in storage_uses():
        if issubclass(use.backend, MogileFSStaticStorage) and use.look_up("domain") == domain:
            if not use.look_up("location"):
                raise CommandError(
                    f"{use.where} keeps static files in the domain {domain!r} without a"
                    " location: they cannot be told from orphans."
                )
            prefixes.append(f"{use.look_up('location')}/")
    return prefixes


def _exists(client: Client, key: str) -> bool:
    try:
        return client.exists(key)
    except InvalidKey:
        return False


def _is_old(client: Client, key: str, age: timedelta) -> bool:
    """Whether a key was stored so long ago, as far as its replicas tell."""
    if key.startswith(PRIVATE):
        age = max(age, UPLOAD_TIME)
    if not age:
        return True
    try:
        return datetime.now(timezone.utc) - client.modified(key) >= age
    except (KeyNotFound, StorageUnavailable):
        return False


def _age(seconds: Any) -> timedelta:
    """From the command line, or from whoever called the command; CommandError where it is none."""
    try:
        age = timedelta(seconds=seconds)
    except (TypeError, ValueError, OverflowError) as error:
        raise CommandError(f"--min-age: {seconds!r} is no age in seconds ({error})") from error
    if age < timedelta():
        raise CommandError(f"--min-age: {seconds} is less than 0")
    return age


def _delete(client: Client, key: str, alike: list[Field]) -> None:
    try:
        client.delete(key)
    except KeyNotFound:
        return
    finally:
        _forget(key, alike)


def _forget(key: str, alike: list[Field]) -> None:
    """Have views remember nothing of the key; CommandError where their path cache cannot be had."""
    for field in alike:
        assert isinstance(field.storage, MogileFSStorage)
        try:
            field.storage.forget(key)
        except Exception as error:
            told = f"The path cache {field.storage.path_cache!r} cannot be had: {error}"
            raise CommandError(told) from error
