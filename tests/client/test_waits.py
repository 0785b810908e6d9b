"""How often an operation waits for the network, counted on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from mogilefs import Client
from tests.client.conftest import MakeClient, WholeCluster
from tests.support.counting import CountingProxy, Wire


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def proxied(whole: WholeCluster, wire: Wire) -> Iterator[str]:
    """The address of a tracker behind a proxy, whose storage nodes are behind proxies too."""
    with Client(None, whole.trackers) as client, ExitStack() as stack:
        storages = {f"{host.ip}:{host.http_port}" for host in client.admin.hosts()}
        shown = {}
        for storage in storages:
            proxy = CountingProxy(wire, storage)
            stack.callback(proxy.stop)
            shown[storage] = proxy.address
        tracker = CountingProxy(wire, whole.trackers[0], shown)
        stack.callback(tracker.stop)
        yield tracker.address


@pytest.fixture
def client(proxied: str, whole: WholeCluster, face: MakeClient) -> Any:
    return face(whole.domain, proxied)


def test_storing_waits_three_times_even_at_first(client: Any, wire: Wire, name: str) -> None:
    client.store(name, b"bytes" * 1000, mogile_class="thumb")
    assert wire.waits == 3
    assert wire.connections == 2


def test_storing_without_overwriting_waits_three_times(client: Any, wire: Wire, name: str) -> None:
    client.store(name, b"bytes" * 1000, overwrite=False, checksum="MD5")
    assert wire.waits == 3
    client.store(f"{name}.2", b"bytes", overwrite=False, mogile_class="thumb")
    assert wire.waits == 6


@pytest.mark.parametrize("size", [0, 5, 4096, 500_000])
def test_reading_waits_twice(client: Any, wire: Wire, name: str, size: int) -> None:
    client.store(name, b"x" * size, mogile_class="thumb")
    wire.waits = 0
    assert len(client.read(name)) == size
    assert wire.waits == (2 if size else 1)
    client.read(name)
    with client.open(name) as file:
        file.read(10)
    assert wire.waits == 3 * (2 if size else 1)


ONE_WAIT = {
    "paths": lambda client, key: client.paths(key),
    "info": lambda client, key: client.info(key),
    "locate": lambda client, key: client.locate(key),
    "exists": lambda client, key: client.exists(key),
    "size": lambda client, key: client.size(key),
    "set_class": lambda client, key: client.set_class(key, "avatar"),
    "rename": lambda client, key: client.rename(key, key + ".new"),
    "delete": lambda client, key: client.delete(key),
}


@pytest.mark.parametrize("method", ONE_WAIT)
def test_asking_waits_once(client: Any, wire: Wire, name: str, method: str) -> None:
    client.store(name, b"bytes", mogile_class="thumb")
    wire.waits = 0
    ONE_WAIT[method](client, name)
    assert wire.waits == 1


def test_opening_waits_for_nothing(client: Any, wire: Wire, name: str) -> None:
    client.open(name)
    client.stream(name)
    client.open(name, "wb").discard()
    assert wire.connections == wire.waits == 0


def test_known_paths_spare_the_tracker(client: Any, wire: Wire, name: str) -> None:
    client.store(name, b"bytes", mogile_class="thumb")
    paths = client.paths(name)
    wire.waits = 0
    assert b"".join(client.stream(name, paths=paths)) == b"bytes"
    assert wire.waits == 1


def test_a_warm_client_opens_no_connection(client: Any, wire: Wire, name: str) -> None:
    client.store(name, b"bytes" * 1000, mogile_class="thumb")
    assert client.read(name)
    opened = wire.connections
    for _ in range(5):
        client.read(name)
        client.modified(name)
        client.info(name)
    assert wire.connections == opened
