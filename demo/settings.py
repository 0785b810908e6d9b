"""Settings of the demo site; ``python -m demo`` gives it a node, a port and a directory."""

from __future__ import annotations

import os
from pathlib import Path

DEMO_DATA = Path(os.environ["DEMO_DATA"])
PORT = os.environ["DEMO_PORT"]

SECRET_KEY = os.environ["DEMO_SECRET_KEY"]
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
# A front may pass the host on without its port, which Django would take for another origin.
CSRF_TRUSTED_ORIGINS = [f"http://{host}:{PORT}" for host in ALLOWED_HOSTS]
ROOT_URLCONF = "demo.urls"
INSTALLED_APPS = [
    "django.contrib.staticfiles",
    "django.contrib.messages",
    "django_mogilefs",
    "demo.people",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DEMO_DATA / "site.sqlite3"}
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True

STORAGES = {
    "default": {"BACKEND": "storages.backends.mogile.MogileFSStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
MOGILEFS_DOMAIN = "demo"
MOGILEFS_TRACKERS = [os.environ["DEMO_TRACKER"]]
MOGILEFS_MEDIA_URL = "/mogilefs/"
MOGILEFS_FRONT = os.environ["DEMO_FRONT"] or None

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
