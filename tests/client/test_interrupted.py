"""Reading that was interrupted goes on with the right bytes, and nothing of it is left open."""

from __future__ import annotations

import asyncio
import io
import itertools
import linecache
import socket
import sys
import threading
from collections.abc import Awaitable
from contextlib import suppress
from types import FrameType
from typing import Any, TypeVar

import pytest

from mogilefs import AsyncClient, Client, StorageUnavailable, UnknownCommand
from mogilefs.client import BlockingLink, BlockingNetwork, run
from mogilefs.config import Config
from mogilefs.download import Download
from mogilefs.files import Cursor
from mogilefs.steps import CHUNK
from tests.client.conftest import MakeClient, Tiny
from tests.support.farm import until
from tests.support.misbehaving import Connection, HttpRequest, Server, once, response

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


async def test_who_waits_for_a_stream_that_is_closed_is_told(tiny: Tiny):
    tiny.cluster.add("key", BODY, replicas=1)
    tiny.storages[0].on["GET"] = half

    async def read(stream: Any) -> None:
        async for _ in stream:
            half_has_come.set()

    half_has_come = asyncio.Event()
    async with AsyncClient("d", tiny.addresses) as client:
        stream = client.stream("key")
        reader = asyncio.create_task(read(stream))
        await half_has_come.wait()
        await asyncio.sleep(0.1)  # it waits for more
        await stream.close()
        with pytest.raises(ValueError, match="closed before its end"):
            await reader


async def test_two_tasks_do_not_wait_for_the_same_bytes(tiny: Tiny):
    tiny.cluster.add("key", BODY, replicas=1)
    tiny.storages[0].on["GET"] = half

    async def read(stream: Any) -> None:
        async for _ in stream:
            pass

    async with AsyncClient("d", tiny.addresses, timeout=0.5) as client:
        stream = client.stream("key")
        await anext(stream)
        errors = await asyncio.gather(read(stream), read(stream), return_exceptions=True)
    assert {type(error) for error in errors} == {RuntimeError, StorageUnavailable}


async def test_what_is_made_of_a_client_that_goes_leaves_no_connection(tiny: Tiny):
    def client() -> AsyncClient:
        return AsyncClient("d", tiny.addresses)

    async def use_what_is_made() -> None:
        assert b"".join([chunk async for chunk in client().stream("key")]) == BODY
        async with client().open("key") as file:
            assert await file.read() == BODY
        with suppress(UnknownCommand):
            await client().admin.clear_cache()

    tiny.cluster.add("key", BODY)
    await use_what_is_made()
    await asyncio.to_thread(until, lambda: not any(map(is_used, tiny.servers)))


def is_used(server: Server) -> bool:
    return server.open_connections > 0


