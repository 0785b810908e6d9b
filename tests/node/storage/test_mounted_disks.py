"""Disks that are full or read-only in earnest: small file systems, mounted for the test.

Left out where mounting is not allowed (see conftest.py); quotas stand in for them there.
"""

import asyncio
import subprocess

import pytest

from tests.support.conversation import ask, put, read_reply, request

FILE = "/dev1/0/000/000/0000000001.fid"
OTHER = "/dev1/0/000/000/0000000002.fid"
THIRD = "/dev1/0/000/000/0000000003.fid"


@pytest.fixture
def mounted(devices):
    """Mount a small file system on device 1; what it is mounted with may be changed later."""
    directory = str(devices.root / "dev1")
    subprocess.run(mount("-o", "size=2m", directory), check=True)
    yield lambda option: subprocess.run(mount("-o", f"remount,{option}", directory), check=True)
    subprocess.run(["umount", "--lazy", directory], check=True)


def mount(*options):
    return ["mount", "-t", "tmpfs", "tmpfs", *options]


async def test_a_full_device_takes_nothing_and_serves_what_it_has(mounted, door, devices, files):
    assert (await ask(door.address, put(FILE, b"x" * 2**20))).status == 200
    reader, writer = await asyncio.open_connection(*door.address)
    writer.write(put(OTHER, b"y" * 2**21))
    assert (await read_reply(reader)).status == 507
    writer.close()
    assert files(devices.root) == [FILE[1:]]
    assert (await ask(door.address, request("GET", FILE))).body == b"x" * 2**20


@pytest.mark.parametrize("framing", ["known length", "chunked"])
async def test_a_device_that_fills_up_during_an_upload(mounted, door, devices, files, framing):
    reader, writer = await asyncio.open_connection(*door.address)
    if framing == "chunked":
        head = f"PUT {FILE} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head.encode() + b"400000\r\n" + b"x" * 2**20)
    else:
        writer.write(put(FILE, b"x" * 1_900_000)[:-900_000])
    await writer.drain()
    while not list((devices.root / "dev1").glob(".incoming/*")):
        await asyncio.sleep(0.005)
    (devices.root / "dev1/filler").write_bytes(b"z" * 700_000)
    writer.write(b"x" * 900_000)
    assert (await read_reply(reader)).status == 507
    writer.close()
    assert files(devices.root) == ["dev1/filler"]


async def test_what_an_upload_has_written_is_not_kept_free_for_it_as_well(mounted, door, devices):
    reader, writer = await asyncio.open_connection(*door.address)
    arriving = put(FILE, b"x" * 1_200_000)
    writer.write(arriving[:-200_000])
    incoming = devices.root / "dev1/.incoming"
    while sum(part.stat().st_size for part in incoming.glob("*")) < 900_000:
        await asyncio.sleep(0.005)
    assert (await ask(door.address, put(OTHER, b"y" * 500_000))).status == 200
    assert (await ask(door.address, put(THIRD, b"z" * 500_000))).status == 507
    writer.write(arriving[-200_000:])
    assert (await read_reply(reader)).status == 200
    writer.close()


async def test_a_full_device_refuses_small_files_too(mounted, door, devices, files):
    filler = devices.root / "dev1/filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(b"z" * 2**22)
    assert (await ask(door.address, put(FILE, b"x" * 5000))).status == 507
    assert files(devices.root) == ["dev1/filler"]
    assert (await ask(door.address, request("GET", FILE))).status == 404
    filler.unlink()
    assert (await ask(door.address, put(FILE, b"x" * 5000))).status == 200


async def test_a_read_only_device_refuses_and_serves(mounted, door, devices, files, caplog):
    await ask(door.address, put(FILE, b"x"))
    mounted("ro")
    assert (await ask(door.address, put(OTHER, b"y"))).status == 500
    assert (await ask(door.address, put(FILE, b"y"))).status == 500
    assert (await ask(door.address, request("DELETE", FILE))).status == 500
    assert (await ask(door.address, request("GET", FILE))).body == b"x"
    assert files(devices.root) == [FILE[1:]]
    assert f"PUT {OTHER}: [Errno 30] Read-only file system" in caplog.text
    mounted("rw")
    assert (await ask(door.address, put(FILE, b"y"))).status == 200


async def test_a_disk_can_be_unmounted_soon_after_the_last_request(devices, door):
    directory = str(devices.root / "dev1")
    subprocess.run(mount(directory), check=True)
    assert (await ask(door.address, put(FILE, b"x"))).status == 200
    assert (await ask(door.address, request("GET", FILE))).body == b"x"
    while subprocess.run(["umount", directory], capture_output=True).returncode:
        await asyncio.sleep(0.05)
    assert (await ask(door.address, request("GET", FILE))).status == 404
