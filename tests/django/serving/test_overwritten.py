"""A file that is stored anew while it is served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import RequestFactory

from django_mogilefs.views import serve_mogilefs_file
from mogilefs.wire import Request
from tests.client.conftest import Tiny
from tests.support.misbehaving import Connection, once


@pytest.fixture
def tiny(site_settings: Any) -> Iterator[Tiny]:
    cluster = Tiny()
    site_settings.MOGILEFS_TRACKERS = cluster.addresses
    yield cluster
    cluster.stop()


def get(key: str) -> tuple[int, bytes]:
    reply = serve_mogilefs_file(RequestFactory().get("/"), key)
    return reply.status_code, b"".join(reply) if reply.streaming else reply.content


def test_the_new_file_is_served(tiny: Tiny) -> None:
    def overwritten(connection: Connection, request: Request, proper: bytes) -> None:
        for storage in tiny.storages:
            storage.bodies.clear()
        tiny.cluster.add("a.txt", b"new")
        connection.send(proper)

    tiny.cluster.add("a.txt", b"older and longer")
    tiny.tracker.on["file_info"] = once(overwritten)
    assert get("a.txt") == (200, b"new")


def test_a_file_that_is_nowhere_is_looked_for_twice_and_no_more(tiny: Tiny) -> None:
    tiny.cluster.add("a.txt", b"lost")
    for storage in tiny.storages:
        storage.bodies.clear()
    assert get("a.txt")[0] == 503
    assert tiny.tracker.commands.count("get_paths") == 3  # the body's own question among them
