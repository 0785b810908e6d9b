"""What differs between the Djangos that the tests run on."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings
from django.core.files.storage import storages
from django.test.signals import receiver, setting_changed

if django.VERSION < (5, 1):

    @receiver(setting_changed)
    def keep_the_options_of_storages(*, setting: str, **_: Any) -> None:
        """Django 4.2 forgets the OPTIONS of an overridden STORAGES."""
        if setting == "STORAGES" and settings.is_overridden("STORAGES"):
            storages.backends = settings.STORAGES
