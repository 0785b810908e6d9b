"""Static files: collected in parallel, unchanged ones left alone, hashed ones never missing."""

from __future__ import annotations

import io
import os
import re

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import CommandError, call_command
from django.test import override_settings

from django_mogilefs.static import (
    HELD_IN_MEMORY,
    WORKERS,
    MogileFSManifestStaticStorage,
    MogileFSStaticStorage,
    can_be_read,
)
from django_mogilefs.storage import MogileFSStorage
from mogilefs import ClassNotFound, TrackersUnavailable
from mogilefs.node import Node
from tests.django.storage.commands import copies
from tests.support.misbehaving import Cluster, TinyStorage, TinyTracker

PLAIN = "django_mogilefs.static.MogileFSStaticStorage"
MANIFEST = "django_mogilefs.static.MogileFSManifestStaticStorage"


@pytest.fixture
def sources(tmp_path, mogilefs_storage):
    """A directory of static files that collectstatic finds, and where they go to."""
    (tmp_path / "css").mkdir()
    (tmp_path / "css" / "site.css").write_text("body { background: url('../dot.png') }")
    (tmp_path / "dot.png").write_bytes(b"\x89PNG dot")
    (tmp_path / "big.bin").write_bytes(bytes(2 * 2**20))
    for path in tmp_path.rglob("*"):
        os.utime(path, (1e9, 1e9))
    with override_settings(STATICFILES_DIRS=[tmp_path]):
        yield tmp_path


@pytest.fixture(params=[PLAIN, MANIFEST])
def backend(request, sources):
    with use(request.param):
        yield request.param


def use(backend: str, **options: object) -> override_settings:
    options = {"location": "static", **options}
    return override_settings(
        STORAGES={
            "default": {"BACKEND": "django_mogilefs.storage.MogileFSStorage"},
            "staticfiles": {"BACKEND": backend, "OPTIONS": options},
        }
    )


def collect(*flags: str) -> str:
    out = io.StringIO()
    call_command("collectstatic", *flags, interactive=False, verbosity=2, stdout=out)
    return out.getvalue()


def test_what_was_collected_is_there_and_addressed_below_the_static_url(backend):
    assert "3 static files copied" in collect()
    url = staticfiles_storage.url("css/site.css")
    assert re.fullmatch(r"/static/static/css/site(\.\w{12})?\.css", url)
    name = url.removeprefix("/static/static/")
    assert staticfiles_storage.open(name).read().startswith(b"body { background: url(")


def test_the_unchanged_is_skipped_and_the_changed_replaced(backend, sources):
    collect()
    (sources / "dot.png").write_bytes(b"\x89PNG another dot")
    assert "1 static file copied, 2 unmodified" in collect()
    assert staticfiles_storage.open("dot.png").read() == b"\x89PNG another dot"


def test_a_younger_source_of_the_same_bytes_is_skipped_where_checksums_are_kept(
    sources, mogilefs_node: Node, mogilefs_storage
):
    admin = mogilefs_storage.client.admin
    admin.create_class("test", "hashed", hashtype="MD5")
    with use(PLAIN, mogile_class="hashed", checksum="MD5"):
        collect()
        os.utime(sources / "dot.png", (4e9, 4e9))
        assert "0 static files copied, 3 unmodified" in collect()
        (sources / "dot.png").write_bytes(b"\x89PNG DOT")
        assert "1 static file copied, 2 unmodified" in collect()


def test_a_younger_source_is_copied_where_no_checksums_are_kept(backend, sources):
    collect()
    os.utime(sources / "dot.png", (4e9, 4e9))
    assert "1 static file copied, 2 unmodified" in collect()


CHECKED = {"mogile_class": "checked", "checksum": "MD5"}


@pytest.mark.parametrize(
    ("backend", "options"), [(PLAIN, {}), (PLAIN, CHECKED), (MANIFEST, {})], indirect=["backend"]
)
def test_what_has_lost_its_replicas_is_stored_again(
    backend, options, mogilefs_node: Node, mogilefs_storage
):
    if options:
        mogilefs_storage.client.admin.create_class("test", "checked", hashtype="MD5")
    with use(backend, **options):
        collect()
        names = {"dot.png", staticfiles_storage.url("dot.png").removeprefix("/static/static/")}
        for name in names:
            for path in copies(mogilefs_node, f"static/{name}"):
                path.unlink()
        assert "1 static file copied, 2 unmodified" in collect()
        assert {staticfiles_storage.open(name).read() for name in names} == {b"\x89PNG dot"}


def test_clearing_deletes_all_of_it_and_nothing_else(backend, mogilefs_storage):
    mogilefs_storage.client.store("avatars/a.png", b"not static")
    staticfiles_storage.client.store("static/deep/er/old.js", b"old")
    assert "Deleting 'deep/er/old.js'" in collect("--clear")
    assert not staticfiles_storage.exists("deep/er/old.js")
    assert staticfiles_storage.exists("dot.png")
    assert mogilefs_storage.exists("avatars/a.png")


