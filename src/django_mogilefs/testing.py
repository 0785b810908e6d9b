"""For tests of projects that store in MogileFS: their storages on a node of the test run's own.

With pytest there are the fixtures of ``mogilefs.testing``; with Django's own runner::

    class AvatarTests(MogileFSTestMixin, TestCase):
        def test_upload(self):
            ...  # default_storage and every field's storage keep their files on the test's node
"""

from __future__ import annotations

import atexit
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

from django.conf import settings
from django.core.files.storage import storages
from django.test import override_settings

from django_mogilefs.clients import get_client
from django_mogilefs.conf import is_set
from django_mogilefs.project import StorageUse, storage_uses
from django_mogilefs.storage import MogileFSStorage
from mogilefs import Client

DOMAIN = "test"
"""Where the project names no domain."""


@contextmanager
def storages_on(tracker: str) -> Iterator[MogileFSStorage]:
    """All of the project's storages on this tracker, and empty again when the ``with`` ends.

    Gives the default storage if that is one of ours, else one made of the settings. Domains and
    classes that the storages name are created; where no domain is set it is ``DOMAIN``. A storage
    that was made with ``trackers`` by hand keeps those.
    """
    with override_settings(**_settings(tracker)):
        client = Client(None, [tracker])
        uses = [each for each in storage_uses() if each.look_up("trackers") == (tracker,)]
        uses.append(StorageUse("the settings", MogileFSStorage, {}))
        try:
            for use in uses:
                _create(client, use)
            yield _default()
        finally:
            for use in uses:
                _empty(use)
            client.close()


def _settings(tracker: str) -> dict[str, Any]:
    changed: dict[str, Any] = {"MOGILEFS_TRACKERS": [tracker]}
    if not is_set("MOGILEFS_DOMAIN"):
        changed["MOGILEFS_DOMAIN"] = DOMAIN
    moved = {alias: _moved(entry, tracker) for alias, entry in settings.STORAGES.items()}
    if moved != settings.STORAGES:
        changed["STORAGES"] = moved
    return changed


def _moved(entry: dict[str, Any], tracker: str) -> dict[str, Any]:
    options = entry.get("OPTIONS", {})
    if "trackers" not in options:
        return entry
    return {**entry, "OPTIONS": {**options, "trackers": [tracker]}}


def _default() -> MogileFSStorage:
    found: Any = storages["default"]
    return found if isinstance(found, MogileFSStorage) else MogileFSStorage()


def _create(client: Client, use: StorageUse) -> None:
    """The use's domain and class, where they are missing."""
    domain, name = use.look_up("domain"), use.look_up("mogile_class")
    existing = {each.name: each for each in client.admin.domains()}
    if domain not in existing:
        client.admin.create_domain(domain)
    if isinstance(name, str) and name not in {each.name for each in client.admin.classes(domain)}:
        client.admin.create_class(domain, name, mindevcount=1)


def _empty(use: StorageUse) -> None:
    client = get_client(use.client_options())
    for key in client.keys(""):
        client.delete(key)


@cache
def _shared_tracker() -> str:
    """The node that all test classes of this process share, started at first use.

    A process of its own: threads cannot be stopped in good order when the interpreter exits.
    """
    stack = ExitStack()
    atexit.register(stack.close)
    directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="mogilefs-"))
    doors = [f"--{door}=127.0.0.1:0" for door in ("tracker", "storage", "sidechannel")]
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "mogilefs", "node", directory, "--durability=relaxed", *doors],
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.enter_context(process)
    stack.callback(process.terminate)
    assert process.stdout is not None  # it is a pipe
    return process.stdout.readline().removeprefix("ready: tracker ").partition(",")[0]


class MogileFSTestMixin:
    """For a TestCase: every test has the project's storages on a node, empty at its start.

    The node is started once for all classes of a process. ``self.mogilefs_storage`` is the
    default storage if that is one of ours, else one made of the settings.
    """

    mogilefs_storage: MogileFSStorage

    def setUp(self) -> None:
        stack = ExitStack()
        self.mogilefs_storage = stack.enter_context(storages_on(_shared_tracker()))
        self.addCleanup(stack.close)  # type: ignore[attr-defined]  # a TestCase's
        super().setUp()  # type: ignore[misc]  # a TestCase's
