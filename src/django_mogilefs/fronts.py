"""How a file is handed to the web proxy in front of the site: one small class each.

A front turns where the bytes lie into headers for the proxy, which then sends the bytes itself.
What a proxy would get wrong (seen by running them: docs/serving.md) it leaves to the view, which
streams such a request. The configurations to go with each are in docs/fronts/.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from .http import Span, is_plain_range

_REPLICA = re.compile(
    r"http://(?P<node>(?:[0-9A-Za-z.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?)"
    r"(?P<path>/dev[0-9]+/[0-9]/[0-9]{3}/[0-9]{3}/[0-9]{10,}\.fid)"
)


class Replica(NamedTuple):
    """One copy of a file on a storage node: its ``host:port`` and its path there."""

    node: str
    path: str

    @property
    def url(self) -> str:
        return f"http://{self.node}{self.path}"

    @staticmethod
    @lru_cache(maxsize=4096)
    def parse(url: str) -> Replica | None:
        """None for an address that is no ``.fid`` file of a storage node: nobody fetches that."""
        found = _REPLICA.fullmatch(url)
        return Replica(found["node"], found["path"]) if found else None


class LocalFile(NamedTuple):
    """A replica whose file is on this machine, seen a moment ago."""

    replica: Replica
    path: str
    """Of the file on disk."""
    modified: int
    """Seconds since 1970."""


class LocalDirectories:
    """Which storage nodes' directories are on the proxy's machine: ``{"host:port": directory}``.

    The directory is the one that holds ``dev1`` and so on.
    """

    def __init__(self, directories: Mapping[str, str | os.PathLike[str]]) -> None:
        self._directories = {node: os.fspath(path) for node, path in directories.items()}

    def find(self, replicas: Sequence[Replica], size: int) -> LocalFile | None:
        """The first replica that is here now, with all its bytes, and not empty."""
        if not self._directories or not size:
            return None
        seen = (self._look(replica, size) for replica in replicas)
        return next(filter(None, seen), None)

    def _look(self, replica: Replica, size: int) -> LocalFile | None:
        directory = self._directories.get(replica.node)
        if directory is None:
            return None
        path = directory.rstrip("/") + replica.path
        try:
            found = os.stat(path)
        except OSError:  # gone, or not ours to see: another replica is sent
            return None
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            return None
        return LocalFile(replica, path, int(found.st_mtime))


class Handover(NamedTuple):
    """A body that the view would like the front to send."""

    replicas: Sequence[Replica]
    """At least one, in the order in which to try them."""
    local: LocalFile | None
    size: int
    """Of the whole file, in bytes; more than 0."""
    span: Span | None
    """The part to send (206), or None for the whole file (200)."""
    request: Mapping[str, str]
    """The request's headers that concern ranges and conditions, in lower case."""
    public: bool
    """Whether anybody may have the file, at this very address."""


class Front:
    """A web proxy that sends files itself. Subclass it for one's own.

    Made once, with the setting ``MOGILEFS_REPROXY_CACHE_FOR`` (seconds, 0 for never).
    """

    internal_headers: Sequence[str] = ()
    """What this front's reply headers for the proxy are called: a browser that sees one of
    them has reached the site past the proxy."""

    mark = "HTTP_X_MOGILE_FRONT"
    """The variable of a request's META that shows that it came through the front (or through
    somebody who pretends that: good for a hint, never for a decision)."""

    asks_again = False
    """Whether it asks the site again, with ``X-Mogile-Again``, for a file that it could not
    fetch, and keeps browsers from saying so."""

    def __init__(self, cache_for: int = 0) -> None:
        self.cache_for = cache_for

    def hand_over(self, file: Handover) -> Mapping[str, str | None] | None:
        """The headers that make the proxy send the body, or None: the view streams it.

        A header whose value is None is left out of the reply: the proxy adds its own.
        """
        raise NotImplementedError


