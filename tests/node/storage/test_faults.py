"""What the door answers when a disk is gone, full, read-only or slow, and what is left behind."""

import asyncio
import contextlib
import os
import shutil
import threading
import time
from contextlib import asynccontextmanager

import pytest

from mogilefs.node.devices import Devices
from mogilefs.node.storage import StorageDoor
from mogilefs.node.storage.limits import Limits
from mogilefs.node.trust import SHARE, SLOW_SECONDS, Trust
from tests.support.conversation import ask, put, read_reply, request

FILE = "/dev1/0/000/000/0000000001.fid"
OTHER = "/dev1/0/000/000/0000000002.fid"


@asynccontextmanager
async def uploading(door, content, sent):
    """An upload under way, of which some bytes have been written to the device."""
    reader, writer = await asyncio.open_connection(*door.address)
    writer.write(put(FILE, content)[: len(put(FILE, content)) - len(content) + sent])
    await writer.drain()
    incoming = door.devices.root / "dev1/.incoming"
    while not any(part.stat().st_size >= sent for part in incoming.glob("*")):
        await asyncio.sleep(0.005)
    try:
        yield reader, writer
    finally:
        writer.close()


async def test_a_device_that_is_gone_is_not_found_and_not_made_again(door, devices):
    await ask(door.address, put(FILE, b"x"))
    shutil.rmtree(devices.root / "dev1")
    for asked in [put(FILE, b"x"), put(FILE, b"x" * 2**20), request("GET", FILE)]:
        assert (await ask(door.address, asked)).status == 404
    for method in ("HEAD", "DELETE"):
        assert (await ask(door.address, request(method, FILE))).status == 404
    assert not (devices.root / "dev1").exists()
    assert (await ask(door.address, put(FILE.replace("dev1", "dev2"), b"x"))).status == 200


async def test_a_device_that_goes_during_an_upload(door, devices):
    async with uploading(door, b"x" * 1000, sent=500) as (reader, writer):
        (devices.root / "dev1").rename(devices.root / "away")
        writer.write(b"x" * 500)
        assert (await read_reply(reader)).status == 404
    assert not (devices.root / "dev1").exists()


async def test_a_quota_is_a_limit_like_a_disks(open_door, tmp_path, files):
    devices = Devices(tmp_path / "small", quota=1000)
    devices.root.mkdir()
    devices.add(1)
    door = await open_door(devices)
    assert (await ask(door.address, put(FILE, b"x" * 600))).status == 200
    assert (await ask(door.address, put(OTHER, b"x" * 401))).status == 507
    assert (await ask(door.address, put(FILE, b"x" * 400))).status == 200
    assert (await ask(door.address, put(OTHER, b"x" * 600))).status == 200
    chunked = b"PUT %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
    assert (await ask(door.address, chunked % b"/dev1/usage")).status == 403
    assert (await ask(door.address, chunked % FILE.encode())).status == 507
    assert (await ask(door.address, request("DELETE", OTHER))).status == 204
    assert (await ask(door.address, chunked % FILE.encode())).status == 200
    assert devices.space(1)[:] == (1, 999)
    assert files(devices.root) == [FILE[1:]]
    devices.close()


async def test_uploads_under_way_count_for_the_others(open_door, tmp_path):
    devices = Devices(tmp_path / "small", quota=1000)
    devices.root.mkdir()
    devices.add(1)
    door = await open_door(devices)
    async with uploading(door, b"x" * 600, sent=10):
        assert (await ask(door.address, put(OTHER, b"x" * 500))).status == 507
        assert (await ask(door.address, put(OTHER, b"x" * 400))).status == 200
    while door.connections:
        await asyncio.sleep(0.005)
    assert devices.space(1)[:] == (400, 600)
    devices.close()


LINKS = [
    ("file", "0/000/000/0000000001.fid", "secret"),
    ("directory", "0/000/000", "."),
    ("top directory", "0", "deep"),
    ("empty directory", "0", "empty"),
    ("test-write", "test-write", "."),
    ("usage", "usage", "secret"),
]


@pytest.mark.parametrize("link", LINKS, ids=[link[0] for link in LINKS])
async def test_a_link_below_a_device_leads_nowhere(door, devices, tmp_path, files, link):
    outside = tmp_path / "outside"
    (outside / "deep/000/000").mkdir(parents=True)
    (outside / "empty").mkdir()
    for name in ["secret", "0000000001.fid", "deep/000/000/0000000001.fid", "test-write-1"]:
        (outside / name).write_text("secret")
    _, name, target = link
    path = devices.root / "dev1" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(outside / target)
    url = {"usage": "/dev1/usage", "test-write": "/dev1/test-write/test-write-1"}.get(name, FILE)
    before = files(outside)
    for method in ("GET", "DELETE"):
        assert (await ask(door.address, request(method, url))).status in (403, 404)
    status = (await ask(door.address, put(url, b"new"))).status
    if name.endswith(".fid"):
        assert status == 200  # what had the file's own name makes way for it
    else:
        assert status in (403, 404)
    assert files(outside) == before
    assert not list((outside / "empty").iterdir())
    assert {(outside / name).read_text() for name in files(outside)} == {"secret"}


async def test_what_is_no_file_is_not_served(door, devices):
    path = devices.path(1, 1)
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    assert (await ask(door.address, request("GET", FILE))).status == 404
    path.unlink()
    path.mkdir()
    assert (await ask(door.address, request("GET", FILE))).status == 500
    assert (await ask(door.address, put(FILE, b"x"))).status == 500


