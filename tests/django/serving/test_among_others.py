"""The view among Django's own middleware and decorators: what they take for a page is a file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import wraps
from typing import Any

import pytest
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware, get_token
from django.test import AsyncClient as AsyncBrowser
from django.test import Client as Browser
from django.test import RequestFactory
from django.urls import path
from django.views.decorators.cache import cache_page
from pytest_django import Settings

from django_mogilefs.views import MogileFSView, serve_mogilefs_file
from mogilefs import Client

CONTENT = b"0123456789" * 100
KEY = "among/others.txt"


def for_members(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """As ``login_required`` does it, without a database."""

    @wraps(view)
    def asked(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        if "member" not in request.session:
            return HttpResponse(status=302)
        return view(request, **kwargs)

    return asked


def login(request: HttpRequest) -> HttpResponse:
    request.session["member"] = True
    return HttpResponse()


class Wrapped:
    """A request as Django REST framework hands it on: attributes of the one within, and more."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self.asked_for = "more"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)


def wrapped(request: HttpRequest, key: str) -> HttpResponseBase:
    return serve_mogilefs_file(Wrapped(request), key)  # type: ignore[arg-type]  # as in REST framework


urlpatterns = [
    path("wrapped/<path:key>", wrapped),
    path("login", login),
    path("files/<path:key>", serve_mogilefs_file),
    path("members/<path:key>", for_members(serve_mogilefs_file)),
    path("members-public/<path:key>", for_members(serve_mogilefs_file), {"public": True}),
    path("members-class/<path:key>", for_members(MogileFSView.as_view())),
    path("remembered/<path:key>", cache_page(60)(serve_mogilefs_file)),
]


@pytest.fixture(autouse=True)
def _site(client: Client, site_settings: Settings) -> None:
    client.store(KEY, CONTENT)
    site_settings.ROOT_URLCONF = __name__
    site_settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": KEY}
    }
    site_settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    site_settings.MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]


def get(place: str, browser: Browser | None = None, **environ: str) -> HttpResponseBase:
    return (browser or Browser()).get(f"/{place}/{KEY}", **environ)


def body(response: HttpResponseBase) -> bytes:
    content: bytes = response.getvalue()  # type: ignore[attr-defined]  # all responses have it
    response.close()
    return content


@pytest.mark.parametrize("place", ["files", "remembered"])
@pytest.mark.parametrize("front", ["perlbal", "nginx", "caddy"])
def test_djangos_cache_of_pages_keeps_no_errand_of_a_front(
    site_settings: Settings, place: str, front: str
) -> None:
    site_settings.MOGILEFS_FRONT = front
    if place == "files":
        site_settings.MIDDLEWARE = [
            "django.middleware.cache.UpdateCacheMiddleware",
            "django.middleware.cache.FetchFromCacheMiddleware",
        ]
    errands = [get(place, HTTP_RANGE="bytes=0-1"), get(place), get(place, HTTP_RANGE="bytes=2-3")]
    again = get(place, HTTP_X_MOGILE_AGAIN="1")
    told = [(each.headers.get("X-Mogile-Range"), "Expires" in each.headers) for each in errands]
    parts = {"perlbal": [None] * 3}.get(front, ["bytes=0-1", "none", "bytes=2-3"])
    assert told == [(part, False) for part in parts]
    assert body(again) == (b"" if front == "perlbal" else CONTENT)


@pytest.mark.parametrize("kept", ["private", "no-store", "no-cache", "max-age=0"])
def test_perlbals_cache_keeps_no_more_than_the_file_says(
    site_settings: Settings, kept: str
) -> None:
    site_settings.MOGILEFS_FRONT = "perlbal"
    site_settings.MOGILEFS_REPROXY_CACHE_FOR = 60
    assert "X-REPROXY-CACHE-FOR" in get("files").headers
    site_settings.MOGILEFS_CACHE_CONTROL = kept
    answer = get("files")
    assert "X-REPROXY-URL" in answer.headers
    assert "X-REPROXY-CACHE-FOR" not in answer.headers