def breaks(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    connection.send(proper[: len(proper) // 2])
    connection.reset()


def test_a_failed_read_of_a_file_begins_again(face: MakeClient, tiny: Tiny):
    tiny.cluster.add("key", BODY, replicas=1)
    tiny.storages[0].on["GET"] = once(breaks)
    with face("d", tiny.addresses).open("key") as file:
        with pytest.raises(StorageUnavailable):
            file.read()
        assert file.read() == BODY


@pytest.mark.parametrize("size", [-1, 500_000])
def test_a_failed_read_does_not_cost_what_was_buffered(face: MakeClient, tiny: Tiny, size: int):
    tiny.cluster.add("key", BODY, replicas=1)
    tiny.storages[0].on["GET"] = once(breaks)
    with face("d", tiny.addresses).open("key") as file:
        assert file.read(10) == BODY[:10]
        with pytest.raises(StorageUnavailable):
            file.read(len(BODY) - 20)
        assert file.tell() == 10
        assert file.read(size) == BODY[10:][: size if size > 0 else None]


LINES = b"".join(b"%0*d\n" % (number, number) for number in range(1200))


@pytest.mark.parametrize(
    "read",
    [
        lambda file: file.read(70_000),
        lambda file: file.read1(70_000),
        lambda file: file.readline(),
        lambda file: next(file),
        lambda file: file.readinto(bytearray(70_000)),
        lambda file: file.readinto1(bytearray(70_000)),
        lambda file: file.readlines(),
        lambda file: file.readlines(70_000),
    ],
)
def test_whichever_way_of_reading_fails_nothing_of_it_is_lost(tiny: Tiny, read: Any):
    tiny.cluster.add("key", LINES, replicas=1)
    with Client("d", tiny.addresses) as client, client.open("key") as file:
        file.seek(1000)
        assert file.read(10) == LINES[1000:1010]
        tiny.storages[0].on["GET"] = breaks
        at = file.tell()

        def read_on() -> None:
            nonlocal at
            while at < len(LINES):
                at = file.tell()
                read(file)

        with pytest.raises(StorageUnavailable):
            read_on()
        assert file.tell() == at
        del tiny.storages[0].on["GET"]
        read(file)
        at = file.tell()
        assert file.read() == LINES[at:]


def test_a_line_that_could_not_be_read_is_read_later(tiny: Tiny):
    tiny.cluster.add("key", b"x" * 500_000 + b"\nend", replicas=1)
    tiny.storages[0].on["GET"] = once(breaks)
    with Client("d", tiny.addresses) as client, client.open("key") as file:
        assert file.read(10) == b"x" * 10
        with pytest.raises(StorageUnavailable):
            next(file)
        assert file.tell() == 10
        assert list(file) == [b"x" * 499_990 + b"\n", b"end"]


def test_a_file_is_read_again_when_its_replicas_are_back(face: MakeClient, tiny: Tiny):
    tiny.cluster.add("key", BODY, replicas=1)
    with face("d", tiny.addresses).open("key") as file:
        assert file.read(100_000) == BODY[:100_000]
        tiny.storages[0].on["GET"] = lambda connection, request, proper: connection.reset()
        file.seek(MIDDLE)
        with pytest.raises(StorageUnavailable):
            file.read(1000)
        del tiny.storages[0].on["GET"]
        assert file.read(1000) == BODY[MIDDLE : MIDDLE + 1000]


class Signal(BaseException):
    """What a handler raises."""


class SignalledLink(BlockingLink):
    """Has a signal come when bytes have, once there is one."""

    coming = False

    def receive(self, limit: int = CHUNK) -> bytes:
        data = super().receive(limit)
        if SignalledLink.coming:
            SignalledLink.coming = False
            raise Signal
        return data


class SignalledNetwork(BlockingNetwork):
    def connect(self, host: str, port: int) -> BlockingLink:
        return SignalledLink(socket.create_connection((host, port)))


class SignalledClient(Client):
    def _network(self, config: Config) -> BlockingNetwork:
        return SignalledNetwork(config.connect_timeout, config.timeout)


def test_what_a_signal_tore_from_a_connection_is_not_missing(tiny: Tiny):
    tiny.cluster.add("key", BODY, replicas=1)
    with SignalledClient("d", tiny.addresses) as client, client.open("key") as file:
        first = file.read(1000)
        SignalledLink.coming = True
        with pytest.raises(Signal):
            file.read()
        assert file.tell() == 1000
        assert first + file.read() == BODY


def test_a_stream_that_a_signal_interrupted_goes_on(tiny: Tiny):
    tiny.cluster.add("key", BODY, replicas=1)
    with SignalledClient("d", tiny.addresses) as client, client.stream("key") as stream:
        chunks = [next(stream)]
        SignalledLink.coming = True
        with pytest.raises(Signal):
            chunks.extend(stream)
        assert b"".join([*chunks, *stream]) == BODY


class SignalAtLine:
    """Has a signal come at the n-th line that the reading of a file passes, where it waits not."""

    CODES = (run.__code__, Download.read.__code__, Cursor.read_whole.__code__)

    def __init__(self, number: int) -> None:
        self.left = number

    def __enter__(self) -> None:
        sys.settrace(self._enter)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._pass if frame.f_code in self.CODES else None

    def _pass(self, frame: FrameType, event: str, argument: Any) -> Any:
        source = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        if event == "line" and source != "try:":  # where no instruction is, no signal comes
            self.left -= 1
            if not self.left:
                sys.settrace(None)
                raise Signal
        return self._pass


@pytest.mark.parametrize("limit", [-1, 300_000, 1000])
def test_a_signal_between_two_waits_costs_a_file_nothing(tiny: Tiny, limit: int):
    tiny.cluster.add("key", BODY, replicas=1)
    with Client("d", tiny.addresses) as client:
        for number in itertools.count(1):
            with client.open("key") as file:
                file.read(1000)
                try:
                    with SignalAtLine(number):
                        file.read(limit)
                except Signal:
                    assert file.tell() == 1000
                else:
                    break
                assert file.read() == BODY[1000:]
    assert number > 5 or limit == 1000


def test_a_signal_between_two_waits_costs_a_stream_nothing(tiny: Tiny):
    tiny.cluster.add("key", BODY, replicas=1)
    with Client("d", tiny.addresses) as client:
        for number in itertools.count(1):
            with client.stream("key") as stream:
                chunks = [next(stream)]
                try:
                    with SignalAtLine(number):
                        chunks.append(next(stream))
                except Signal:
                    chunks.extend(stream)
                    assert b"".join(chunks) == BODY
                else:
                    break
    assert number > 5


async def test_who_waits_for_a_file_that_is_closed_is_told(tiny: Tiny):
    asked, closed = threading.Event(), threading.Event()

    def answer_late(connection: Connection, request: object, proper: bytes) -> None:
        asked.set()
        assert closed.wait(10)
        connection.send(proper)

    tiny.cluster.add("key", BODY)
    tiny.tracker.on["file_info"] = answer_late
    async with AsyncClient("d", tiny.addresses) as client:
        file = client.open("key")
        reading = asyncio.create_task(file.read(100))
        await asyncio.to_thread(asked.wait, 10)
        await file.close()
        closed.set()
        with pytest.raises(ValueError, match="closed file"):
            await reading
    assert not any(storage.requests for storage in tiny.storages)


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