def test_a_slow_disk_loses_trust_for_a_while():
    now = 100.0

    def take(seconds):
        nonlocal now
        now += seconds
        return seconds

    trust = Trust(lambda: now)
    assert trust.ask(1, take, SLOW_SECONDS / 2) == SLOW_SECONDS / 2
    assert trust.given(1)
    trust.ask(1, take, 2)
    assert trust.given(2)
    take(2 * SHARE - 0.1)
    assert not trust.given(1)
    take(0.2)
    assert trust.given(1)


def test_a_call_that_fails_slowly_costs_trust_too():
    clock = iter([0.0, 1.0, 2.0])
    trust = Trust(lambda: next(clock))
    with pytest.raises(OSError, match="broken"):
        trust.ask(1, lambda: (_ for _ in ()).throw(OSError("broken")))
    assert not trust.given(1)


class SlowDevices(Devices):
    """A disk that stands still when a thread asks for it: what no test can make of a real one.

    The event loop, which must not wait for it, is only held up long enough to notice.
    """

    def __init__(self, root):
        super().__init__(root)
        self.loops_thread = threading.get_ident()
        self.asked_on_the_loop = 0
        self.asked = threading.Event()
        self.free = threading.Event()

    def wait(self):
        if threading.get_ident() == self.loops_thread:
            self.asked_on_the_loop += 1
            time.sleep(20 / SHARE)
        else:
            self.asked.set()
            assert self.free.wait(60)

    def base(self, devid):
        if devid == 1:
            self.wait()
        return super().base(devid)

    def open(self, place):
        if place.devid == 1:
            self.wait()
        return super().open(place)

    def size(self, devid, fid):
        if devid == 1:
            self.wait()
        return super().size(devid, fid)


class Unhurried(Limits):
    """Nobody is looked at, and what is open stays so."""

    look_seconds = 3600.0


@asynccontextmanager
async def slow_door(root):
    """A door on two devices, of which the first is slow."""
    devices = SlowDevices(root)
    for devid in (1, 2):
        devices.add(devid)
    door = StorageDoor(devices, limits=Unhurried())
    door.address = await door.start("127.0.0.1", 0)
    try:
        yield door, devices
    finally:
        devices.free.set()
        await door.stop()
        devices.close()


async def test_a_slow_disk_is_asked_from_threads_while_others_are_served(tmp_path):
    large = os.urandom(2**20)
    async with slow_door(tmp_path) as (door, devices):
        assert (await ask(door.address, put(FILE, b"x"))).status == 200
        on_the_loop = devices.asked_on_the_loop
        slow = [asyncio.ensure_future(ask(door.address, put(FILE, large))) for _ in range(3)]
        await asyncio.to_thread(devices.asked.wait, 60)
        for _ in range(5):
            quick = await ask(door.address, put("/dev2" + OTHER[5:], b"y"))
            assert quick.status == 200
        assert not any(one.done() for one in slow)
        devices.free.set()
        assert {(await one).status for one in slow} == {200}
        assert devices.asked_on_the_loop == on_the_loop
        assert (await ask(door.address, request("GET", FILE))).body == large
        assert (await ask(door.address, request("DELETE", FILE))).status == 204
        assert list((tmp_path / "dev1/.incoming").iterdir()) == []


async def test_a_file_that_is_open_is_served_though_its_disk_stands_still(tmp_path):
    hot, cold = Devices(tmp_path).path(1, 1), Devices(tmp_path).path(1, 2)
    hot.parent.mkdir(parents=True)
    hot.write_bytes(b"hot")
    cold.write_bytes(b"cold")
    async with slow_door(tmp_path) as (door, devices):
        assert (await ask(door.address, request("GET", FILE))).body == b"hot"
        on_the_loop = devices.asked_on_the_loop
        waiting = [
            asyncio.ensure_future(ask(door.address, request("GET", OTHER))) for _ in range(3)
        ]
        await asyncio.to_thread(devices.asked.wait, 60)
        answer = await asyncio.wait_for(ask(door.address, request("GET", FILE)), 60)
        assert answer.body == b"hot"
        assert not any(one.done() for one in waiting)
        devices.free.set()
        assert [(await one).body for one in waiting] == [b"cold"] * 3
        assert [opened_twice(path) for path in (hot, cold)] == [False, False]
        devices.free.clear()
        answer = await asyncio.wait_for(ask(door.address, request("GET", OTHER)), 60)
        assert answer.body == b"cold"
        missing = request("GET", "/dev1/0/000/000/0000000003.fid")
        devices.free.set()
        assert (await ask(door.address, missing)).status == 404
        hot.unlink()
        assert (await ask(door.address, request("GET", FILE))).status == 404
        assert devices.asked_on_the_loop == on_the_loop


def opened_twice(path):
    """Whether this process has a file open more than once."""
    links = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(f"/proc/self/fd/{number}"))
    return links.count(str(path)) > 1


async def test_the_length_of_a_file_on_a_slow_disk_is_asked_from_a_thread(tmp_path):
    devices = SlowDevices(tmp_path)
    devices.add(1)
    devices.path(1, 1).parent.mkdir(parents=True)
    devices.path(1, 1).write_bytes(b"four")
    assert await devices.length(1, 1) == 4
    devices.free.set()
    assert [await devices.length(1, fid) for fid in (1, 2)] == [4, None]
    assert devices.asked_on_the_loop == 1
    devices.close()