def test_a_dry_run_changes_nothing(backend):
    collect("--dry-run", "--clear")
    assert list(staticfiles_storage.names()) == []


def test_an_upload_that_fails_fails_the_command(sources, mogilefs_storage):
    with use(PLAIN, mogile_class="nosuch"), pytest.raises(ClassNotFound):
        collect()


def test_what_can_be_read_need_not_tell_its_time():
    tracker, node = TinyTracker(cluster := Cluster()), TinyStorage(cluster)
    node.on["HEAD"] = lambda connection, request, proper: connection.close()
    storage = MogileFSStorage(domain="d", trackers=[tracker.address])
    cluster.add("there", b"content")
    cluster.add("empty", b"")
    assert can_be_read(storage, "there")
    assert can_be_read(storage, "empty")
    assert not can_be_read(storage, "nowhere")
    node.bodies.clear()
    assert not can_be_read(storage, "there")
    tracker.stop()
    node.stop()


def test_after_a_failure_no_other_file_is_begun(sources, settings):
    for number in range(100):
        (sources / f"{number}.js").touch()
    tracker = TinyTracker(Cluster())
    tracker.on["file_info"] = lambda connection, request, proper: connection.sock.recv(1)
    settings.MOGILEFS_TRACKERS, settings.MOGILEFS_TIMEOUT = [tracker.address], 0.2
    with use(PLAIN), pytest.raises(TrackersUnavailable):
        collect()
    tracker.stop()
    assert tracker.commands.count("file_info") <= 3 * WORKERS


def test_hashed_names_refer_to_each_other_and_come_from_the_manifest(sources):
    with use(MANIFEST):
        collect()
        dot = staticfiles_storage.stored_name("dot.png")
        css = staticfiles_storage.open(staticfiles_storage.stored_name("css/site.css")).read()
    assert re.fullmatch(r"dot\.\w{12}\.png", dot)
    assert dot.encode() in css
    with use(MANIFEST):  # made anew: this one has read it
        assert staticfiles_storage.stored_name("dot.png") == dot
        assert staticfiles_storage.manifest_hash


def test_hashed_files_that_are_there_are_not_deleted_or_sent_again(sources):
    with use(MANIFEST):
        collect()
        names = set(staticfiles_storage.names())
        fids = {name: fid(name) for name in names - {"staticfiles.json"}}
        collect()
        assert set(staticfiles_storage.names()) == names
        assert {name: fid(name) for name in fids} == fids


def fid(name: str) -> int:
    return staticfiles_storage.client.info(f"static/{name}").fid


@pytest.fixture(params=[0, HELD_IN_MEMORY])
def chain(request, sources):
    """Style sheets, each importing the next one: Django hashes them once for each that follows."""
    for number in range(4):
        then = f"@import '{number + 1}.css';" if number < 3 else "url('dot.png')"
        (sources / f"{number}.css").write_text(then + " " * request.param)
    return sources


def named() -> set[str]:
    """All that the manifest names, and itself."""
    files = staticfiles_storage.load_manifest()[0]
    return {*files, *files.values(), "staticfiles.json"}


def test_no_name_stays_that_a_hashed_file_had_only_on_the_way(chain):
    with use(MANIFEST):
        collect()
        first = named()
        assert set(staticfiles_storage.names()) == first
        (chain / "dot.png").write_bytes(b"\x89PNG another dot")
        collect()
        assert len(named() - first) == 6  # all names but that of big.bin
        assert set(staticfiles_storage.names()) == first | named()


class Keeping(MogileFSManifestStaticStorage):
    keep_intermediate_files = True


def test_what_a_subclass_keeps_of_names_on_the_way_stays(chain):
    with use(f"{__name__}.Keeping"):
        collect()
        assert set(staticfiles_storage.names()) > named()


def test_a_storage_whose_files_could_not_be_hashed_is_as_ever(sources):
    (sources / "css" / "site.css").write_text("body { background: url('../gone.png') }")
    with use(MANIFEST):
        with pytest.raises((ValueError, CommandError), match="gone") as failure:
            collect()
        staticfiles_storage.delete("dot.png")
        assert not staticfiles_storage.exists("dot.png")
        assert not staticfiles_storage.client.exists("static/dot.png")
        assert failure.traceback  # held until here, and with it what had not come to its end


def test_making_a_manifest_storage_asks_nothing():
    with use(MANIFEST, trackers=["127.0.0.1:1"]):
        assert staticfiles_storage.location == "static"


def test_static_files_are_not_signed_because_uploads_are(settings):
    settings.MOGILEFS_QUERYSTRING_AUTH = True
    assert MogileFSStorage(base_url="/m/").url("a.css").startswith("/m/a.css?expires=")
    assert MogileFSStaticStorage().url("a.css") == "/static/a.css"
    signed = MogileFSStaticStorage(querystring_auth=True)
    assert signed.url("a.css").startswith("/static/a.css?expires=")
