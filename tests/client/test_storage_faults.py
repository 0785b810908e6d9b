"""Storage nodes that fail, lie or stall: another replica or device does it, or the error says."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mogilefs import ContentMismatch, KeyExists, StorageUnavailable, UploadRejected
from mogilefs.errors import NoDevice, ProtocolError
from tests.client.conftest import MakeClient, Tiny
from tests.support.misbehaving import (
    Behaviour,
    Connection,
    HttpRequest,
    TinyStorage,
    once,
    response,
)

BODY = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
def client(tiny: Tiny, face: MakeClient, request: pytest.FixtureRequest) -> Any:
    stalls = "stall" in request.node.name
    return face("d", tiny.addresses, timeout=1.0 if stalls else 10.0)


def refuse(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    connection.send(response(500, b"disk on fire"))


def close(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    connection.close()


def reset_in_the_middle(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    connection.send(proper[: len(proper) // 2])
    connection.reset()


def half_with_right_length(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    connection.send(proper[: len(proper) // 2])
    connection.close()


def half_with_its_own_length(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    connection.send(response(200, BODY[: len(BODY) // 2]))


def half_without_length(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    connection.send(b"HTTP/1.0 200 OK\r\n\r\n" + BODY[: len(BODY) // 2])
    connection.close()


def too_much(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    connection.send(response(200, BODY + b"more"))


def stall_in_the_middle(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    connection.send(proper[: len(proper) // 2])
    connection.sock.recv(1)  # until the client gives up


def garbage(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    connection.send(b"220 mail.example ESMTP\r\n\r\n")


def another_range(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    told = f"Content-Range: bytes 5-9/{len(BODY)}"
    connection.send(response(206, BODY[5:10], told))


READ_FAULTS: list[Behaviour] = [
    refuse,
    close,
    reset_in_the_middle,
    half_with_right_length,
    half_with_its_own_length,
    half_without_length,
    too_much,
    stall_in_the_middle,
    garbage,
    another_range,
]


@pytest.mark.parametrize("fault", READ_FAULTS)
def test_another_replica_goes_on(client: Any, tiny: Tiny, fault: Behaviour) -> None:
    tiny.cluster.add("key", BODY)
    tiny.storages[0].on["GET"] = fault
    assert client.read("key") == BODY
    assert tiny.storages[1].requests


@pytest.mark.parametrize("fault", READ_FAULTS)
def test_never_a_short_file(client: Any, tiny: Tiny, fault: Behaviour, tmp_path: Path) -> None:
    tiny.cluster.add("key", BODY)
    for storage in tiny.storages:
        storage.on["GET"] = fault
    with pytest.raises(StorageUnavailable) as raised:
        client.read("key")
    assert list(raised.value.reasons) == tiny.cluster.files["key"].urls
    with pytest.raises(StorageUnavailable):
        client.download("key", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_more_bytes_than_the_tracker_says_without_a_length(client: Any, tiny: Tiny) -> None:
    def endless(connection: Connection, request: HttpRequest, proper: bytes) -> None:
        connection.send(b"HTTP/1.0 200 OK\r\n\r\n" + BODY + b"more")
        connection.close()

    tiny.cluster.add("key", BODY)
    for storage in tiny.storages:
        storage.on["GET"] = endless
    with pytest.raises(StorageUnavailable, match="goes on after"):
        client.read("key")


def reset_at_the_end(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    connection.send(proper.replace(b"Content-Length", b"X-Length"))
    connection.reset()


def stall_at_the_end(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    connection.send(proper.replace(b"Content-Length", b"X-Length"))
    connection.sock.recv(1)


@pytest.mark.parametrize("fault", [reset_at_the_end, stall_at_the_end])
def test_whoever_breaks_after_the_last_byte_has_given_all(
    client: Any, tiny: Tiny, fault: Behaviour
) -> None:
    tiny.cluster.add("key", b"small enough to arrive before a reset", replicas=1)
    tiny.storages[0].on["GET"] = fault
    assert client.read("key") == b"small enough to arrive before a reset"
    assert b"".join(client.stream("key")) == client.read("key")


@pytest.mark.parametrize("fault", [reset_in_the_middle, stall_in_the_middle])
def test_a_download_goes_on_from_where_it_broke_off(
    client: Any, tiny: Tiny, fault: Behaviour, tmp_path: Path
) -> None:
    tiny.cluster.add("key", BODY)
    tiny.storages[0].on["GET"] = fault
    client.download("key", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY
    resumed = tiny.storages[1].requests[0].headers["range"]
    start = int(resumed.removeprefix("bytes=").rstrip("-"))
    assert 0 < start <= len(BODY) // 2


def test_a_server_that_knows_no_ranges_is_skipped_through(client: Any, tiny: Tiny) -> None:
    def whole(connection: Connection, request: HttpRequest, proper: bytes) -> None:
        connection.send(response(200, BODY))

    tiny.cluster.add("key", BODY)
    for storage in tiny.storages:
        storage.on["GET"] = whole
    assert b"".join(client.stream("key", start=1000, stop=600_000)) == BODY[1000:600_000]


@pytest.mark.parametrize(
    "wanted", [(len(BODY), None), (len(BODY) + 5, None), (9, 9), (9, 5)], ids=str
)
def test_a_range_of_nothing_of_a_file_whose_size_was_not_told(
    client: Any, tiny: Tiny, wanted: tuple[int, int | None]
) -> None:
    def unsatisfiable(connection: Connection, request: HttpRequest, proper: bytes) -> None:
        connection.send(response(416, b""))

    stored = tiny.cluster.add("key", BODY)
    for storage in tiny.storages:
        storage.on["GET"] = unsatisfiable
    start, stop = wanted
    assert list(client.stream("key", start=start, stop=stop, paths=stored.urls)) == []


def test_paths_that_are_out_of_date_are_asked_for_again(client: Any, tiny: Tiny) -> None:
    stored = tiny.cluster.add("key", BODY)
    stale = [stored.urls[0].replace("/dev1/", "/dev9/")]
    assert b"".join(client.stream("key", paths=stale, size=len(BODY))) == BODY
    assert "get_paths" in tiny.tracker.commands


def test_a_file_that_was_replaced_is_not_mixed_with_the_old_one(client: Any, tiny: Tiny) -> None:
    old = tiny.cluster.add("key", BODY, replicas=1)

    def replaced(connection: Connection, request: HttpRequest, proper: bytes) -> None:
        tiny.cluster.add("key", BODY[::-1])
        connection.send(proper[: len(proper) // 2])
        connection.reset()

    tiny.storages[0].on["GET"] = once(replaced)
    chunks: list[bytes] = []
    with pytest.raises(StorageUnavailable):
        chunks.extend(client.stream("key", paths=old.urls, size=len(BODY)))
    assert BODY.startswith(b"".join(chunks))


def test_a_replica_on_a_host_that_is_down(client: Any, tiny: Tiny) -> None:
    stored = tiny.cluster.add("key", BODY)
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    stored.urls.insert(0, f"http://127.0.0.1:{port}/dev3/0/000/000/0000000001.fid")
    assert client.read("key") == BODY
    assert client.read("key") == BODY
    assert len(tiny.storages[0].requests) == 2


def stall(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    connection.sock.recv(1)  # until the client gives up and closes


@pytest.mark.parametrize("fault", [stall, stall_in_the_middle])
def test_a_host_that_stalls_is_asked_last_for_a_while(
    client: Any, tiny: Tiny, monkeypatch: pytest.MonkeyPatch, fault: Behaviour
) -> None:
    monkeypatch.setattr("mogilefs.pool.FIRST_PAUSE", 60.0)
    stored = tiny.cluster.add("key", BODY)
    stored.urls.append("ftp://elsewhere/dev1/x.fid")
    assert client.read("key") == BODY  # and so a connection is kept
    tiny.storages[0].on["GET"] = tiny.storages[0].on["PUT"] = fault
    for _ in range(3):
        assert client.read("key") == BODY
    client.store("other", BODY)
    assert [request.method for request in tiny.storages[0].requests] == ["GET", "GET"]


def test_no_replica_left(client: Any, tiny: Tiny) -> None:
    tiny.cluster.add("key", BODY, replicas=0)
    with pytest.raises(StorageUnavailable, match="key"):
        client.read("key")
    assert client.paths("key") == []


def test_a_tracker_that_gives_no_url(client: Any, tiny: Tiny) -> None:
    stored = tiny.cluster.add("key", BODY)
    stored.urls[:0] = ["ftp://elsewhere/dev1/x.fid", "http://a..b/dev1/x.fid"]
    assert client.read("key") == BODY


# Uploads

WRITE_FAULTS: list[Behaviour] = [refuse, close, garbage]


class OneWay(io.RawIOBase):
    """Gives its bytes once, cannot go back."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._rest = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._rest.readinto(buffer)