class Perlbal(Front):
    """``enable_reproxy``: Perlbal sends the browser's own Range to the storage node.

    It compares no condition, and a classic storage node reads ``bytes=-3`` as ``bytes=0-3``;
    so only a plain range that is wanted is left to it.
    """

    internal_headers = (
        "X-REPROXY-URL",
        "X-REPROXY-FILE",
        "X-REPROXY-EXPECTED-SIZE",
        "X-REPROXY-CACHE-FOR",
    )
    mark = "HTTP_X_PROXY_CAPABILITIES"

    def hand_over(self, file: Handover) -> Mapping[str, str | None] | None:
        asked = file.request.get("range", "")
        if asked and not (file.span and is_plain_range(asked)):
            return None
        if file.local:
            # Alone: next to a file, Perlbal would pass the other headers on to the browser.
            return {"X-REPROXY-FILE": _in_a_header(file.local.path)}
        # It knows no IPv6, and would hang.
        urls = [replica.url for replica in file.replicas if not replica.node.startswith("[")]
        if not urls:
            return None
        headers: dict[str, str | None] = {"X-REPROXY-URL": " ".join(urls)}
        if not asked:
            headers["X-REPROXY-EXPECTED-SIZE"] = str(file.size)
            if self.cache_for and file.public:
                headers["X-REPROXY-CACHE-FOR"] = f"{self.cache_for}; {_KEPT_BY_PERLBAL}"
        return headers


def _in_a_header(path: str) -> str:
    """A path as Django has to be given it, so that its very bytes are sent: headers are Latin-1."""
    return os.fsencode(path).decode("latin-1")


_KEPT_BY_PERLBAL = (  # those that nginx and Caddy give back; a cookie is nobody else's
    "Accept-Ranges Access-Control-Allow-Origin Cache-Control Content-Disposition "
    "Content-Security-Policy Content-Type Cross-Origin-Opener-Policy "
    "Cross-Origin-Resource-Policy ETag Expires Last-Modified Referrer-Policy "
    "Strict-Transport-Security Vary X-Content-Type-Options X-Frame-Options"
)


class Nginx(Front):
    """``X-Accel-Redirect`` into docs/fronts/nginx: first replica, second one, which range."""

    internal_headers = ("X-Accel-Redirect", "X-Mogile-Replica-2", "X-Mogile-Range")
    asks_again = True

    def hand_over(self, file: Handover) -> Mapping[str, str | None] | None:
        local = file.local if file.local and _local_conditions_are_easy(file) else None
        first = local.replica if local else file.replicas[0]
        others = [replica for replica in file.replicas if replica != first]
        # A local file that has just gone is fetched over HTTP, from elsewhere if it can be.
        second = others[0] if others else first
        place = "_mogile_local" if local else "_mogile"
        headers: dict[str, str | None] = {
            "X-Accel-Redirect": f"/{place}/{first.node}{first.path}",
            "X-Mogile-Replica-2": f"{second.node}{second.path}",
            "X-Mogile-Range": _range(file.span),
        }
        if local:
            headers["Accept-Ranges"] = None  # nginx says it of every file on disk
        return headers


class Caddy(Front):
    """``handle_response`` in docs/fronts/Caddyfile: two replicas, which range."""

    internal_headers = ("X-Reproxy-URL", "X-Mogile-Local", "X-Mogile-Range")
    asks_again = True

    def hand_over(self, file: Handover) -> Mapping[str, str | None] | None:
        headers: dict[str, str | None] = {
            "X-Reproxy-URL": " ".join(replica.url for replica in file.replicas[:2]),
            "X-Mogile-Range": _range(file.span),
        }
        if file.local and _local_conditions_are_easy(file):
            headers["X-Mogile-Local"] = file.local.replica.node + file.local.replica.path
        return headers


def _range(span: Span | None) -> str:
    return f"bytes={span.start}-{span.stop - 1}" if span else "none"


def _local_conditions_are_easy(file: Handover) -> bool:
    """A proxy that sends a file from disk judges conditions by that file: leave it none."""
    judged = ("if-match", "if-unmodified-since", "if-range")
    if any(file.request.get(name) for name in judged):
        return False
    asked = file.request.get("range", "")
    return not asked or (file.span is not None and is_plain_range(asked))


FRONTS: Mapping[str, type[Front]] = {"perlbal": Perlbal, "nginx": Nginx, "caddy": Caddy}


def make_front(name: str | None, cache_for: int = 0) -> Front | None:
    """The front that ``MOGILEFS_FRONT`` names: a short name, or a dotted path to a Front."""
    if name is None:
        return None
    found = FRONTS.get(name)
    if found is None:
        found = _import_front(name)
    return found(cache_for)


def _import_front(name: str) -> type[Front]:
    try:
        found = import_string(name)
    except (ImportError, TypeError, ValueError) as error:  # the last two for dots alone
        known = ", ".join(FRONTS)
        raise ImproperlyConfigured(
            f"MOGILEFS_FRONT is {name!r}: neither one of {known} nor a class to import ({error})"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Front)):
        raise ImproperlyConfigured(f"MOGILEFS_FRONT: {name} is no subclass of {Front.__name__}")
    return found
