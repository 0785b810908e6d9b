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
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache, partial
from typing import Any, ClassVar, NamedTuple
from unittest.mock import patch

from django.core.files.storage import storages
from django.test import override_settings

from django_mogilefs.conf import is_set
from django_mogilefs.project import StorageUse, storage_uses
from django_mogilefs.storage import MogileFSStorage
from mogilefs import Client, KeyNotFound

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


class _File(NamedTuple):
    fid: int
    mogile_class: str
    content: bytes


Files = dict[str, dict[str, _File]]
"""What lies on a node, by domain and key."""


@contextmanager
def storages_on(tracker: str) -> Iterator[MogileFSStorage]:
    """All of the project's storages on this tracker, and empty again when the ``with`` ends.

    Gives the default storage if that is one of ours, else one made of the settings. Domains and
    classes that the storages name are created; where no domain is set it is ``DOMAIN``.
    """
    with _storages_on(tracker, {}) as storage:
        yield storage


@contextmanager
def _storages_on(tracker: str, kept: Files) -> Iterator[MogileFSStorage]:
    """The same, but in the end there are these files."""
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
                _restore(domain, tracker, kept.get(domain, {}), uses)


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


def _restore(domain: str, tracker: str, kept: dict[str, _File], uses: list[StorageUse]) -> None:
    """Leave these files in the domain, as they were, and no others."""
    with Client(domain, [tracker]) as client:
        for key in list(client.keys("")):
            if key not in kept:
                client.delete(key)
                _forget(domain, key, uses)
        for key, file in kept.items():
            if not _is_there(client, key, file):
                client.store(key, file.content, mogile_class=file.mogile_class)
                kept[key] = _read(client, key)
                _forget(domain, key, uses)


def _is_there(client: Client, key: str, file: _File) -> bool:
    try:
        info = client.info(key)
    except KeyNotFound:
        return False
    return (info.fid, info.mogile_class) == (file.fid, file.mogile_class)


def _read(client: Client, key: str) -> _File:
    info = client.info(key)
    return _File(info.fid, info.mogile_class, client.read(key))


def _forget(domain: str, key: str, uses: list[StorageUse]) -> None:
    """What the view remembers of the key is out of date: no storage was told of the change."""
    for use in uses:
        if use.look_up("domain") == domain:
            options = {name: use.look_up(name) for name in ("domain", "trackers", "path_cache")}
            MogileFSStorage(**options).forget(key)


def _files_on(tracker: str) -> Files:
    with Client(None, [tracker]) as client:
        domains = [each.name for each in client.admin.domains()]
    return {domain: _files_in(domain, tracker) for domain in domains}


def _files_in(domain: str, tracker: str) -> dict[str, _File]:
    with Client(domain, [tracker]) as client:
        return {key: _read(client, key) for key in client.keys("")}


@cache
def _shared_tracker() -> str:
    """The node that all test classes of this process share, started at first use.

    A process of its own: threads cannot be stopped in good order when the interpreter exits. It
    ends with this one, also where that is killed, as Django does with those of --parallel.
    """
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{_NODE}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    atexit.register(process.__exit__, None, None, None)
    assert process.stdout is not None  # it is a pipe
    if tracker := process.stdout.readline().strip():
        return tracker
    raise RuntimeError(f"The test's node did not start: exit code {process.wait()}, told on stderr")


class MogileFSTestMixin:
    """For a TestCase: every test has the project's storages on a node, empty at its start.

    What ``setUpTestData`` stores, or ``setUpClass`` after Django's, is there in every test of the
    class, whatever the others do to it. The node is started once for all classes of a process.
    ``mogilefs_storage``, of the class and of each test, is the default storage if that is one of
    ours, else one made of the settings.
    """

    mogilefs_storage: MogileFSStorage
    _kept: ClassVar[Callable[[], Files]] = dict
    """What was there before the first test, as it is first asked for."""

    @classmethod
    def setUpClass(cls) -> None:
        load: Any = getattr(cls, "setUpTestData", None)
        cls._kept = cache(partial(_files_on, _shared_tracker()))

        @cache
        def move() -> None:
            stack = ExitStack()
            cls.mogilefs_storage = stack.enter_context(storages_on(_shared_tracker()))
            cls.addClassCleanup(stack.close)  # type: ignore[attr-defined]  # a TestCase's

        def move_and_load() -> None:
            move()
            load()

        # Not sooner: Django's setUpClass first enters the settings that the class overrides.
        with patch.object(cls, "setUpTestData", move_and_load, create=True):
            super().setUpClass()  # type: ignore[misc]  # a TestCase's
        move()

    def __call__(self, *args: Any, **options: Any) -> Any:
        type(self)._kept()  # before anything of this test's own
        return super().__call__(*args, **options)  # type: ignore[misc]  # a TestCase's

    def setUp(self) -> None:
        # Once more, for storages that came up since.
        stack = ExitStack()
        on_the_node = _storages_on(_shared_tracker(), type(self)._kept())
        self.mogilefs_storage = stack.enter_context(on_the_node)
        self.addCleanup(stack.close)  # type: ignore[attr-defined]  # a TestCase's
        super().setUp()  # type: ignore[misc]  # a TestCase's