CONTENTS: list[Callable[[], Any]] = [
    lambda: BODY,
    lambda: io.BytesIO(BODY),
    lambda: io.BufferedReader(OneWay(BODY)),
    lambda: iter([BODY[:1000], BODY[1000:]]),
]


@pytest.mark.parametrize("content", CONTENTS, ids=["bytes", "file", "pipe", "iterator"])
@pytest.mark.parametrize("fault", WRITE_FAULTS)
def test_the_next_device_takes_it(
    client: Any, tiny: Tiny, fault: Behaviour, content: Callable[[], Any]
) -> None:
    tiny.storages[0].on["PUT"] = fault
    client.store("key", content(), checksum="MD5")
    assert tiny.tracker.commands == ["create_open", "create_close"]
    assert client.read("key") == BODY


@pytest.mark.parametrize("content", CONTENTS, ids=["bytes", "file", "pipe", "iterator"])
def test_a_device_that_resets_in_the_middle_of_the_upload(
    client: Any, tiny: Tiny, content: Callable[[], Any]
) -> None:
    def reset(connection: Connection, request: HttpRequest, proper: bytes) -> None:
        connection.receive_exactly(1000)
        connection.reset()

    tiny.storages[0].on["PUT head"] = reset
    client.store("key", content())
    assert client.read("key") == BODY


