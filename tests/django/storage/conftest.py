"""Storages for the management commands."""

from __future__ import annotations

import pytest
from django.test import override_settings


@pytest.fixture
def aliases(tmp_path, mogilefs_storage):
    """A storage on disk and the default one on MogileFS, by alias."""
    disk = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(tmp_path / "disk"), "base_url": "/disk/"},
    }
    ours = {"BACKEND": "django_mogilefs.storage.MogileFSStorage"}
    other = {**ours, "OPTIONS": {"location": "other"}}
    known = {"default": ours, "staticfiles": disk, "disk": disk, "other": other}
    with override_settings(STORAGES=known):
        yield
