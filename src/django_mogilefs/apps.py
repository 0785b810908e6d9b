from __future__ import annotations

from django.apps import AppConfig


class MogileFSConfig(AppConfig):
    """Needed only for the system checks and the management commands."""

    name = "django_mogilefs"
    verbose_name = "MogileFS"
