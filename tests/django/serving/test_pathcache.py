"""The path cache: what it remembers, for whom, and what makes it forget."""

from __future__ import annotations

import pytest
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from pytest_django import Settings

from django_mogilefs import pathcache
from django_mogilefs.pathcache import ABSENT, PathCache, Place

PLACE = Place(7, 10, ("http://10.0.0.1:7500/dev1/0/000/000/0000000007.fid",), 1)
OTHER = Place(8, 10, ("http://10.0.0.1:7500/dev1/0/000/000/0000000008.fid",))


@pytest.fixture(autouse=True)
def _cache(settings: Settings) -> None:
    settings.CACHES = {
        name: {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": name}
        for name in ("default", "paths")
    }
    for cache in caches.all():
        cache.clear()


def path_cache(
    domain: str = "demo", trackers: tuple[str, ...] = ("a:7001", "b:7001"), absent: int = 5
) -> PathCache:
    return PathCache("paths", domain, trackers, seconds=60, absent_seconds=absent)


def test_what_is_put_is_found() -> None:
    cache = path_cache()
    assert cache.get("a.png") is None
    cache.put("a.png", PLACE)
    assert cache.get("a.png") == PLACE


def test_it_is_kept_in_the_cache_that_was_named() -> None:
    path_cache().put("a.png", PLACE)
    assert isinstance(caches["paths"], LocMemCache)
    assert len(caches["paths"]._cache) == 1
    assert not caches["default"]._cache


def test_domains_and_clusters_do_not_mix() -> None:
    path_cache().put("a.png", PLACE)
    assert path_cache(domain="other").get("a.png") is None
    assert path_cache(trackers=("c:7001",)).get("a.png") is None
    assert path_cache(trackers=("b:7001", "a:7001")).get("a.png") == PLACE


def test_names_in_the_cache_suit_any_cache() -> None:
    """Memcached takes neither blanks nor more than 250 characters."""
    key = "ä b\n" * 60
    path_cache().put(key, PLACE)
    (name,) = caches["paths"]._cache
    assert name.isascii()
    assert name.isprintable()
    assert " " not in name
    assert len(name) < 100
    assert path_cache().get(key) == PLACE


def test_that_there_is_no_file_is_remembered_too() -> None:
    path_cache().put_absent("a.png")
    assert path_cache().get("a.png") is ABSENT


def test_that_there_is_no_file_need_not_be_remembered() -> None:
    cache = path_cache(absent=0)
    cache.put_absent("a.png")
    assert cache.get("a.png") is None


def test_a_change_is_seen_at_once() -> None:
    cache = path_cache()
    cache.put("a.png", PLACE)
    cache.forget("a.png")
    assert cache.get("a.png") is None
    cache.put_absent("b.png")
    cache.forget("b.png")
    assert cache.get("b.png") is None


def test_a_reader_from_before_a_change_does_not_bring_the_old_place_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache = path_cache()
    cache.forget("a.png")
    cache.put("a.png", PLACE)  # asked before the change, answered after it
    cache.put_absent("a.png")
    assert cache.get("a.png") is None


def test_after_a_while_a_changed_key_is_remembered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pathcache, "SETTLING_SECONDS", 0)  # over at once
    cache = path_cache()
    cache.forget("a.png")
    cache.put("a.png", OTHER)
    assert cache.get("a.png") == OTHER
