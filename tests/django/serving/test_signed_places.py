"""What a storage signs no other storage's view opens without a signature; all else it does."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import Client as Browser
from django.test import RequestFactory
from pytest_django import Settings

from django_mogilefs.storage import MogileFSStorage
from django_mogilefs.views import serve_mogilefs_file

OURS = "django_mogilefs.storage.MogileFSStorage"
STATIC = "django_mogilefs.static.MogileFSStaticStorage"


class FromItsConstructor(MogileFSStorage):
    """Is where its constructor says, which no OPTIONS tell."""

    def __init__(self, **options: Any) -> None:
        super().__init__(location="private", querystring_auth=True, **options)


def storage(location: str, backend: str = OURS, **options: Any) -> dict[str, Any]:
    return {"BACKEND": backend, "OPTIONS": {"location": location, **options}}


def use(site_settings: Settings, **aliases: dict[str, Any]) -> None:
    site_settings.STORAGES = {"default": {"BACKEND": OURS}, **aliases}


def saved(alias: str) -> str:
    """The address of a new file of the alias."""
    return storages[alias].url(storages[alias].save("x.txt", ContentFile(b"content")))


def status(address: str) -> int:
    with closing(Browser().get(address)) as answer:
        return int(answer.status_code)


@pytest.mark.parametrize("location", ["private", "private/deeper"])
def test_what_a_storage_signs_is_asked_for(site_settings: Settings, location: str) -> None:
    use(site_settings, private=storage(location, querystring_auth=True))
    address = saved("private")
    assert address.startswith(f"/mogilefs/{location}/x")
    assert status(address.partition("?")[0]) == 403
    with closing(Browser().get(address)) as answer:
        assert answer.getvalue() == b"content"
        assert answer["Cache-Control"].startswith("private, max-age=")
    assert status(saved("default")) == 200


def test_what_a_storages_own_constructor_says_counts(site_settings: Settings) -> None:
    use(site_settings, private={"BACKEND": f"{__name__}.FromItsConstructor"})
    address = saved("private")
    assert (status(address), status(address.partition("?")[0])) == (200, 403)


class WhatNeedsAnother(MogileFSStorage):
    """Cannot be made while something else is away."""

    def __init__(self, **options: Any) -> None:
        raise ConnectionError("away")


def test_a_storage_that_cannot_be_made_now_signs_by_its_options(site_settings: Settings) -> None:
    use(site_settings, private=storage("private", querystring_auth=True))
    address = saved("private").partition("?")[0]
    backend = f"{__name__}.WhatNeedsAnother"
    use(site_settings, private=storage("private", backend, querystring_auth=True))
    assert status(address) == 403


@pytest.mark.parametrize(
    "public",
    [
        storage("private/public"),
        storage("private"),
        storage("private/static", STATIC, base_url="/mogilefs/"),
        storage("private", STATIC, base_url="/mogilefs/"),
    ],
)
def test_what_another_storage_has_there_or_deeper_is_not(
    site_settings: Settings, public: dict[str, Any]
) -> None:
    use(site_settings, private=storage("private", querystring_auth=True), public=public)
    assert status(saved("public")) == 200


def test_a_view_that_asks_authorize_asks_for_no_other_storages_signature(
    site_settings: Settings,
) -> None:
    use(site_settings, private=storage("private", querystring_auth=True))
    key = saved("private").partition("?")[0].removeprefix("/mogilefs/")
    request = RequestFactory().get("/")
    with closing(serve_mogilefs_file(request, key, authorize=lambda *_: True)) as answer:
        assert (answer.status_code, answer["Cache-Control"]) == (200, "private, no-cache")


def test_one_cluster_may_have_two_names(site_settings: Settings) -> None:
    [tracker] = site_settings.MOGILEFS_TRACKERS
    trackers = [tracker.replace("127.0.0.1", "localhost")]
    use(site_settings, private=storage("private", querystring_auth=True, trackers=trackers))
    address = saved("private")
    assert (status(address), status(address.partition("?")[0])) == (200, 403)


@pytest.mark.parametrize(
    "broken",
    [storage("x", domain=""), storage("x", backend="no.such.Storage"), storage("x", nonsense=1)],
)
def test_a_storage_that_cannot_be_made_closes_no_others_files(
    site_settings: Settings, broken: dict[str, Any]
) -> None:
    use(site_settings, broken=broken)
    assert status(saved("default")) == 200
