"""Reading that was interrupted goes on with the right bytes, and nothing of it is left open."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest

from mogilefs import AsyncClient, StorageUnavailable
from tests.client.conftest import MakeClient, Tiny
from tests.support.misbehaving import Connection, HttpRequest, once, response

BODY = bytes(range(251)) * 4096
MIDDLE = len(BODY) // 2

T = TypeVar("T")


def without_ranges(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    connection.send(response(200, BODY))


def half_of_all(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    connection.send(response(200, BODY)[:MIDDLE])
    connection.sock.recv(1)  # until the client gives up


def all_without_an_end(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    connection.send(b"HTTP/1.0 200 OK\r\n\r\n" + BODY)
    connection.sock.recv(1)


def half(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    connection.send(proper[: len(proper) // 2])
    connection.sock.recv(1)


async def interrupted(waiting: Awaitable[T]) -> None:
    with pytest.raises((TimeoutError, asyncio.TimeoutError)):
        await asyncio.wait_for(waiting, 0.3)


async def test_bytes_skipped_on_the_way_to_the_wanted_ones_are_not_given(tiny: Tiny):
    tiny.cluster.add("key", BODY, replicas=1)
    tiny.storages[0].on["GET"] = half_of_all
    async with (
        AsyncClient("d", tiny.addresses) as client,
        client.stream("key", start=MIDDLE + 1000) as stream,
    ):
        await interrupted(anext(stream))
        tiny.storages[0].on["GET"] = without_ranges
        assert b"".join([chunk async for chunk in stream]) == BODY[MIDDLE + 1000 :]


async def test_the_last_bytes_are_given_though_the_wait_for_the_end_was_interrupted(tiny: Tiny):
    tiny.cluster.add("key", BODY, replicas=1)
    tiny.storages[0].on["GET"] = once(all_without_an_end)
    given = io.BytesIO()

    async def collect(stream: Any) -> None:
        async for chunk in stream:
            given.write(chunk)

    async with AsyncClient("d", tiny.addresses) as client, client.stream("key") as stream:
        await interrupted(collect(stream))
        await collect(stream)
    assert given.getvalue() == BODY


async def test_an_interrupted_read_of_a_file_begins_again(tiny: Tiny):
    tiny.cluster.add("key", BODY, replicas=1)
    tiny.storages[0].on["GET"] = once(half)
    async with AsyncClient("d", tiny.addresses) as client, client.open("key") as file:
        await interrupted(file.read(len(BODY) - 5))
        assert file.tell() == 0
        assert await file.read(len(BODY) - 5) == BODY[:-5]
        assert await file.read() == BODY[-5:]


def test_a_failed_read_of_a_file_begins_again(face: MakeClient, tiny: Tiny):
    def breaks(connection: Connection, request: HttpRequest, proper: bytes) -> None:
        connection.send(proper[: len(proper) // 2])
        connection.reset()

    tiny.cluster.add("key", BODY, replicas=1)
    tiny.storages[0].on["GET"] = once(breaks)
    with face("d", tiny.addresses).open("key") as file:
        with pytest.raises(StorageUnavailable):
            file.read()
        assert file.read() == BODY


def test_an_error_whose_text_never_ends_costs_its_connection(face: MakeClient, tiny: Tiny):
    closed = threading.Event()

    def endless(connection: Connection, request: HttpRequest, proper: bytes) -> None:
        connection.send(response(404, b"gone", length=100))
        if not connection.sock.recv(1):
            closed.set()

    tiny.cluster.add("key", BODY)
    tiny.storages[0].on["GET"] = endless
    client = face("d", tiny.addresses, timeout=0.3)
    assert client.read("key") == BODY
    assert closed.wait(5)
