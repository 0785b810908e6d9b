"""What the database refers to: the names in FileFields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.core.files.storage import Storage, default_storage, storages
from django.core.management.base import CommandError
from django.db import DatabaseError, InterfaceError, connections, router
from django.db.models import FileField, Model

from django_mogilefs.project import file_fields


@dataclass(frozen=True)
class Field:
    """A FileField, and the storage behind it."""

    model: type[Model]
    field: FileField

    @property
    def label(self) -> str:
        return f"{self.model._meta.label}.{self.field.name}"

    @property
    def storage(self) -> Storage:
        storage: Any = self.field.storage
        return storages["default"] if storage is default_storage else storage

    def names(self) -> Iterator[tuple[Any, str]]:
        """Each row's primary key and the name that it refers to; rows without one are left out.

        In every database that has the model's table: ``save(using=…)`` needs no router.
        CommandError where one of them, or all, cannot be asked.
        """
        name = self.field.attname
        for alias in _databases(self.model, str(self.field.column)):
            rows = self.model._base_manager.using(alias).exclude(**{name: ""})
            with _told(alias):
                yield from rows.exclude(**{name: None}).values_list("pk", name).iterator()


def _databases(model: type[Model], column: str) -> list[str]:
    usual = router.db_for_read(model)
    real = [alias for alias in connections if _is_real(alias)]
    # Where it is usually read there must be a table: without one nothing would be referred to.
    found = [
        alias
        for alias in real
        if alias == usual
        or (router.allow_migrate_model(alias, model) and _is_in(alias, model, column))
    ]
    if not found:
        raise CommandError(f"No database in DATABASES has the table of {model._meta.label}.")
    return found


def _is_real(alias: str) -> bool:
    """Whether an alias names a database; Django has ``"default": {}`` where there is none."""
    return bool(connections[alias].settings_dict["ENGINE"] != "django.db.backends.dummy")


def _is_in(alias: str, model: type[Model], column: str) -> bool:
    """Whether the database has the model's table, and in it the column."""
    introspection = connections[alias].introspection
    wanted = introspection.identifier_converter(model._meta.db_table).lower()
    with _told(alias), connections[alias].cursor() as cursor:
        # Some databases take a name in any letters.
        tables = introspection.table_names(cursor, include_views=True)
        columns = [
            each.name.lower()
            for table in tables
            if introspection.identifier_converter(table).lower() == wanted
            for each in introspection.get_table_description(cursor, table)
        ]
    return introspection.identifier_converter(column).lower() in columns


@contextmanager
def _told(alias: str) -> Iterator[None]:
    """A database's trouble is the user's to know, in one line."""
    try:
        yield
    except (DatabaseError, InterfaceError) as error:
        why = " ".join(str(error).split())
        raise CommandError(f"The database {alias!r} cannot be asked: {why}") from error


def fields() -> list[Field]:
    """Every FileField of the project."""
    return [Field(model, field) for model, field in file_fields()]


def fields_named(labels: Iterable[str]) -> list[Field]:
    """Fields by ``app.Model.field``; CommandError for one that does not exist."""
    known = {each.label.lower(): each for each in fields()}
    unknown = [label for label in labels if label.lower() not in known]
    if unknown:
        raise CommandError(f"There is no FileField {', '.join(unknown)}.")
    return [known[label.lower()] for label in labels]


def fields_on(*wanted: Storage) -> list[Field]:
    """The fields that keep their files in one of these storages."""
    return [each for each in fields() if any(each.storage is storage for storage in wanted)]


def names_in(referring: Iterable[Field]) -> set[str]:
    """All names that these fields refer to."""
    return {name for each in referring for _, name in each.names()}
