"""Signed addresses: what opens a key, for how long, and what never does."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import parse_qsl

import pytest
from pytest_django import Settings

from django_mogilefs import signing
from django_mogilefs.signing import expiry, signed_query, verified_expiry

NOW = 1_800_000_000.0


@pytest.fixture(autouse=True)
def _secret(settings: Settings) -> None:
    settings.SECRET_KEY = "first"
    settings.SECRET_KEY_FALLBACKS = []


def query(domain: str = "demo", key: str = "a/b.png", seconds: int = 3600) -> dict[str, str]:
    return dict(parse_qsl(signed_query(domain, key, seconds=seconds, now=NOW)))


def test_a_signature_opens_its_key_until_it_expires() -> None:
    expires = int(query()["expires"])
    assert verified_expiry("demo", "a/b.png", query(), now=NOW) == expires
    assert verified_expiry("demo", "a/b.png", query(), now=expires - 1) == expires
    assert verified_expiry("demo", "a/b.png", query(), now=expires) is None


@pytest.mark.parametrize(
    ("domain", "key"),
    [
        ("demo", "a/c.png"),
        ("other", "a/b.png"),
        ("demoa", "/b.png"),
        ("dem", "oa/b.png"),
        ("demo", "a/b.png1"),
        ("demo", ""),
    ],
)
def test_it_opens_nothing_else(domain: str, key: str) -> None:
    assert verified_expiry(domain, key, query(), now=NOW) is None


def test_no_part_of_what_is_signed_runs_over_into_the_next() -> None:
    assert verified_expiry("a5:xx", "y", query("a", "xx1:y"), now=NOW) is None
    longer = query(key="a/b.png1")
    moved = {**longer, "expires": "1" + longer["expires"]}
    assert verified_expiry("demo", "a/b.png", moved, now=NOW) is None


@pytest.mark.parametrize(
    "change",
    [
        {"expires": "9999999999"},
        {"expires": ""},
        {"expires": "never"},
        {"expires": "-1"},
        {"expires": "1e12"},
        {"signature": ""},
        {"signature": "0" * 64},
        {"signature": "ä"},
    ],
)
def test_a_changed_query_opens_nothing(change: dict[str, str]) -> None:
    assert verified_expiry("demo", "a/b.png", {**query(), **change}, now=NOW) is None


def test_a_query_without_a_signature_opens_nothing() -> None:
    assert verified_expiry("demo", "a/b.png", {}, now=NOW) is None


def test_the_very_string_that_was_signed_counts() -> None:
    """Not a number that is written in another way: caches would take it for another address."""
    changed = {**query(), "expires": "0" + query()["expires"]}
    assert verified_expiry("demo", "a/b.png", changed, now=NOW) is None


@pytest.mark.parametrize("expires", ["", "never", "-1", "1e12", " 9999999999", "9" * 5000])
def test_what_is_no_moment_opens_nothing_although_it_was_signed(expires: str) -> None:
    signature = signing._sign("first", "demo", "a/b.png", expires)
    changed = {"expires": expires, "signature": signature}
    assert verified_expiry("demo", "a/b.png", changed, now=NOW) is None


def test_the_secret_signs_nothing_else_of_the_sites_in_this_way() -> None:
    """A key of its own is made of it, with a salt, as Django's own signatures have theirs."""
    own = hashlib.sha256(b"django_mogilefs.signing" + b"first").digest()
    value = f"4:demo7:a/b.png{query()['expires']}".encode()
    assert query()["signature"] == hmac.new(own, value, "sha256").hexdigest()


def test_the_time_it_takes_tells_nothing(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """Whichever secret fits, if any, all are compared, each in constant time."""
    settings.SECRET_KEY_FALLBACKS = ["older", "oldest"]
    compared: list[str] = []

    def compare(one: str, other: str) -> bool:
        compared.append(one)
        return constant_time_compare(one, other)

    constant_time_compare = signing.constant_time_compare
    monkeypatch.setattr(signing, "constant_time_compare", compare)
    for asked in (query(), {**query(), "signature": "0" * 64}):
        compared.clear()
        verified_expiry("demo", "a/b.png", asked, now=NOW)
        assert len(compared) == 3


def test_an_old_secret_is_believed_while_it_is_a_fallback(settings: Settings) -> None:
    old = query()
    settings.SECRET_KEY = "second"
    assert verified_expiry("demo", "a/b.png", old, now=NOW) is None
    settings.SECRET_KEY_FALLBACKS = ["first"]
    assert verified_expiry("demo", "a/b.png", old, now=NOW)
    assert query()["signature"] != old["signature"]


@pytest.mark.parametrize("seconds", [1, 3, 4, 60, 3600, 604800])
def test_an_address_lives_for_what_was_said_or_up_to_a_quarter_less(seconds: int) -> None:
    for now in (NOW + step * seconds / 7 for step in range(15)):
        left = expiry(seconds, now) - now
        assert seconds * 3 / 4 - 1 < left <= seconds


def test_addresses_stay_the_same_for_a_quarter_of_their_life() -> None:
    """So that a browser that meets the address again finds the file in its cache."""
    moments = {expiry(3600, NOW + second) for second in range(3600)}
    assert len(moments) in (4, 5)


def test_odd_keys_can_be_signed() -> None:
    key = "ä ö/\udce4&expires=1?#"
    assert verified_expiry("demo", key, query(key=key), now=NOW)
