"""Addresses of private files that hold for a while: ``?expires=…&signature=…``.

A signature is about one key of one domain until one moment. ``SECRET_KEY`` makes it;
``SECRET_KEY_FALLBACKS`` are still believed, so that the key can be rotated.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from urllib.parse import urlencode

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

EXPIRES, SIGNATURE = "expires", "signature"
"""The names of the two query parameters."""

_SALT = "django_mogilefs.signing"
_SECONDS = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)


def signed_query(domain: str, key: str, *, seconds: int, now: float | None = None) -> str:
    """The query string that opens ``key`` for at most ``seconds`` from now on.

    Everybody who asks within the same quarter of that time gets the same string, so that a
    browser finds the file in its cache: an address is good for three quarters of ``seconds``
    at the least.
    """
    expires = expiry(seconds, time.time() if now is None else now)
    signature = _sign(settings.SECRET_KEY, domain, key, str(expires))
    return urlencode({EXPIRES: expires, SIGNATURE: signature})


def expiry(seconds: int, now: float) -> int:
    """The moment, in seconds since 1970, at which an address signed now ends."""
    bucket = max(seconds // 4, 1)
    return int(now + seconds) // bucket * bucket


def verified_expiry(
    domain: str, key: str, query: Mapping[str, str], *, now: float | None = None
) -> int | None:
    """When the signature in a query ends, or None where it opens nothing.

    A wrong one, one of another key or domain, and an expired one all take the same time.
    """
    expires, signature = query.get(EXPIRES, ""), query.get(SIGNATURE, "")
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    # Every secret is tried, whichever fits: the time taken tells nothing.
    good = [
        constant_time_compare(signature, _sign(secret, domain, key, expires)) for secret in secrets
    ]
    if not any(good) or not _SECONDS.fullmatch(expires):
        return None
    moment = int(expires)
    return moment if moment > (time.time() if now is None else now) else None


def _sign(secret: str | bytes, domain: str, key: str, expires: str) -> str:
    # Lengths keep the three parts apart, whatever bytes they hold.
    value = f"{len(domain)}:{domain}{len(key)}:{key}{expires}"
    encoded = value.encode("utf-8", "surrogateescape")
    return salted_hmac(_SALT, encoded, secret=secret, algorithm="sha256").hexdigest()
