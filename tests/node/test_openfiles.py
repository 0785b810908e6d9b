"""Many clients with few open files: no door's clients keep out the other's."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mogilefs import Client
from tests.support.crashing import NodeProcess


@contextlib.contextmanager
def idle_clients(address: str, count: int) -> Iterator[None]:
    """``count`` connections on which nothing is asked, each accepted or turned away."""
    host, _, port = address.rpartition(":")
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection((host, int(port)), timeout=10))
        yield


@contextlib.contextmanager
def started(directory: Path, open_files: tuple[int, int]) -> Iterator[tuple[Client, str]]:
    """A node with these limits, a client that has asked nothing yet, and the tracker's address."""
    node = NodeProcess(directory, open_files)
    node.start()
    try:
        with Client("demo", [node.tracker]) as client:
            yield client, node.tracker
    finally:
        node.stop()


@pytest.mark.parametrize("door", ["tracker", "storage"])
def test_idle_clients_of_one_door_leave_the_other_its_files(tmp_path: Path, door: str):
    with started(tmp_path, (400, 400)) as (client, tracker):
        client.store("a", b"here", mogile_class="thumb")
        addresses = {
            "tracker": tracker,
            "storage": urlsplit(client.paths("a")[0]).netloc,
        }
        with idle_clients(addresses[door], 400):
            # The connections that the client keeps are those of one who was there in time.
            assert client.read("a") == b"here"
            client.store("b", b"new", mogile_class="thumb")
            assert client.read("b") == b"new"


def test_the_command_asks_for_the_open_files_that_it_may_have(tmp_path: Path):
    with (
        started(tmp_path, (256, 2048)) as (client, tracker),
        idle_clients(tracker, 600),
    ):
        client.store("a", b"here", mogile_class="thumb")
        assert client.read("a") == b"here"
