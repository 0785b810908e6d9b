import asyncio
import hashlib
import os
import re

import pytest

from mogilefs.node import sidechannel as module
from mogilefs.node.devices import Devices
from mogilefs.node.networks import Networks
from mogilefs.node.sidechannel import Sidechannel
from tests.support.conversation import converse, read_until_closed

FILE = "/dev1/9/999/999/9999999991.fid"
EMPTY = "/dev1/9/999/999/9999999992.fid"
MD5 = "781e5e245d69b566979b86e28d23f2c7"
SHA1 = "87acec17cd9dcd20a716cc2cf67417b71c8a7016"


@pytest.fixture
def devices(tmp_path):
    devices = Devices(tmp_path)
    devices.add(1)
    devices.add(5)
    for url, content in [(FILE, b"0123456789"), (EMPTY, b"")]:
        (tmp_path / url[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / url[1:]).write_bytes(content)
    yield devices
    devices.close()


@pytest.fixture
async def address(devices):
    sidechannel = Sidechannel(devices)
    yield await sidechannel.start("127.0.0.1", 0)
    await sidechannel.stop()


RECORDED = [
    (f"size {FILE}\r\n", f"{FILE} 10\r\n"),
    (f"size {FILE}\n", f"{FILE} 10\r\n"),
    ("size /dev1/9/999/999/nope\r\n", "/dev1/9/999/999/nope -1\r\n"),
    (f"size {EMPTY}\r\n", f"{EMPTY} 0\r\n"),
    (f"SIZE {FILE}\r\n", "ERROR: unknown command: size\r\n"),
    ("size /dev1/../dev2/usage\r\n", "ERROR: uri invalid (contains ..)\r\n"),
    ("size /dev1/%2e%2e/x\r\n", "/dev1/%2e%2e/x -1\r\n"),
    ("size\r\n", "ERROR: unknown command: size\r\n"),
    ("size /a /b\r\n", "ERROR: unknown command: size\r\n"),
    ("size dev1/usage\r\n", "dev1/usage -1\r\n"),
    ("size /dev77/usage\r\n", "/dev77/usage -1\r\n"),
    ("size /mogilefs.sqlite\r\n", "/mogilefs.sqlite -1\r\n"),
    (f"MD5 {FILE}\r\n", f"{FILE} MD5={MD5}\r\n"),
    (f"md5 {FILE}\r\n", "ERROR: unknown command: md5\r\n"),
    (f"SHA-1 {FILE}\r\n", f"{FILE} SHA-1={SHA1}\r\n"),
    (f"MD5 {FILE} fsck\r\n", f"{FILE} MD5={MD5}\r\n"),
    ("MD5 /dev1/9/999/999/nope\r\n", "/dev1/9/999/999/nope MD5=-1\r\n"),
    (f"MD5 {EMPTY}\r\n", f"{EMPTY} MD5={hashlib.md5().hexdigest()}\r\n"),
    ("MD5 /dev1/../x\r\n", "ERROR: uri invalid (contains ..)\r\n"),
    (f"SHA-256 {FILE}\r\n", "ERROR: unknown command: sha\r\n"),
    ("MD5 /dev1/9\r\n", "ERR read /dev1/9 at 0 failed\r\n"),
    ("\r\n", "\r\n"),
    ("hello\r\n", "ERROR: unknown command: hello\r\n"),
    ("fid_sizes 1-100 1\r\n", "ERROR: unknown command: fid_sizes\r\n"),
    ("quit\r\n", "ERROR: unknown command: quit\r\n"),
]


@pytest.mark.parametrize(("sent", "answer"), RECORDED)
async def test_recorded_lines(address, sent, answer):
    assert (await converse(address, sent.encode())).decode() == answer


async def test_lines_sent_ahead_are_answered_in_order(address):
    sent = "".join(line for line, _ in RECORDED).encode()
    assert (await converse(address, sent)).decode() == "".join(answer for _, answer in RECORDED)


async def test_a_directory_has_a_size(address, devices):
    size = os.stat(devices.root / "dev1/9").st_size
    assert await converse(address, b"size /dev1/9\r\n") == b"/dev1/9 %d\r\n" % size


async def test_it_tells_its_version_and_service(address, devices):
    version = (await converse(address, b"version\r\n")).decode()
    assert re.fullmatch(r"starttime \d+\r\nuptime \d+\r\nversion \S+\r\n\.\r\n", version)
    service = (await converse(address, b"show service mogstored\r\n")).decode().split("\r\n")
    assert service[0] == "SERVICE mogstored"
    assert f"        docroot: {devices.root}" in service
    assert service[-2:] == [".", ""]


async def test_watching_tells_how_busy_each_disk_is(address):
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"watch\r\n")
    lines = [(await asyncio.wait_for(reader.readline(), 10)).decode() for _ in range(6)]
    writer.close()
    assert [re.sub(r"\t(\d+\.\d\d|-)\n", " %\n", line) for line in lines] == 2 * [
        "1 %\n",
        "5 %\n",
        ".\n",
    ]


async def test_a_line_without_end_is_cut_off(address):
    assert await converse(address, b"size " + b"x" * 4 * module.MAX_LINE) == b""


async def test_other_networks_are_closed_on(devices, caplog):
    sidechannel = Sidechannel(devices, networks=Networks(["10.0.0.0/8"]))
    address = await sidechannel.start("127.0.0.1", 0)
    try:
        assert await read_until_closed(address, b"version\r\n") == b""
        assert "127.0.0.1 may not talk to the sidechannel" in caplog.text
    finally:
        await sidechannel.stop()


async def test_stopping_closes_those_who_watch(devices):
    sidechannel = Sidechannel(devices)
    address = await sidechannel.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"version\r\nwatch\r\n")
    await reader.readuntil(b".\r\n")
    await sidechannel.stop()
    await sidechannel.stop()
    assert await reader.read() == b""
    writer.close()
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection(*address)
