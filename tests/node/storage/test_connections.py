"""How the door treats its clients: bodies in pieces, slow ones, many of them, those who go away."""

import asyncio
import base64
import contextlib
import hashlib
import os
import socket

import pytest

from mogilefs.node.networks import Networks
from mogilefs.node.storage import Limits, StorageDoor
from tests.support.conversation import ask, converse, put, read_reply, read_until_closed

FILE = "/dev1/0/000/000/0000000001.fid"
OTHER = "/dev2/0/000/000/0000000002.fid"


def get(url, *fields):
    return "\r\n".join([f"GET {url} HTTP/1.1", "Host: x", *fields, "", ""]).encode()


@contextlib.asynccontextmanager
async def connected(door):
    reader, writer = await asyncio.open_connection(*door.address)
    try:
        yield reader, writer
    finally:
        writer.close()


async def until(condition):
    """Wait until something that the door does on its own has happened."""
    while not condition():
        await asyncio.sleep(0.005)


SIZES = [0, 1, 4096, 128 * 1024, 128 * 1024 + 1, 256 * 1024 + 7, 9 * 2**20 + 5]


@pytest.mark.parametrize("size", SIZES)
async def test_every_size_comes_back_as_it_went_in(door, devices, size):
    content = os.urandom(size)
    async with connected(door) as (reader, writer):
        for request in [put(FILE, content), get(FILE), get(FILE, "Range: bytes=1-", "X: y")]:
            writer.write(request)
        assert (await read_reply(reader)).status == 200
        assert (await read_reply(reader)).body == content
        assert (await read_reply(reader)).body == content[1:]
    assert devices.path(1, 1).read_bytes() == content


async def test_clients_that_ask_at_once_get_their_own_replies_in_order(door, devices):
    small, large = os.urandom(100_000), os.urandom(300_000)
    for url, content in [(FILE, small), (OTHER, large)]:
        assert (await ask(door.address, put(url, content))).status == 200
    requests = [get(FILE), get(OTHER), get(FILE), get("/nothing"), get(FILE, "Connection: close")]
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(door)) for _ in range(20)]
        for _, writer in clients:
            writer.write(b"".join(requests))
        for reader, _ in clients:
            replies = [await read_reply(reader) for _ in requests]
            assert [reply.status for reply in replies] == [200, 200, 200, 404, 200]
            assert [replies[number].body for number in (0, 1, 2, 4)] == [small, large, small, small]
            assert await reader.read() == b""


