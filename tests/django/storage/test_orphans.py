"""Keys that nothing refers to: ``mogilefs_orphans``."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core.cache.backends.base import BaseCache
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import CommandError
from django.db import connections
from django.db.utils import load_backend
from django.test import RequestFactory, override_settings

from django_mogilefs.views import serve_mogilefs_file
from tests.django.gallery.models import Picture
from tests.django.storage.commands import copies, every_database, fill, refer_to, run


@every_database
def test_orphans_and_missing_keys_are_listed_and_only_deleted_when_told(aliases):
    fill("default", "pictures/kept.png", "pictures/orphan.png", "thumbs/spared.png")
    refer_to("pictures/kept.png", "pictures/lost.png")
    out = run("mogilefs_orphans", "--min-age=0", "--exclude=thumbs/")
    assert "orphan test:pictures/orphan.png" in out
    assert "missing test:pictures/lost.png of gallery.Picture.image" in out
    assert "1 orphans listed, 1 references without a key" in out
    assert storages["default"].exists("pictures/orphan.png")
    run("mogilefs_orphans", "--min-age=0", "--exclude=thumbs/", "--delete")
    assert sorted(storages["default"].names()) == ["pictures/kept.png", "thumbs/spared.png"]


@every_database
def test_the_view_forgets_an_orphan_that_is_deleted(aliases, settings):
    settings.MOGILEFS_PATH_CACHE = "default"
    storages["default"].client.store("orphan.png", b"x")
    request = RequestFactory().get("/")
    assert serve_mogilefs_file(request, "orphan.png").status_code == 200
    assert storages["default"].places.get("orphan.png")
    run("mogilefs_orphans", "--min-age=0", "--delete")
    assert serve_mogilefs_file(request, "orphan.png").status_code == 404


@every_database
@pytest.mark.parametrize("option", ["timeout", "trackers"])
def test_what_a_storage_of_other_options_keeps_in_the_same_place_is_no_orphan(
    aliases, mogilefs_node, monkeypatch, option
):
    other = {"timeout": 3.0, "trackers": [mogilefs_node.tracker.replace("127.0.0.1", "localhost")]}
    thumb = Picture._meta.get_field("thumb").storage
    monkeypatch.setitem(thumb.given, option, other[option])
    fill("default", "image.png", "thumb.png")
    refer_to("image.png")
    Picture.objects.update(thumb="thumb.png")
    assert "0 orphans deleted, 0 references" in run("mogilefs_orphans", "--min-age=0", "--delete")
    assert storages["default"].exists("thumb.png")


@every_database
def test_what_rows_in_another_database_refer_to_is_no_orphan(aliases):
    fill("default", "pictures/old.png", "pictures/orphan.png")
    archived = Picture.objects.using("archive").create()
    Picture.objects.using("archive").filter(pk=archived.pk).update(image="pictures/old.png")
    assert "1 orphans deleted, 0 references" in run("mogilefs_orphans", "--min-age=0", "--delete")
    assert list(storages["default"].names()) == ["pictures/old.png"]


@every_database
def test_a_column_in_other_letters_is_the_models_too(aliases):
    fill("default", "pictures/old.png")
    archived = Picture.objects.using("archive").create()
    Picture.objects.using("archive").filter(pk=archived.pk).update(image="pictures/old.png")
    with connections["archive"].cursor() as cursor:
        cursor.execute("ALTER TABLE gallery_picture RENAME COLUMN image TO IMAGE")
    assert "0 orphans" in run("mogilefs_orphans", "--min-age=0")


@every_database
def test_a_database_without_the_models_table_is_left_alone(aliases):
    with connections["archive"].cursor() as cursor:
        cursor.execute("ALTER TABLE gallery_picture RENAME COLUMN thumb TO other")
        assert "0 orphans" in run("mogilefs_orphans")
        cursor.execute("ALTER TABLE gallery_picture RENAME TO elsewhere")
    assert "0 orphans" in run("mogilefs_orphans")
    with connections["default"].cursor() as cursor:
        cursor.execute("ALTER TABLE gallery_picture RENAME TO elsewhere")
    with pytest.raises(CommandError, match=r"'default' cannot be asked: .*gallery_picture"):
        run("mogilefs_orphans")


COMMANDS = {
    ("mogilefs_orphans", "--min-age=0", "--delete"): "0 orphans deleted, 0 references",
    ("mogilefs_copy", "default", "disk"): "1 copied",
}
"""What asks databases, and says so where one file is there and referred to."""


@contextmanager
def archive_with(**settings: str) -> Iterator[None]:
    """The database ``archive``, but with these of its settings."""
    usual = connections["archive"]
    changed = {**usual.settings_dict, **settings}
    connections["archive"] = load_backend(changed["ENGINE"]).DatabaseWrapper(changed, "archive")
    try:
        yield
    finally:
        connections["archive"] = usual


@every_database
@pytest.mark.parametrize(("command", "expected"), [*COMMANDS.items()])
def test_an_alias_without_a_database_is_left_out(aliases, command, expected):
    fill("default", "a.png")
    refer_to("a.png")
    with archive_with(ENGINE="django.db.backends.dummy"):
        assert expected in run(*command)


@every_database
@pytest.mark.parametrize("command", [*COMMANDS])
def test_a_database_that_cannot_be_asked_is_told_in_one_line(aliases, tmp_path, command):
    fill("default", "orphan.png")
    missing = str(tmp_path / "no such directory" / "db.sqlite3")
    with archive_with(NAME=missing), pytest.raises(CommandError) as raised:
        run(*command)
    assert str(raised.value).startswith("The database 'archive' cannot be asked: unable to open")
    assert "\n" not in str(raised.value)
    assert storages["default"].exists("orphan.png")


@every_database
def test_where_no_database_has_a_models_table_nothing_is_taken_for_an_orphan(aliases, monkeypatch):
    fill("default", "kept.png")
    for alias in connections:
        monkeypatch.setitem(connections[alias].settings_dict, "ENGINE", "django.db.backends.dummy")
    with pytest.raises(CommandError, match="No database"):
        run("mogilefs_orphans", "--min-age=0", "--delete")
    assert storages["default"].exists("kept.png")


class BrokenCache(BaseCache):
    """A cache whose server is not there."""

    def __init__(self, location, params):
        super().__init__(params)

    def set(self, *args, **kwargs):
        raise ConnectionError("the cache is down")


@every_database
def test_a_path_cache_that_is_not_there_is_told(aliases, settings):
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.BrokenCache"}}
    fill("default", "orphan.png")
    settings.MOGILEFS_PATH_CACHE = "default"
    with pytest.raises(CommandError, match=r"path cache 'default' cannot be had: .*down"):
        run("mogilefs_orphans", "--min-age=0", "--delete")


@every_database
def test_a_row_that_two_databases_have_is_missed_once(aliases):
    for database in ("default", "archive"):
        Picture.objects.using(database).create(pk=7)
        Picture.objects.using(database).filter(pk=7).update(image="lost.png")
    assert "1 references without a key" in run("mogilefs_orphans")


@every_database
def test_a_reference_that_can_be_no_key_is_missing(aliases):
    refer_to("../up.png", "x" * 256)
    out = run("mogilefs_orphans")
    assert "missing test:../up.png of gallery.Picture.image" in out
    assert "2 references without a key" in out


@every_database
def test_orphans_are_deleted_also_where_one_of_the_storages_is_read_only(aliases, monkeypatch):
    monkeypatch.setitem(storages["default"].given, "readonly", True)
    fill("other", "orphan.png")
    assert "1 orphans deleted" in run("mogilefs_orphans", "--min-age=0", "--delete")


@every_database
def test_an_upload_that_is_going_on_is_no_orphan(aliases):
    storages["default"].client.store(".incomplete/0123", b"half-way")
    assert "0 orphans deleted" in run("mogilefs_orphans", "--min-age=0", "--delete")


@every_database
def test_what_may_belong_to_a_row_that_is_not_committed_is_left_alone(aliases, mogilefs_node):
    fill("default", "old.png", "young.png", "lost.png")
    old, young, lost = (copies(mogilefs_node, key) for key in ("old.png", "young.png", "lost.png"))
    for path in old:
        os.utime(path, times=(time.time() - 3_700,) * 2)
    for path in young:
        os.utime(path, times=(time.time() - 3_500,) * 2)
    for path in lost:
        path.unlink()
    out = run("mogilefs_orphans", "--delete")
    assert "1 orphans deleted" in out
    assert "2 others left alone" in out
    assert sorted(storages["default"].names()) == ["lost.png", "young.png"]


@every_database
def test_the_age_may_come_from_who_calls_the_command(aliases):
    fill("default", "orphan.png")
    assert "1 others left alone" in run("mogilefs_orphans", min_age=60)
    assert "1 orphans listed" in run("mogilefs_orphans", min_age=0)


@pytest.mark.parametrize("age", [-1, "x", 10**20, float("nan"), None])
def test_what_is_no_age_is_told_in_a_line(age):
    with pytest.raises(CommandError, match="--min-age"):
        run("mogilefs_orphans", f"--min-age={age}")
    with pytest.raises(CommandError, match="--min-age"):
        run("mogilefs_orphans", min_age=age)


@every_database
def test_static_files_are_no_orphans(aliases):
    static = {"BACKEND": "django_mogilefs.static.MogileFSStaticStorage"}
    ours = {"BACKEND": "django_mogilefs.storage.MogileFSStorage"}
    prefixed = {**static, "OPTIONS": {"location": "static"}}
    with override_settings(STORAGES={"default": ours, "staticfiles": prefixed}):
        storages["staticfiles"].save("a.css", ContentFile(b"a"))
        assert "0 orphans listed" in run("mogilefs_orphans", "--min-age=0")
    with (
        override_settings(STORAGES={"default": ours, "staticfiles": static}),
        pytest.raises(CommandError, match="without a location"),
    ):
        run("mogilefs_orphans")
