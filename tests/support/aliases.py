"""Other storages for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.core.files.storage import storages
from django.test import override_settings


@contextmanager
def use_storages(aliases: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """``override_settings(STORAGES=…)`` that keeps the OPTIONS on Django 4.2 as well.

    There an overridden STORAGES sets the older settings too, and those, which know no options,
    then win.
    """
    with override_settings(STORAGES=aliases):
        storages._backends = dict(aliases)
        yield
