"""What projects get for their own tests."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import SimpleTestCase, override_settings

from django_mogilefs.storage import MogileFSStorage
from django_mogilefs.testing import MogileFSTestMixin, storages_on
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


class MixinTests(MogileFSTestMixin, SimpleTestCase):
    """Two tests that would see each other's file if it stayed."""

    def save_first(self) -> None:
        assert self.mogilefs_storage.save("a.txt", ContentFile(b"x")) == "a.txt"
        assert default_storage.open("a.txt").read() == b"x"

    def test_one(self) -> None:
        self.save_first()

    def test_two(self) -> None:
        self.save_first()
