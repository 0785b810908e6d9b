"""Small clusters that misbehave on demand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.misbehaving import Cluster, Server, TinyStorage, TinyTracker


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

    def stop(self) -> None:
        servers: list[Server] = [*self.trackers, *self.storages]
        for server in servers:
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
