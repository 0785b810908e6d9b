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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

from django.core.files.storage import storages
from django.test import override_settings

from django_mogilefs.conf import is_set
from django_mogilefs.project import StorageUse, storage_uses
from django_mogilefs.storage import MogileFSStorage
from mogilefs import Client

DOMAIN = "test"
"""Where the project names no domain."""

_NODE = """
import sys, tempfile
from mogilefs.node import Node
doors = dict.fromkeys(("tracker", "storage", "sidechannel"), "127.0.0.1:0")
with tempfile.TemporaryDirectory(prefix="mogilefs-") as directory:
    with Node(directory, devices=3, durability="relaxed", **doors).in_thread() as node:
        print(node.tracker, flush=True)
        sys.stdin.read()
"""
"""Says where its tracker is, and ends with its standard input."""


@contextmanager
def storages_on(tracker: str) -> Iterator[MogileFSStorage]:
    """All of the project's storages on this tracker, and empty again when the ``with`` ends.

    Gives the default storage if that is one of ours, else one made of the settings. Domains and
    classes that the storages name are created; where no domain is set it is ``DOMAIN``.
    """
    changed: dict[str, Any] = {"MOGILEFS_TRACKERS": [tracker]}
    if not is_set("MOGILEFS_DOMAIN"):
        changed["MOGILEFS_DOMAIN"] = DOMAIN
    with override_settings(**changed), _moved(tracker) as uses:
        try:
            for use in uses:
                _create(use, tracker)
            yield _default()
        finally:
            for domain in {use.look_up("domain") for use in uses}:
                _empty(domain, tracker)


@contextmanager
def _moved(tracker: str) -> Iterator[list[StorageUse]]:
    """Every use, of a storage that has this tracker for as long, wherever it had its own from."""
    own = [(use, _given(use)) for use in storage_uses()]
    before = [dict(given) for _, given in own]
    for _, given in own:
        given["trackers"] = [tracker]
    try:
        uses = [replace(use, given=given) for use, given in own]
        yield [*uses, StorageUse("the settings", MogileFSStorage, {})]
    finally:
        for (_, given), old in zip(own, before, strict=True):
            given.clear()
            given.update(old)


def _given(use: StorageUse) -> Any:
    """The options that the use's storage itself looks at."""
    return use.given if use.alias is None else vars(storages[use.alias])["given"]


def _default() -> MogileFSStorage:
    found: Any = storages["default"]
    return found if isinstance(found, MogileFSStorage) else MogileFSStorage()


def _create(use: StorageUse, tracker: str) -> None:
    """The use's domain and class, where they are missing."""
    domain, name = use.look_up("domain"), use.look_up("mogile_class")
    with Client(None, [tracker]) as client:
        if domain not in {each.name for each in client.admin.domains()}:
            client.admin.create_domain(domain)
        known = {each.name for each in client.admin.classes(domain)}
        if isinstance(name, str) and name not in known:
            client.admin.create_class(domain, name, mindevcount=1)


def _empty(domain: str, tracker: str) -> None:
    with Client(domain, [tracker]) as client:
        for key in client.keys(""):
            client.delete(key)


@cache
def _shared_tracker() -> str:
    """The node that all test classes of this process share, started at first use.

    A process of its own: threads cannot be stopped in good order when the interpreter exits. It
    ends with this one, also where that is killed, as Django does with those of --parallel.
    """
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-c", _NODE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    atexit.register(process.__exit__, None, None, None)
    assert process.stdout is not None  # it is a pipe
    return process.stdout.readline().strip()


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
