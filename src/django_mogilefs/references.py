"""What the database refers to: the names in FileFields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.core.files.storage import Storage, default_storage, storages
from django.core.management.base import CommandError
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
        """Each row's primary key and the name that it refers to; rows without one are left out."""
        name = self.field.attname
        rows = self.model._base_manager.exclude(**{name: ""}).exclude(**{name: None})
        yield from rows.values_list("pk", name).iterator()


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