def test_after_all_devices_failed_others_are_asked_for(client: Any, tiny: Tiny) -> None:
    for storage in tiny.storages:
        storage.on["PUT"] = once(refuse)
    client.store("key", io.BytesIO(BODY))
    assert tiny.tracker.commands == ["create_open", "create_open", "create_close"]
    assert client.read("key") == BODY


def test_no_device_takes_it(client: Any, tiny: Tiny) -> None:
    for storage in tiny.storages:
        storage.on["PUT"] = refuse
    file = io.BytesIO(BODY)
    with pytest.raises(StorageUnavailable, match="answered 500") as raised:
        client.store("key", file)
    assert len(raised.value.reasons) == len(tiny.storages) * tiny.tracker.commands.count(
        "create_open"
    )
    assert not file.closed
    assert not client.exists("key")


def test_a_tracker_without_devices(client: Any, tiny: Tiny) -> None:
    def full(connection: Connection, request: Any, proper: bytes) -> None:
        connection.send(b"ERR no_devices none%20left " + request.args["callid"].encode() + b"\r\n")

    tiny.tracker.on["create_open"] = full
    with pytest.raises(NoDevice):
        client.store("key", BODY)


def test_an_empty_file_says_content_length_0(client: Any, tiny: Tiny) -> None:
    client.store("key", b"")
    put = tiny.storages[0].requests[0]
    assert put.headers["content-length"] == "0"
    assert "transfer-encoding" not in put.headers


@pytest.mark.parametrize("error", [ProtocolError("garbage"), OSError("worn out")])
def test_a_source_that_fails_is_not_blamed_on_a_device(
    client: Any, tiny: Tiny, error: Exception
) -> None:
    class Broken(io.BytesIO):
        def read(self, limit: int | None = -1) -> bytes:
            raise error

    with pytest.raises(type(error)) as raised:
        client.store("key", Broken(BODY))
    assert raised.value is error
    assert tiny.tracker.commands == ["create_open"]


@pytest.mark.parametrize("status", [200, 201, 204])
def test_every_kind_of_success_counts(client: Any, tiny: Tiny, status: int) -> None:
    def taken(connection: Connection, request: HttpRequest, proper: bytes) -> None:
        connection.send(response(status, b""))

    tiny.storages[0].on["PUT"] = taken
    client.store("key", BODY)
    assert len(tiny.storages[1].requests) == 0


def lose_some(storage: TinyStorage) -> None:
    """Let it say that it took a file, and keep one byte less."""

    def lose(connection: Connection, request: HttpRequest, proper: bytes) -> None:
        storage.bodies[request.path] = request.body[:-1]
        connection.send(proper)

    storage.on["PUT"] = lose


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_device_that_keeps_other_bytes_is_passed_over(
    client: Any, tiny: Tiny, overwrite: bool
) -> None:
    lose_some(tiny.storages[0])
    info = client.store("key", BODY, overwrite=overwrite)
    assert client.read("key") == BODY
    assert [len(storage.requests) for storage in tiny.storages] == [1, 2]
    assert list(tiny.cluster.files) == ["key"]
    assert client.info("key").fid == info.fid


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_size_that_all_storage_counted_otherwise_is_an_error(
    client: Any, tiny: Tiny, overwrite: bool
) -> None:
    for storage in tiny.storages:
        lose_some(storage)
    with pytest.raises(UploadRejected) as raised:
        client.store("key", BODY, overwrite=overwrite)
    assert raised.value.code == "size_mismatch"
    assert not tiny.cluster.files
    assert tiny.tracker.commands.count("create_open") == 3


def test_a_file_that_shrinks_or_grows_while_it_is_stored(client: Any, tiny: Tiny) -> None:
    class Liar(io.BytesIO):
        def seek(self, offset: int, whence: int = 0) -> int:
            at = super().seek(offset, whence)
            if whence == io.SEEK_END:
                at = super().seek(at + self.lie)
            return at

        def tell(self) -> int:
            return super().tell()

    for lie in (5, -5):
        file = Liar(BODY)
        file.lie = lie
        with pytest.raises(ContentMismatch):
            client.store("key", file)
    assert not client.exists("key")


