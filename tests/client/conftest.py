"""Both faces of the client, a whole cluster to use them on, and small ones that misbehave."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mogilefs import Client
from mogilefs.node import Node
from tests.support.faces import AsyncFace, BlockingFace, Loop
from tests.support.misbehaving import Cluster, Server, TinyStorage, TinyTracker

CLASSES = {"avatar": (3, None), "thumb": (1, None), "md5": (1, "MD5"), "sha1": (1, "SHA-1")}

MakeClient = Callable[..., Any]


@dataclass(frozen=True)
class WholeCluster:
    """Trackers that answer, and a domain of this run with the classes above."""

    trackers: list[str]
    domain: str


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeCluster]:
    """The cluster that MOGILEFS_TEST_TRACKERS names, else a node of our own."""
    named = os.environ.get("MOGILEFS_TEST_TRACKERS")
    with ExitStack() as stack:
        if named:
            trackers = named.split(",")
        else:
            node = stack.enter_context(_node(tmp_path_factory.mktemp("node")).in_thread())
            trackers = [node.tracker]
        yield from _with_domain(trackers)


def _node(directory: Path) -> Node:
    free = "127.0.0.1:0"
    return Node(
        directory, devices=3, tracker=free, storage=free, sidechannel=free, durability="relaxed"
    )


def _with_domain(trackers: list[str]) -> Iterator[WholeCluster]:
    domain = f"t{uuid.uuid4().hex[:12]}"
    with Client(domain, trackers) as client:
        client.admin.create_domain(domain)
        for name, (mindevcount, hashtype) in CLASSES.items():
            client.admin.create_class(domain, name, mindevcount, hashtype=hashtype)
        yield WholeCluster(trackers, domain)
        for key in list(client.keys()):
            client.delete(key)
        for name in CLASSES:
            client.admin.delete_class(domain, name)
        client.admin.delete_domain(domain)


@pytest.fixture(params=["sync", "async"])
def face(request: pytest.FixtureRequest) -> Iterator[MakeClient]:
    """Makes clients of either kind, called alike; closes them at the end."""
    with ExitStack() as stack:
        if request.param == "sync":
            yield lambda *args, **kwargs: stack.enter_context(BlockingFace(*args, **kwargs))
        else:
            loop = Loop()
            stack.callback(loop.close)
            yield lambda *args, **kwargs: stack.enter_context(AsyncFace(loop, *args, **kwargs))


@pytest.fixture
def client(whole: WholeCluster, face: MakeClient) -> Any:
    """A client of either kind on the whole cluster."""
    return face(whole.domain, whole.trackers)


@pytest.fixture
def name() -> str:
    """A key that no other test uses; others may be made by adding to it."""
    return f"test/{uuid.uuid4().hex}"


class Tiny:
    """Trackers and storage nodes of one test, and their addresses."""

    def __init__(self, trackers: int = 1, storages: int = 2) -> None:
        self.cluster = Cluster()
        self.storages = [TinyStorage(self.cluster) for _ in range(storages)]
        self.trackers = [TinyTracker(self.cluster) for _ in range(trackers)]

    @property
    def tracker(self) -> TinyTracker:
        return self.trackers[0]

    @property
    def addresses(self) -> list[str]:
        return [tracker.address for tracker in self.trackers]

    @property
    def servers(self) -> list[Server]:
        return [*self.trackers, *self.storages]

    def stop(self) -> None:
        for server in self.servers:
            server.stop()


@pytest.fixture
def tiny() -> Iterator[Tiny]:
    """One tracker, two storage nodes."""
    cluster = Tiny()
    yield cluster
    cluster.stop()


@pytest.fixture
def two_trackers() -> Iterator[Tiny]:
    """Two trackers over the same files, two storage nodes."""
    cluster = Tiny(trackers=2)
    yield cluster
    cluster.stop()
