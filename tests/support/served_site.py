"""A Django site that serves files, run by gunicorn or uvicorn; its settings come by environment.

``gunicorn tests.support.served_site:wsgi``, ``uvicorn tests.support.served_site:asgi``.
"""

from __future__ import annotations

import json
import os
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

if not settings.configured:
    settings.configure(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="not-secret",
        USE_TZ=True,
        STORAGES={"default": {"BACKEND": "django_mogilefs.storage.MogileFSStorage"}},
        MOGILEFS_MEDIA_URL="/mogilefs/",
        **json.loads(os.environ["SERVED_SITE"]),
    )
    django.setup()

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.urls import include, path

from django_mogilefs.storage import MogileFSStorage
from django_mogilefs.views import MogileFSView, serve_mogilefs_file

SIGNED = MogileFSStorage(querystring_auth=True, base_url="/signed/")
OTHER = MogileFSStorage(domain="other", base_url="/other/")
BELOW = MogileFSStorage(location="below", base_url="/below/")


def may_see(request: HttpRequest, key: str) -> Any:
    who = request.headers.get("X-Who")
    if who is None:
        return redirect(f"/login/?next={request.path}")
    return who == "owner"


async def may_see_async(request: HttpRequest, key: str) -> Any:
    return may_see(request, key)


class OwnersFiles(MogileFSView):
    cache_control = "max-age=60"

    def authorize(self, request: HttpRequest, key: str) -> Any:
        return may_see(request, key) or 404


def page(request: HttpRequest, image: str, sound: str) -> HttpResponse:
    return HttpResponse(
        f'<!doctype html><title>page</title><img src="/mogilefs/{image}">'
        f'<audio src="/mogilefs/{sound}" preload="metadata"></audio>'
    )


def bare(request: HttpRequest, key: str) -> HttpResponse:
    return HttpResponse()


urlpatterns = [
    path("mogilefs/", include("django_mogilefs.urls")),
    path("private/<path:key>", serve_mogilefs_file, {"authorize": may_see}),
    path("private-async/<path:key>", serve_mogilefs_file, {"authorize": may_see_async}),
    path("owners/<path:key>", OwnersFiles.as_view()),
    path("signed/<path:key>", serve_mogilefs_file, {"storage": SIGNED}),
    path("other/<path:key>", serve_mogilefs_file, {"storage": OTHER}),
    path("below/<path:key>", serve_mogilefs_file, {"storage": BELOW}),
    path("page/<str:image>/<str:sound>", page),
    path("bare/<path:key>", bare),
]

wsgi = get_wsgi_application()
asgi = get_asgi_application()