@pytest.mark.parametrize("size", [10, 300_000, 5 * 2**20])
async def test_chunks_of_any_size_make_up_one_file(door, devices, size):
    content = os.urandom(size)
    async with connected(door) as (reader, writer):
        writer.write(
            f"PUT {FILE} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        for start in range(0, size, 77_777):
            piece = content[start : start + 77_777]
            writer.write(f"{len(piece):x};an=extension\r\n".encode() + piece + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\nX-Trailer: yes\r\n\r\n" + get(FILE))
        assert (await read_reply(reader)).status == 200
        assert (await read_reply(reader)).body == content


async def test_a_large_upload_is_checked_against_its_md5(door, devices, files):
    content = os.urandom(2**20)
    md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
    field = f"Content-MD5: {md5}"
    assert (await ask(door.address, put(FILE, content, field))).status == 201
    assert (await ask(door.address, put(FILE, content[::-1], field))).status == 400
    assert devices.path(1, 1).read_bytes() == content
    assert files(devices.root) == [FILE[1:]]


async def test_one_who_expects_a_word_gets_it_before_the_body(door, devices):
    async with connected(door) as (reader, writer):
        writer.write(put(FILE, b"later", "Expect: 100-continue")[:-5])
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"later" + get(FILE))
        assert (await read_reply(reader)).status == 200
        assert (await read_reply(reader)).body == b"later"


async def test_one_who_expects_a_word_is_refused_before_the_body(door):
    async with connected(door) as (reader, writer):
        writer.write(put("/dev9" + FILE[5:], b"x" * 2**21, "Expect: 100-continue")[: -(2**21)])
        assert (await reader.readline()).startswith(b"HTTP/1.1 404 ")


async def test_a_refused_upload_does_not_cost_the_connection(door):
    async with connected(door) as (reader, writer):
        writer.write(put("/dev9" + FILE[5:], b"x" * 200_000) + get("/"))
        assert (await read_reply(reader)).status == 404
        assert (await read_reply(reader)).status == 200


async def test_a_refused_large_upload_is_answered_while_it_is_sent(door):
    async with connected(door) as (reader, writer):
        writer.write(put("/dev9" + FILE[5:], b"x" * 2**24))
        await writer.drain()
        reply = await read_reply(reader)
        assert (reply.status, reply.headers["Connection"]) == (404, "close")
        assert await reader.read() == b""


async def test_requests_sent_ahead_are_answered_in_order(door, devices):
    large = os.urandom(400_000)
    async with connected(door) as (reader, writer):
        for _ in range(20):
            writer.write(put(FILE, large) + get(FILE) + put(OTHER, b"small") + get(OTHER))
            writer.write(
                get("/dev1/nothing") + f"DELETE {OTHER} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            )
        writer.write_eof()
        for _ in range(20):
            statuses = [(await read_reply(reader)) for _ in range(6)]
            assert [reply.status for reply in statuses] == [200, 200, 200, 200, 404, 204]
            assert (statuses[1].body, statuses[3].body) == (large, b"small")
        assert await reader.read() == b""


UPGRADE = ("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABk")


@pytest.mark.parametrize("framing", ["known length", "chunked", "none"])
async def test_one_who_would_like_another_protocol_is_served_in_this_one(door, devices, framing):
    asked = [put(OTHER, b"after")]
    if framing == "chunked":
        head = [f"PUT {FILE} HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", *UPGRADE]
        asked.insert(0, "\r\n".join([*head, "", ""]).encode() + b"4\r\nwhol\r\n1\r\ne\r\n0\r\n\r\n")
    else:
        content = b"whole" if framing == "known length" else b""
        asked.insert(0, put(FILE, content, *UPGRADE))
    asked.append(get(FILE, *UPGRADE, "X: y"))
    for packets in ([b"".join(asked)], [bytes([byte]) for byte in b"".join(asked)]):
        async with connected(door) as (reader, writer):
            for packet in packets:
                writer.write(packet)
                await writer.drain()
            replies = [await read_reply(reader) for _ in asked]
            assert [reply.status for reply in replies] == [200, 200, 200]
            assert replies[2].body == (b"" if framing == "none" else b"whole")
        assert devices.path(2, 2).read_bytes() == b"after"
        devices.path(1, 1).unlink()


async def test_a_tunnel_is_refused(door):
    told = await converse(door.address, b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert told.startswith(b"HTTP/1.1 40")


async def test_an_upload_that_breaks_off_leaves_the_old_file(door, devices, files):
    await ask(door.address, put(FILE, b"old"))
    for size in (100, 500_000):
        async with connected(door) as (_, writer):
            writer.write(put(FILE, b"x" * size)[:-10])
            await writer.drain()
            await until(lambda: len(files(devices.root)) == 2)
        await until(lambda: files(devices.root) == [FILE[1:]])
        assert devices.path(1, 1).read_bytes() == b"old"


async def test_an_unfinished_upload_cannot_be_seen(door, devices):
    async with connected(door) as (reader, writer):
        writer.write(put(FILE, b"x" * 1000)[:-10])
        await writer.drain()
        await until(lambda: list((devices.root / "dev1").iterdir()))
        assert (await ask(door.address, get(FILE))).status == 404
        writer.write(b"x" * 10)
        assert (await read_reply(reader)).status == 200
        assert (await ask(door.address, get(FILE))).body == b"x" * 1000


def open_files():
    return len(os.listdir("/proc/self/fd"))


async def test_clients_who_go_away_leave_nothing_open(door, devices):
    devices.path(1, 1).parent.mkdir(parents=True)
    devices.path(1, 1).write_bytes(b"x" * 2**24)
    before = open_files()
    for request in [get(FILE), put(OTHER, b"y" * 2**20)[:-1], get(FILE)[:-3], b"GET"]:
        for _ in range(5):
            async with connected(door) as (reader, writer):
                writer.write(request)
                await writer.drain()
                if request == get(FILE):
                    await reader.readexactly(1000)
                writer.transport.abort()
    await until(lambda: not door.connections and open_files() <= before)


async def test_a_reader_who_stops_is_dropped_and_his_file_closed(open_door, devices):
    door = await open_door(limits=Limits(write_seconds=0.1))
    devices.path(1, 1).parent.mkdir(parents=True)
    devices.path(1, 1).write_bytes(b"x" * 2**26)
    before = open_files()
    async with connected(door) as (_, writer):
        writer.transport.pause_reading()
        writer.write(get(FILE))
        await until(lambda: door.answers[b"GET", b"200"])
        # what is left is the client's own end
        await until(lambda: not door.connections and open_files() <= before + 1)
    assert (await ask(door.address, get(FILE, "Range: bytes=0-9"))).status == 206


async def test_a_reader_who_stops_pipelining_small_files_is_dropped(open_door):
    door = await open_door(limits=Limits(write_seconds=0.1))
    await ask(door.address, put(FILE, b"x" * 100_000))
    async with connected(door) as (_, writer):
        writer.transport.pause_reading()
        writer.write(get(FILE) * 1000)
        await until(lambda: door.answers[b"GET", b"200"])
        await until(lambda: not door.connections)


async def test_a_head_that_does_not_end_in_time_is_dropped(open_door):
    door = await open_door(limits=Limits(head_seconds=0.1))
    got = await read_until_closed(door.address, b"GET /dev1/us")
    assert got.startswith(b"HTTP/1.1 408 ")


async def test_a_body_that_comes_too_slowly_is_dropped(open_door, devices, files):
    door = await open_door(limits=Limits(body_seconds=60, body_rate=1))
    async with connected(door) as (reader, writer):
        writer.write(put(FILE, b"x" * 1000)[:-1000])
        await until(lambda: incoming(devices))
        writer.write(b"x" * 79)
        await until(lambda: bytes_written(devices) == 79)
        look_after(door, seconds=80)
        assert (await reader.read(1000)).startswith(b"HTTP/1.1 408 ")
    assert files(devices.root) == []


async def test_a_steady_body_may_take_longer_than_the_time_it_is_looked_at(open_door, devices):
    door = await open_door(limits=Limits(body_seconds=60, body_rate=1))
    async with connected(door) as (reader, writer):
        writer.write(put(FILE, b"x" * 1000)[:-1000])
        await until(lambda: incoming(devices))  # what came so far does not count any more
        for sent in range(100, 1000, 100):
            writer.write(b"x" * 100)
            await until(lambda sent=sent: bytes_written(devices) == sent)
            look_after(door, seconds=80)
        writer.write(b"x" * 100)
        assert (await read_reply(reader)).status == 200


def incoming(devices):
    return list((devices.root / "dev1/.incoming").glob("*"))


def bytes_written(devices):
    return sum(part.stat().st_size for part in incoming(devices))


def look_after(door, seconds):
    """What the door does when so much time has gone by."""
    for connection in tuple(door._connections):
        connection.look(asyncio.get_running_loop().time() + seconds)


async def test_an_idle_connection_is_closed(open_door):
    door = await open_door(limits=Limits(idle_seconds=0.1))
    assert await read_until_closed(door.address) == b""


async def test_one_connection_too_many_is_told_so(open_door):
    door = await open_door(limits=Limits(connections=2))
    async with connected(door), connected(door) as (reader, writer):
        await until(lambda: door.connections == 2)
        assert (await read_until_closed(door.address)).startswith(b"HTTP/1.1 503 ")
        writer.write(get("/"))
        assert (await read_reply(reader)).status == 200
    await until(lambda: not door.connections)
    assert (await ask(door.address, get("/"))).status == 200


async def test_heads_and_urls_have_limits(open_door):
    door = await open_door(limits=Limits(url=100, head=1000))
    assert (await ask(door.address, get("/" + "x" * 100))).status == 414
    assert (await ask(door.address, get("/", "X: " + "x" * 1000))).status == 431
    endless = await converse(door.address, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 300)
    assert endless.startswith(b"HTTP/1.1 431 ")


async def test_what_stands_behind_a_body_in_chunks_has_the_limit_of_a_head(open_door, devices):
    door = await open_door(limits=Limits(head=1000))
    begin = f"PUT {OTHER} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
    endless = await read_until_closed(door.address, begin.encode() + b"X: " + b"x" * 2**20)
    assert endless.startswith(b"HTTP/1.1 431 ")
    assert not (devices.root / OTHER[1:]).exists()
    trailer = await ask(
        door.address, begin.encode() + b"Content-MD5: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    assert trailer.status == 200


async def test_a_head_that_comes_behind_a_body_is_counted_by_itself(open_door, devices):
    door = await open_door(limits=Limits(head=5000))
    one = f"PUT {OTHER} HTTP/1.1\r\nHost: x\r\nX: {'x' * 4000}\r\nContent-Length: 6000\r\n\r\n"
    async with connected(door) as (reader, writer):
        writer.write((one.encode() + b"b" * 6000) * 400)  # many a read ends within a head
        assert {(await read_reply(reader)).status for _ in range(400)} == {200}


async def test_bodies_have_a_limit(open_door, devices, files):
    door = await open_door(limits=Limits(body=1000, discarded=5000))
    chunked = (
        f"PUT {OTHER} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        + b"3e9\r\n%s\r\n0\r\n\r\n" % (b"x" * 1001)
    )
    assert (await ask(door.address, put(FILE, b"x" * 1000))).status == 200
    assert (await ask(door.address, put(OTHER, b"x" * 1001))).status == 413
    assert (await ask(door.address, chunked)).status == 413
    assert (await ask(door.address, put(OTHER, b"x" * 9000))).status == 413
    post = put(OTHER, b"x" * 2**20).replace(b"PUT", b"POST")
    assert (await ask(door.address, post)).status == 413
    assert files(devices.root) == [FILE[1:]]


async def test_other_networks_are_closed_on_at_once(open_door, caplog):
    door = await open_door(networks=Networks(["10.0.0.0/8"]))
    assert await read_until_closed(door.address, get("/")) == b""
    assert "127.0.0.1 may not talk to the storage door: closed" in caplog.text


async def test_stopping_lets_a_running_download_end(open_door, devices):
    door = await open_door()
    devices.path(1, 1).parent.mkdir(parents=True)
    devices.path(1, 1).write_bytes(b"x" * 2**24)
    async with connected(door) as (reader, writer), connected(door) as (idle, _):
        writer.write(get(FILE))
        await reader.readuntil(b"\r\n\r\n")
        stopping = asyncio.ensure_future(door.stop())
        assert len(await reader.read()) == 2**24
        assert await idle.read() == b""
        await stopping
    await door.stop()
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection(*door.address)


def peak_memory():
    """The most KiB that this process has held since the last call."""
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    with open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")
    return peak


@pytest.mark.parametrize("framing", ["Content-Length: 67108864", "Transfer-Encoding: chunked"])
async def test_files_are_not_kept_in_memory(door, devices, framing):
    piece = bytes(2**20)
    if framing.startswith("Transfer"):
        piece = b"100000\r\n" + piece + b"\r\n"
    async with connected(door) as (reader, writer):
        writer.write(f"PUT {FILE} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode())
        peak_memory()
        before = peak_memory()
        for _ in range(64):
            writer.write(piece)
            await writer.drain()
        writer.write(b"0\r\n\r\n" * framing.startswith("Transfer") + get(FILE))
        assert (await read_reply(reader)).status == 200
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(64):
            await reader.readexactly(2**20)
        assert peak_memory() - before < 16 * 1024


def loopbacks():
    """The addresses of this machine that one can listen on: IPv6 is not everywhere."""
    for family, host in [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]:
        with contextlib.suppress(OSError), socket.socket(family) as probe:
            probe.bind((host, 0))
            yield host


@pytest.mark.parametrize("host", list(loopbacks()))
async def test_a_free_port_is_found(devices, host):
    door = StorageDoor(devices)
    address = await door.start(host, 0)
    try:
        assert address[0] == host
        assert (await ask(address, get("/"))).status == 200
    finally:
        await door.stop()
