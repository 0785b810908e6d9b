"""Serving files: who may have which is decided here, who sends the bytes in fronts.py.

One view does for both handlers. It looks the file up in the thread that Django runs it in; a
body that it sends itself is an iterator under WSGI and an asynchronous one under ASGI.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from functools import lru_cache
from http.client import responses
from inspect import isawaitable
from typing import Any, Final

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import CSRF_SESSION_KEY
from django.views.generic import View

from mogilefs import (
    DomainNotFound,
    InvalidKey,
    KeyNotFound,
    ProtocolError,
    StorageUnavailable,
    TrackerError,
    TrackersUnavailable,
    UnknownCommand,
)

from .bodies import SMALL, AsyncBody, Body, read_small
from .conf import UNSET
from .delivery import Delivery, Options, deliver
from .pathcache import Place
from .replies import Access, Reply, answer, is_for_all, refusal
from .signing import verified_expiry
from .storage import MogileFSStorage

logger = logging.getLogger("django_mogilefs")

DOWNLOAD: Final = "download"
"""The query parameter with which a browser asks for a file to be saved, not shown."""

AGAIN: Final = "HTTP_X_MOGILE_AGAIN"
"""With this header a front sends a request on again whose file it could not fetch."""

_CONDITIONS: Final = [
    (name, "HTTP_" + name.upper().replace("-", "_"))
    for name in (
        "range",
        "if-range",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
    )
]

_OPTIONS: Final = tuple(sorted(Options.option_names() - {"front_probe", "serve_with_perlbal"}))
_ATTRIBUTES: Final = frozenset(
    {"storage", "authorize", "public", "as_attachment", "filename", *_OPTIONS}
)


class MogileFSView(View):
    """Serves the file of a key: ``path("mogilefs/<path:key>", MogileFSView.as_view())``.

    Subclass it, override ``authorize``, and set as attributes (or give to ``as_view``) which
    ``storage`` it serves and the options of serving (docs/serving.md has them all).
    """

    http_method_names = ["get", "head"]

    storage: str | MogileFSStorage | None = None
    """An alias of STORAGES, an instance, or None for the site's own."""
    public = False
    """Whether the files are for everybody, though the session was looked at (by a middleware that
    does so for every request, say). What ``authorize`` or a signature opens stays private."""
    as_attachment = False
    """Whether every file is to be saved, not shown."""
    filename = ""
    """The name to save files under; the key's last part if empty."""

    # The options of serving; one that is not set here is as its MOGILEFS_… setting says.
    front: Any = UNSET
    local_directories: Any = UNSET
    reproxy_cache_for: Any = UNSET
    cache_control: Any = UNSET
    hashed_keys: Any = UNSET
    active_content: Any = UNSET
    active_types: Any = UNSET
    default_content_type: Any = UNSET
    retry_after: Any = UNSET

    def authorize(self, request: HttpRequest, key: str) -> Any:
        """Whether this request may have this key; may be a coroutine function.

        True lets it. False or None is 403, as is PermissionDenied; 404 or Http404 is 404; a
        response (a redirect to the login, say) is sent as it is. It is asked before anything
        is looked up, so a refusal tells nobody whether there is such a key. A view with an
        ``authorize`` of its own serves private files: no shared cache keeps them. Nor does one
        where the session was looked at before, as ``login_required`` does.
        """
        return True

    def get(self, request: HttpRequest, key: str) -> HttpResponseBase:
        delivery = deliver(self.storage, self._given_options())
        access = self._admit(request, key, delivery)
        plain = _unwrapped(request)
        # Django's cache of pages would give one visitor's part, or a front's errand, to the next.
        plain._cache_update_cache = False  # type: ignore[attr-defined]  # its mark on a request
        if not isinstance(access, Access):
            return access
        try:
            return _serve(plain, key, delivery, access)
        except (KeyNotFound, InvalidKey):
            return _plain(refusal(404, access))
        except (DomainNotFound, UnknownCommand):
            raise  # waiting does not mend a set-up
        except (
            TrackersUnavailable,
            StorageUnavailable,
            ProtocolError,
            TrackerError,
        ) as error:
            logger.warning("503 for key %r of domain %s: %s", key, delivery.domain, error)
            return _plain(refusal(503, access, Retry_After=str(delivery.policy.retry_after)))

    def _admit(
        self, request: HttpRequest, key: str, delivery: Delivery
    ) -> Access | HttpResponseBase:
        """On what ground the request may have the key, or what it gets instead."""
        expires = None
        asked = self._has_own_authorize()
        signed = delivery.signed or (not asked and delivery.is_signed(key))
        if signed:
            end = verified_expiry(delivery.domain, key, request.GET)
            if end is None:
                return _plain(refusal(403, Access(private=True)))
            if not asked:
                expires = max(0, end - int(time.time()))
        return _refused(self.authorize, request, key) or Access(
            private=signed or asked or not (self.public or _is_anybody(request)),
            each_time=asked,
            expires=expires,
            download=self.as_attachment or _wants_download(request),
            filename=self.filename,
        )

    def _given_options(self) -> dict[str, Any]:
        return {name: value for name in _OPTIONS if (value := getattr(self, name)) is not UNSET}

    def _has_own_authorize(self) -> bool:
        own = getattr(self.authorize, "__func__", self.authorize)
        return own is not MogileFSView.authorize

    def http_method_not_allowed(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        return _plain(refusal(405, Allow="GET, HEAD"))


def serve_mogilefs_file(request: HttpRequest, key: str, **options: Any) -> HttpResponseBase:
    """Serves the file of a key: ``path("mogilefs/<path:key>", serve_mogilefs_file)``.

    Takes by keyword what MogileFSView has as attributes (``storage``, ``authorize``, ``public``,
    ``as_attachment``, ``filename``) and every option of serving, as in
    ``path("private/<path:key>", serve_mogilefs_file, {"authorize": may_see})``.
    """
    if unknown := options.keys() - _ATTRIBUTES:
        raise TypeError(f"serve_mogilefs_file() has no option {', '.join(sorted(unknown))}")
    view = MogileFSView(**options)
    view.setup(request, key)
    return view.dispatch(request, key)


def _refused(authorize: Any, request: HttpRequest, key: str) -> HttpResponseBase | None:
    """What ``authorize`` has the request get instead of the file; None for the file."""
    try:
        verdict = authorize(request, key)
        if isawaitable(verdict):
            verdict = async_to_sync(_awaited)(verdict)
    except PermissionDenied:
        verdict = 403
    except Http404:
        verdict = 404
    if verdict is True:
        return None
    if isinstance(verdict, HttpResponseBase):
        return verdict
    if verdict in (None, False, 403, 404):
        return _plain(refusal(verdict or 403, Access(private=True)))
    raise TypeError(f"authorize() gave {verdict!r}: neither True, False, 403, 404 nor a response")


async def _awaited(verdict: Awaitable[Any]) -> Any:
    return await verdict


def _unwrapped(request: HttpRequest) -> HttpRequest:
    """Django's own request, where it came through Django REST framework."""
    plain: HttpRequest = getattr(request, "_request", request)
    return plain


def _is_anybody(request: HttpRequest) -> bool:
    """Whether no decorator or middleware can have let the request through for who it is from."""
    if "HTTP_AUTHORIZATION" in request.META:
        return False
    session: Any = getattr(request, "session", None)
    if session is None or not session.accessed:
        return True
    # For its tokens Django looks into every session: one with nothing else opens nothing.
    return settings.CSRF_USE_SESSIONS and set(session.keys()) <= {CSRF_SESSION_KEY}


def _wants_download(request: HttpRequest) -> bool:
    return DOWNLOAD in request.META.get("QUERY_STRING", "") and DOWNLOAD in request.GET


def _conditions(request: HttpRequest) -> dict[str, str]:
    meta = request.META
    return {name: meta[variable] for name, variable in _CONDITIONS if variable in meta}


def _serve(request: HttpRequest, key: str, delivery: Delivery, access: Access) -> HttpResponseBase:
    if AGAIN in request.META and delivery.front and delivery.front.asks_again:
        # The front has tried the replicas in vain: it is for us to find and send the file.
        delivery.forget(key)
        delivery = delivery.without_front()
    place, remembered = delivery.find(key)
    try:
        return _respond(request, key, place, delivery, access)
    except StorageUnavailable:
        # The key may mean another file by now, whose address tells that.
        delivery.forget(key)
        found, _ = delivery.find(key)
        if not remembered and set(found.paths) <= set(place.paths):
            raise
    return _respond(request, key, found, delivery, access)


def _respond(
    request: HttpRequest, key: str, place: Place, delivery: Delivery, access: Access
) -> HttpResponseBase:
    replicas, local = delivery.look(place)
    if local:
        place = place._replace(modified=local.modified)
    conditions = _conditions(request)
    method = request.method or "GET"
    reply = answer(method, conditions, key, place, delivery.policy, access)
    if reply.span is None:
        return _plain(reply)
    public = not access.private and is_for_all(reply.headers.get("Cache-Control"))
    handed = delivery.hand_over(reply, conditions, replicas, local, public=public)
    if handed is not None:
        if delivery.front and delivery.front.mark not in request.META:
            _warn_of_no_front(type(delivery.front).__name__)
        return _handed_over(reply, handed)
    return _streamed(request, key, place, delivery, reply)


@lru_cache  # once for each front in a process's life
def _warn_of_no_front(name: str) -> None:
    logger.warning(
        "A file was handed to %s, but the request does not seem to have come through it: browsers"
        " that reach the site past its front get empty files and internal addresses.",
        name,
    )


def _handed_over(reply: Reply, handed: Mapping[str, str | None]) -> HttpResponse:
    """An empty 200: the front takes status, length and part from the storage node's reply.

    That it is empty is said, for only then nginx keeps its connection to us.
    """
    told = {**reply.headers, **handed, "Content-Length": "0", "Content-Range": None}
    return HttpResponse(headers={name: value for name, value in told.items() if value is not None})


def _streamed(
    request: HttpRequest, key: str, place: Place, delivery: Delivery, reply: Reply
) -> StreamingHttpResponse:
    assert reply.span is not None
    if reply.is_partial:
        request.META.pop("HTTP_ACCEPT_ENCODING", None)  # GZipMiddleware would pack the part
    under_asgi = isinstance(request, ASGIRequest)
    wanted = (key, place, reply.span)
    content: Iterable[bytes] | AsyncIterator[bytes]
    if reply.span.length <= SMALL:
        whole = read_small(delivery.client, *wanted)
        content = AsyncBody(whole) if under_asgi else [whole]
    elif under_asgi:
        content = AsyncBody.open(delivery.async_client, *wanted)
    else:
        content = Body(delivery.client, *wanted)
    return StreamingHttpResponse(content, status=reply.status, headers=reply.headers)


def _plain(reply: Reply) -> HttpResponse:
    """A reply without bytes of the file. Errors say in words what they are."""
    body = f"{reply.status} {responses[reply.status]}\n" if reply.status in _IN_WORDS else ""
    headers = {"Content-Type": "text/plain; charset=utf-8", **reply.headers}
    response = HttpResponse(body, status=reply.status, headers=headers)
    if reply.status == 304:
        del response["Content-Type"]
    return response


_IN_WORDS: Final = frozenset({403, 404, 405, 412, 416, 503})
