"""A Django project for tests: classic settings; tests that store something name their own node."""

from __future__ import annotations

import django

SECRET_KEY = "not-secret"
INSTALLED_APPS = ["django_mogilefs", "django.contrib.staticfiles", "tests.django.gallery"]
DATABASES = {
    alias: {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    for alias in ("default", "archive")
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "tests.django.urls"
USE_TZ = True
STATIC_URL = "/static/"
MEDIA_URL = "/media/"

MOGILEFS_DOMAIN = "test"
MOGILEFS_TRACKERS = ["127.0.0.1:1"]  # nobody listens there
MOGILEFS_MEDIA_URL = "/mogilefs/"

BACKEND = "storages.backends.mogile.MogileFSStorage"
if django.VERSION < (5, 1):
    DEFAULT_FILE_STORAGE = BACKEND
else:
    STORAGES = {
        "default": {"BACKEND": BACKEND},
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
