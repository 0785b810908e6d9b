"""System checks about serving: the settings fit, and the front is where it should be.

Whether a proxy stands before the site cannot be seen from inside. What can be done is to look
from outside: ``MOGILEFS_FRONT_PROBE`` is the full address, as visitors have it, of any public
file that the view serves.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.utils.encoding import iri_to_uri

from .delivery import Options
from .fronts import Front

TIMEOUT = 10.0
"""Seconds for which the probe waits."""


def check_serving(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Every setting about serving is in the right form, and local directories are there."""
    options = Options()
    return _malformed(options) or [
        *_directories(options.local_directories),
        *_debugging(options.front_name),
    ]


def _malformed(options: Options) -> list[CheckMessage]:
    try:
        options.policy()
        options.make_front()
        _ = options.local_directories, options.front_probe
    except ImproperlyConfigured as error:
        hint = "docs/serving.md lists the settings and what they may be."
        return [Error(str(error), hint=hint, id="mogilefs.E003")]
    return []


def _directories(directories: dict[str, str]) -> Iterator[CheckMessage]:
    for node, directory in directories.items():
        if not _holds_a_device(directory):
            yield Warning(
                f"MOGILEFS_LOCAL_DIRECTORIES: {directory}, given for {node}, holds no device.",
                hint="It is the one with dev1 and so on in it; site and front must both read it.",
                id="mogilefs.W004",
            )


def _holds_a_device(directory: str) -> bool:
    try:
        return any(name.startswith("dev") for name in os.listdir(directory))
    except OSError:
        return False


def _debugging(front: str | None) -> Iterator[CheckMessage]:
    if front and settings.DEBUG:
        yield Warning(
            f"The front is {front!r} while DEBUG is True: runserver has none before it.",
            hint=(
                "Browsers would get empty files and your storage nodes' addresses. Set"
                " MOGILEFS_FRONT = None where you develop, or silence this if the front is there."
            ),
            id="mogilefs.W005",
        )


def check_probe(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """``check --deploy``: somebody has said how to see that the front is there."""
    options = Options()
    if _malformed(options) or options.front_name is None or options.front_probe is not None:
        return []
    return [
        Warning(
            f"Nobody looks whether {options.front_name} is really there.",
            hint=(
                "Set MOGILEFS_FRONT_PROBE to the full address of a public file; then"
                " check --deploy --tag mogilefs fetches it and tells."
            ),
            id="mogilefs.W006",
        )
    ]


def look_from_outside() -> list[CheckMessage]:
    """Fetches what ``MOGILEFS_FRONT_PROBE`` addresses: did a front send it?"""
    options = Options()
    if _malformed(options):
        return []  # check_serving tells it
    front, address = options.make_front(), options.front_probe
    if front is None or address is None:
        return []
    trouble = _trouble(front, address)
    if trouble is None:
        return []
    hint = "Reach the site through the front only; its configuration is in docs/fronts."
    return [
        Error(f"The front is not in place: {address} {trouble}.", hint=hint, id="mogilefs.E104")
    ]


def _trouble(front: Front, address: str) -> str | None:
    try:
        with closing(_connect(address)) as connection:
            response = _get(connection, address)
            return _leak(front, response) or _emptiness(response)
    except (OSError, HTTPException) as error:
        return f"does not answer ({error})"


def _connect(address: str) -> HTTPConnection:
    parts = urlsplit(address)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return kind(parts.netloc, timeout=TIMEOUT)


def _get(connection: HTTPConnection, address: str) -> HTTPResponse:
    parts = urlsplit(address)
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    connection.request("GET", iri_to_uri(target))
    return connection.getresponse()


def _leak(front: Front, response: HTTPResponse) -> str | None:
    leaked = [name for name in front.internal_headers if response.getheader(name) is not None]
    return f"shows browsers the internal header {leaked[0]}" if leaked else None


def _emptiness(response: HTTPResponse) -> str | None:
    if response.status != 200:
        return f"answers {response.status} instead of a file"
    return None if response.read(1) else "is an empty file"
