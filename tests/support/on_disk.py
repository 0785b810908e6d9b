"""For test suites that were written for files on disk: this storage in FileSystemStorage's place.

Import it when Django's settings are there; then ``take_place`` before the suite is imported.
"""

from __future__ import annotations

import os
import shutil
import types
import uuid
from typing import Any

import django.core.files.storage as storage_package

from django_mogilefs.storage import MogileFSStorage


class OnDisk(MogileFSStorage):
    """Takes a FileSystemStorage's arguments."""

    OS_OPEN_FLAGS = os.O_EXCL

    def __init__(self, location: Any = None, base_url: str | None = None, **options: Any) -> None:
        options["location"] = location or f"memory/{uuid.uuid4().hex}"
        if base_url is not None:
            options["base_url"] = base_url
        if "allow_overwrite" in options:
            options["file_overwrite"] = options.pop("allow_overwrite")
        super().__init__(**options)

    def url(self, name: str | None) -> str:
        """Without the prefix, which our addresses carry and a FileSystemStorage's do not."""
        return super().url(name).replace(f"{self.location}/", "")


class InMemory(OnDisk):
    pass


def exists(name: str) -> bool:
    directory, base = os.path.split(name)
    if os.path.exists(name) or MogileFSStorage(location=directory).exists(base):
        return True
    return any(MogileFSStorage(location=name).names())


def rmtree(name: str) -> None:
    storage = MogileFSStorage(location=name)
    for each in storage.names():
        storage.delete(each)
    shutil.rmtree(name, ignore_errors=True)


path = types.SimpleNamespace(**{**vars(os.path), "exists": exists})
SHIMS = {
    "os": types.SimpleNamespace(
        **{
            **vars(os),
            "path": path,
            "listdir": lambda name: MogileFSStorage(location=name).listdir("")[1],
        }
    ),
    "shutil": types.SimpleNamespace(**{**vars(shutil), "rmtree": rmtree}),
}
"""Modules that see a storage's files in MogileFS where a suite looks for them on disk."""


def take_place() -> None:
    """Who asks for Django's own storages gets ours, each with a prefix of its own."""
    storage_package.FileSystemStorage = OnDisk
    storage_package.InMemoryStorage = InMemory