# Storing without overwriting


def test_one_who_is_overtaken_leaves_nothing_behind(client: Any, tiny: Tiny) -> None:
    def overtaken(connection: Connection, request: HttpRequest, proper: bytes) -> None:
        tiny.cluster.add("key", b"first")
        connection.send(proper)

    tiny.storages[0].on["PUT"] = overtaken
    with pytest.raises(KeyExists):
        client.store("key", BODY, overwrite=False)
    assert list(tiny.cluster.files) == ["key"]
    assert tiny.tracker.commands == [
        *("file_info", "create_open", "create_close", "rename", "delete")
    ]


def test_what_is_replaced_after_all_is_there_until_the_new_file_is(client: Any, tiny: Tiny) -> None:
    def overtaken(connection: Connection, request: HttpRequest, proper: bytes) -> None:
        tiny.cluster.add("key", b"first")
        for storage in tiny.storages:
            storage.on["PUT"] = refuse
        connection.send(proper)

    tiny.storages[0].on["PUT"] = overtaken
    with pytest.raises(StorageUnavailable):
        client.store("key", BODY, overwrite=False, alternative=str)
    assert client.read("key") == b"first"
    assert list(tiny.cluster.files) == ["key"]


def test_a_private_key_is_deleted_when_the_rename_fails(client: Any, tiny: Tiny) -> None:
    def lost(connection: Connection, request: Any, proper: bytes) -> None:
        connection.close()

    tiny.tracker.on["rename"] = once(lost)
    tiny.tracker.do_rename = lambda args: tiny.tracker.do_noop(args)  # type: ignore[method-assign] # the rename is never carried out
    with pytest.raises(ConnectionError):
        client.store("key", BODY, overwrite=False)
    assert not tiny.cluster.files


def test_a_taken_key_costs_no_upload(client: Any, tiny: Tiny) -> None:
    tiny.cluster.add("key", b"first")
    with pytest.raises(KeyExists):
        client.store("key", BODY, overwrite=False)
    assert not any(request.method == "PUT" for request in tiny.storages[0].requests)
    assert "rename" not in tiny.tracker.commands


# Connections


def test_a_storage_node_that_closes_after_each_answer(client: Any, tiny: Tiny) -> None:
    def http_1_0(connection: Connection, request: HttpRequest, proper: bytes) -> None:
        connection.send(proper.replace(b"HTTP/1.1", b"HTTP/1.0"))
        connection.close()

    tiny.cluster.add("key", BODY)
    for storage in tiny.storages:
        storage.on["GET"] = storage.on["PUT"] = http_1_0
    for _ in range(3):
        assert client.read("key") == BODY
        client.store("other", BODY)
    assert client.read("other") == BODY


def test_http_1_0_with_keep_alive_keeps_its_connection(client: Any, tiny: Tiny) -> None:
    def kept(connection: Connection, request: HttpRequest, proper: bytes) -> None:
        old = proper.replace(
            b"HTTP/1.1 200 x\r\n", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"
        )
        connection.send(old)

    tiny.cluster.add("key", BODY)
    tiny.storages[0].on["GET"] = kept
    for _ in range(3):
        assert client.read("key") == BODY
    assert tiny.storages[0].connections == 1


def test_an_idle_connection_that_ended_is_not_used(client: Any, tiny: Tiny) -> None:
    tiny.cluster.add("key", BODY)
    tiny.cluster.add("gone", BODY)
    assert client.read("key") == BODY
    for server in (tiny.tracker, tiny.storages[0]):
        server.drop_connections()
    assert client.read("key") == BODY
    tiny.tracker.drop_connections()
    client.delete("gone")
    tiny.storages[0].drop_connections()
    client.store("key", BODY)


def test_bytes_after_the_body_cost_the_connection(client: Any, tiny: Tiny) -> None:
    def chatty(connection: Connection, request: HttpRequest, proper: bytes) -> None:
        connection.send(proper + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")

    tiny.cluster.add("key", BODY)
    tiny.storages[0].on["GET"] = chatty
    for _ in range(3):
        assert client.read("key") == BODY
    assert tiny.storages[0].connections == 3


def test_the_head_may_come_byte_by_byte(client: Any, tiny: Tiny) -> None:
    def slowly(connection: Connection, request: HttpRequest, proper: bytes) -> None:
        head, _, body = proper.partition(b"\r\n\r\n")
        for byte in b"HTTP/1.1 100 Continue\r\n\r\n" + head + b"\r\n\r\n":
            connection.send(bytes([byte]))
        connection.send(body)

    tiny.cluster.add("key", b"body")
    tiny.storages[0].on["GET"] = slowly
    assert client.read("key") == b"body"
