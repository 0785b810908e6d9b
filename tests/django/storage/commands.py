"""Management commands as tests call them, and what there is to work on."""

from __future__ import annotations

import io
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command

from mogilefs.node import Node
from tests.django.gallery.models import Picture
from tests.support.farm import until

every_database = pytest.mark.django_db(databases="__all__")


def run(*args: str, **options: object) -> str:
    out = io.StringIO()
    call_command(*args, stdout=out, stderr=out, **options)
    return out.getvalue()


def fill(alias: str, *names: str) -> None:
    for name in names:
        storages[alias].save(name, ContentFile(os.fsencode(name)))


def refer_to(*names: str) -> None:
    """Rows that name these files, made without looking whether the files are there."""
    for name in names:
        Picture.objects.filter(pk=Picture.objects.create().pk).update(image=name)


def strictly(*args: str, **options: object) -> str:
    """What a command writes to a stdout that takes nothing but text."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    call_command(*args, stdout=out, **options)
    out.seek(0)
    return out.read()


def copies(node: Node, key: str) -> list[Path]:
    """Where a key's two copies are on disk, once both are there."""
    paths = storages["default"].client.paths
    until(lambda: len(paths(key)) == 2)
    return [node.directory / urlsplit(url).path.lstrip("/") for url in paths(key)]
