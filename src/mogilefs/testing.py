"""A real MogileFS for tests, on free ports with a temporary directory: a pytest plugin.

The fixture ``mogilefs_node`` is a node that lives as long as the run; with Django,
``mogilefs_storage`` is the project's MogileFS storage on that node, emptied after each test, and
the settings name the node for as long. Both are there once django-mogilefs is installed.

``running_node`` is a node of one's own. Without pytest there is ``MogileFSTestMixin`` in
``django_mogilefs.testing``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from django_mogilefs.storage import MogileFSStorage
    from mogilefs.node import Node


@contextmanager
def running_node(domains: Mapping[str, Mapping[str, int]] | None = None) -> Iterator[Node]:
    """A node that answers until the ``with`` ends; its data goes with it.

    ``domains`` are as for ``mogilefs.node.Node``; by default one, ``"test"``, without classes.
    """
    # Not before it is used: every pytest run on an installation loads this module.
    from mogilefs.node import Node

    with (
        tempfile.TemporaryDirectory(prefix="mogilefs-", ignore_cleanup_errors=True) as directory,
        Node(
            directory,
            devices=3,
            domains=domains or {"test": {}},
            tracker="127.0.0.1:0",
            storage="127.0.0.1:0",
            sidechannel="127.0.0.1:0",
            durability="relaxed",
        ).in_thread() as node,
    ):
        yield node


@pytest.fixture(scope="session")
def mogilefs_node() -> Iterator[Node]:
    """A node for the whole run; ``mogilefs_node.tracker`` is its tracker's ``host:port``."""
    with running_node() as node:
        yield node


@pytest.fixture
def mogilefs_storage(mogilefs_node: Node) -> Iterator[MogileFSStorage]:
    """The project's MogileFS storage on that node; what a test stored is deleted after it."""
    from django_mogilefs.testing import storages_on

    with storages_on(mogilefs_node.tracker) as storage:
        yield storage
