"""What projects get for their own tests."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import (
    RequestFactory,
    SimpleTestCase,
    TestCase,
    TransactionTestCase,
    override_settings,
)

from django_mogilefs.storage import MogileFSStorage
from django_mogilefs.testing import MogileFSTestMixin, storages_on
from django_mogilefs.views import serve_mogilefs_file
from mogilefs.testing import running_node
from tests.django.gallery.models import AvatarStorage, Picture

ROOT = Path(__file__).parents[3]


def seconds_to_start() -> float:
    begun = time.monotonic()
    with running_node({"shop": {"photo": 1}}) as node:
        took = time.monotonic() - begun
        assert node.directory.exists()
    assert not node.directory.exists()
    return took


def test_a_node_starts_in_well_under_a_second():
    assert min(seconds_to_start() for _ in range(4)) < 0.7  # the best, for others may run too


def test_the_fixture_gives_the_projects_storage_with_its_classes(mogilefs_storage):
    assert AvatarStorage().save("a.txt", ContentFile(b"x")) == "a.txt"
    assert default_storage.exists("a.txt")
    assert mogilefs_storage.client is default_storage.client


def test_what_a_test_stored_is_gone_in_the_next(mogilefs_storage):
    assert list(mogilefs_storage.names()) == []


def test_the_plugin_costs_a_run_that_does_not_use_it_nothing():
    code = "import sys, mogilefs.testing; print('django' in sys.modules, 'sqlite3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "False False\n"


def test_a_node_of_the_mixin_imports_what_its_process_does_and_tells_if_it_does_not_start(tmp_path):
    (tmp_path / "tempfile.py").write_text("raise SystemExit(3)")
    code = (
        "import sys; from django_mogilefs.testing import _shared_tracker\n"
        f"sys.path.insert(0, {str(tmp_path)!r}); _shared_tracker()"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "RuntimeError: The test's node did not start: exit code 3" in done.stderr


def test_the_mixin_does_without_pytest():
    code = "import sys; sys.modules['pytest'] = None; import django_mogilefs.testing"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_mixins_node_ends_with_a_process_that_is_killed():
    code = (
        "from django_mogilefs.testing import _shared_tracker as t; print(t(), flush=True); input()"
    )
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([sys.executable, "-c", code], text=True, cwd=ROOT, **pipes) as process:
        assert process.stdout.readline().startswith("127.0.0.1:")
        process.kill()
        process.communicate(timeout=30)  # until the node, which has our stderr, is gone too


class ClassWithTrackers(MogileFSStorage):
    trackers = ["127.0.0.1:1"]


OPTIONS = {"domain": "elsewhere", "location": "x", "trackers": ["127.0.0.1:1"]}


@pytest.mark.parametrize(
    ("backend", "options"),
    [
        ("django_mogilefs.storage.MogileFSStorage", OPTIONS),
        (f"{__name__}.ClassWithTrackers", {"location": "x"}),
    ],
)
def test_a_storage_with_trackers_of_its_own_is_on_the_tests_node_too(
    mogilefs_node, monkeypatch, backend, options
):
    thumb = Picture._meta.get_field("thumb").storage
    monkeypatch.setitem(thumb.given, "trackers", ["127.0.0.1:1"])
    with override_settings(STORAGES={"default": {"BACKEND": backend, "OPTIONS": options}}):
        with storages_on(mogilefs_node.tracker) as storage:
            assert storage.save("a.txt", ContentFile(b"x")) == "a.txt"
            assert list(storage.client.keys()) == ["x/a.txt"]
            thumb.save("b.txt", ContentFile(b"x"))
        assert (storage.trackers, thumb.trackers) == (("127.0.0.1:1",),) * 2
        with storages_on(mogilefs_node.tracker) as storage:
            assert list(storage.names()) == list(thumb.names()) == []


def test_what_a_read_only_storage_shows_is_gone_afterwards_too(mogilefs_node):
    read_only = {"BACKEND": "django_mogilefs.storage.MogileFSStorage"}
    read_only["OPTIONS"] = {"readonly": True}
    with override_settings(STORAGES={"default": read_only}):
        with storages_on(mogilefs_node.tracker) as storage:
            MogileFSStorage().save("a.txt", ContentFile(b"x"))
            assert storage.exists("a.txt")
        with storages_on(mogilefs_node.tracker) as storage:
            assert not storage.exists("a.txt")


def test_what_the_view_remembers_is_gone_in_the_next_test(mogilefs_node, settings):
    settings.MOGILEFS_PATH_CACHE = "default"
    request = RequestFactory().get("/")
    with storages_on(mogilefs_node.tracker) as storage:
        storage.client.store("a.txt", b"of the first test")
        assert serve_mogilefs_file(request, "a.txt").status_code == 200
        assert storage.places.get("a.txt")
    with storages_on(mogilefs_node.tracker):
        assert serve_mogilefs_file(request, "a.txt").status_code == 404


class MixinTests(MogileFSTestMixin, SimpleTestCase):
    """Two tests that would see each other's file if it stayed."""

    def save_first(self) -> None:
        assert self.mogilefs_storage.save("a.txt", ContentFile(b"x")) == "a.txt"
        assert default_storage.open("a.txt").read() == b"x"

    def test_one(self) -> None:
        self.save_first()

    def test_two(self) -> None:
        self.save_first()


class Spoiling(MogileFSTestMixin):
    """Two tests that find what their class stored, and spoil it."""

    @classmethod
    def store(cls) -> None:
        default_storage.save("kept.txt", ContentFile(b"kept"))
        Picture._meta.get_field("thumb").storage.save("thumb.txt", ContentFile(b"thumb"))
        assert sorted(cls.mogilefs_storage.names()) == ["kept.txt", "thumb.txt"]

    def find_and_spoil(self) -> None:
        client = self.mogilefs_storage.client
        found = {key: (client.info(key).mogile_class, client.read(key)) for key in client.keys("")}
        assert found == {"kept.txt": ("default", b"kept"), "thumb.txt": ("thumb", b"thumb")}
        client.delete("kept.txt")
        client.store("thumb.txt", b"other")
        client.store("added.txt", b"added")

    def test_one(self) -> None:
        self.find_and_spoil()

    def test_two(self) -> None:
        self.find_and_spoil()


class DataTests(Spoiling, TestCase):
    @classmethod
    def setUpTestData(cls) -> None:
        cls.store()
        cls.picture = Picture.objects.create(thumb="thumb.txt")

    def find_and_spoil(self) -> None:
        assert self.picture.thumb.read() == b"thumb"
        super().find_and_spoil()
        self.picture.thumb.delete()


class ClassTests(Spoiling, SimpleTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.store()


class TransactionTests(ClassTests, TransactionTestCase):
    pass


BACKEND = {"BACKEND": "django_mogilefs.storage.MogileFSStorage", "OPTIONS": OPTIONS}


@override_settings(STORAGES={"default": BACKEND}, MOGILEFS_TRACKERS=["127.0.0.1:2"])
class OwnSettingsTests(MogileFSTestMixin, TestCase):
    """The storages that a class's own settings make are on the node before it stores anything."""

    @classmethod
    def setUpTestData(cls) -> None:
        cls.name = default_storage.save("kept.txt", ContentFile(b"kept"))

    def test_it(self) -> None:
        assert list(self.mogilefs_storage.client.keys()) == [f"x/{self.name}"]
        assert default_storage.open(self.name).read() == b"kept"