async def test_a_request_of_rest_framework_is_streamed_under_asgi(client: Client) -> None:
    client.store(KEY, CONTENT * 1000)
    reply = await AsyncBrowser().get(f"/wrapped/{KEY}")
    assert reply.is_async
    assert b"".join([piece async for piece in reply]) == CONTENT * 1000
    reply.close()


def test_authorize_gets_the_request_as_it_came() -> None:
    def authorize(request: Any, key: str) -> bool:
        return bool(request.asked_for == "more")

    request: Any = Wrapped(RequestFactory().get("/"))
    assert body(serve_mogilefs_file(request, KEY, authorize=authorize)) == CONTENT


def test_a_request_of_rest_framework_is_kept_from_the_cache_of_pages(
    site_settings: Settings,
) -> None:
    site_settings.MOGILEFS_FRONT = "nginx"
    site_settings.MIDDLEWARE = [
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.middleware.cache.FetchFromCacheMiddleware",
    ]
    assert get("wrapped", HTTP_RANGE="bytes=0-1")["X-Mogile-Range"] == "bytes=0-1"
    assert get("wrapped")["X-Mogile-Range"] == "none"


@pytest.mark.parametrize("place", ["members", "members-class"])
def test_what_only_members_get_no_front_and_no_shared_cache_keeps(
    site_settings: Settings, place: str
) -> None:
    site_settings.MOGILEFS_FRONT = "perlbal"
    site_settings.MOGILEFS_REPROXY_CACHE_FOR = 60
    site_settings.MOGILEFS_CACHE_CONTROL = "public, max-age=60"
    assert "X-REPROXY-CACHE-FOR" in get("files").headers
    browser = Browser()
    assert get(place, browser).status_code == 302
    browser.get("/login")
    answer = get(place, browser)
    assert "X-REPROXY-URL" in answer.headers
    assert "X-REPROXY-CACHE-FOR" not in answer.headers
    assert answer["Cache-Control"] == "private, max-age=60"


@pytest.mark.parametrize("held", [None, "_auth_user_id", "paid"])
def test_a_session_with_djangos_token_alone_opens_nothing(
    site_settings: Settings, held: str | None
) -> None:
    site_settings.CSRF_USE_SESSIONS = True
    site_settings.MOGILEFS_CACHE_CONTROL = "public, max-age=60"
    request: Any = RequestFactory().get("/")
    SessionMiddleware(lambda _: HttpResponse()).process_request(request)
    CsrfViewMiddleware(lambda _: HttpResponse()).process_request(request)
    get_token(request)
    assert request.session.accessed
    if held:
        request.session[held] = "7"
    with closing(serve_mogilefs_file(request, KEY)) as answer:
        assert answer["Cache-Control"] == f"{'private' if held else 'public'}, max-age=60"


def test_a_view_says_that_its_files_are_for_everybody_whoever_looked(
    site_settings: Settings,
) -> None:
    site_settings.MOGILEFS_CACHE_CONTROL = "public, max-age=60"
    browser = Browser()
    browser.get("/login")
    assert get("members", browser)["Cache-Control"] == "private, max-age=60"
    assert get("members-public", browser)["Cache-Control"] == "public, max-age=60"


def test_what_a_password_opened_is_private_too(site_settings: Settings) -> None:
    site_settings.MOGILEFS_CACHE_CONTROL = "public, max-age=60"
    assert get("files")["Cache-Control"] == "public, max-age=60"
    answer = get("files", HTTP_AUTHORIZATION="Basic bWU6c2VjcmV0")
    assert answer["Cache-Control"] == "private, max-age=60"


def test_a_part_is_never_packed(site_settings: Settings) -> None:
    site_settings.MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware"]
    packed = get("files", HTTP_ACCEPT_ENCODING="gzip")
    assert packed["Content-Encoding"] == "gzip"
    part = get("files", HTTP_ACCEPT_ENCODING="gzip", HTTP_RANGE="bytes=0-499")
    assert "Content-Encoding" not in part.headers
    assert (part["Content-Length"], body(part)) == ("500", CONTENT[:500])
    assert not part["ETag"].startswith("W/")
