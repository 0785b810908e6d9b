import asyncio
import hashlib
import os
import shutil
import sys

import pytest

from mogilefs.errors import ContentMismatch
from mogilefs.node.devices import Devices
from mogilefs.node.parts import INCOMING, Part
from mogilefs.node.usage import try_write, write_usage


@pytest.fixture
def devices(tmp_path):
    devices = Devices(tmp_path)
    for devid in (1, 2):
        devices.add(devid)
    yield devices
    devices.close()


def place(devices, devid, fid, content):
    path = devices.path(devid, fid)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def files(root):
    return sorted(os.path.join(at, name) for at, _, names in os.walk(root) for name in names)


def test_devices_are_found_by_name_also_behind_links(devices, tmp_path, tmp_path_factory):
    (tmp_path / "dev12").symlink_to(tmp_path_factory.mktemp("disk"))
    (tmp_path / "dev3").write_text("no directory")
    (tmp_path / "dev4").symlink_to("/nowhere/at/all")
    (tmp_path / "devices").mkdir()
    assert devices.discover() == [1, 2, 12]


def test_adding_a_device_twice_keeps_its_files(devices):
    path = place(devices, 2, 7, b"kept")
    assert devices.add(2) == path.parents[3]
    assert path.read_bytes() == b"kept"


def test_size_and_existence(devices):
    place(devices, 1, 7, b"seven")
    assert devices.size(1, 7) == 5
    assert devices.size(1, 8) is None
    assert devices.size(99, 7) is None
    assert devices.size(2, 7) is None


async def test_delete_says_whether_the_file_was_there(devices):
    path = place(devices, 1, 7, b"x")
    assert await devices.delete(1, 7) is True
    assert not path.exists()
    assert await devices.delete(1, 7) is False
    assert await devices.delete(99, 7) is False


async def test_a_link_below_a_device_is_never_followed(devices, tmp_path):
    outside = tmp_path / "outside"
    (outside / "000/000").mkdir(parents=True)
    (outside / "000/000/0000000001.fid").write_text("outside")
    (tmp_path / "dev1/0").symlink_to(outside)
    with pytest.raises(OSError, match="symbolic link"):
        await devices.delete(1, 1)
    with pytest.raises(OSError, match="symbolic link"):
        await devices.checksum(1, 1, "MD5")
    place(devices, 2, 1, b"inside!")
    with pytest.raises(OSError, match="symbolic link"):
        await devices.copy(1, 2, 1, length=7)
    assert (outside / "000/000/0000000001.fid").read_text() == "outside"
    assert files(tmp_path / "dev1") == []


async def test_a_file_behind_a_linked_directory_is_not_taken_for_deleted(devices, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "0000000001.fid").write_text("outside")
    (tmp_path / "dev1/0/000").mkdir(parents=True)
    (tmp_path / "dev1/0/000/000").symlink_to(outside)
    assert list(await devices.delete_all(1, [1, 1001])) == [1]
    assert (outside / "0000000001.fid").read_text() == "outside"


async def test_a_copy_is_whole_verified_and_durable(devices, tmp_path):
    content = os.urandom(3 * 2**20 + 1)
    place(devices, 1, 12345678901, content)
    sha1 = hashlib.sha1(content).hexdigest()
    assert await devices.copy(12345678901, 1, 2, length=len(content)) is None
    given = {"length": len(content), "algorithm": "SHA-1", "checksum": sha1.upper()}
    assert await devices.copy(12345678901, 1, 2, **given) == sha1
    assert devices.path(2, 12345678901).read_bytes() == content
    assert await devices.checksum(2, 12345678901, "SHA-1") == sha1
    assert len(files(tmp_path / "dev2")) == 1


async def test_a_copy_is_as_old_as_its_source(devices):
    path = place(devices, 1, 7, b"seven")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    await devices.copy(7, 1, 2, length=5)
    assert devices.path(2, 7).stat().st_mtime == 1_000_000_000


@pytest.mark.parametrize(
    "given", [{"length": 4}, {"length": 6}, {"length": 5, "algorithm": "MD5", "checksum": "0" * 32}]
)
async def test_a_copy_that_does_not_match_leaves_nothing(devices, tmp_path, given):
    place(devices, 1, 7, b"seven")
    with pytest.raises(ContentMismatch, match="fid 7 on dev1"):
        await devices.copy(7, 1, 2, **given)
    assert files(tmp_path / "dev2") == []


async def test_a_copy_needs_both_disks(devices, tmp_path):
    with pytest.raises(FileNotFoundError):
        await devices.copy(7, 1, 2, length=5)
    place(devices, 1, 7, b"seven")
    with pytest.raises(FileNotFoundError):
        await devices.copy(7, 1, 99, length=5)
    assert not (tmp_path / "dev99").exists()


async def test_fsync_needs_the_file(devices):
    place(devices, 1, 7, b"seven")
    await devices.fsync(1, 7)
    with pytest.raises(FileNotFoundError):
        await devices.fsync(1, 8)


async def test_fsync_reaches_the_file_and_every_new_directory(devices, tmp_path):
    path = place(devices, 1, 7, b"seven")
    opened = []

    def note(event, given):  # nodes of other tests may still be busy
        if event == "open" and str(given[0]).startswith(str(tmp_path)):
            opened.append(given[0])

    sys.addaudithook(note)
    await devices.fsync(1, 7)
    parents = [str(parent) for parent in path.parents[:5]]
    assert parents[-1] == str(tmp_path)
    assert set(opened) == {str(path), *parents}
    opened.clear()
    await devices.fsync(1, 7)
    assert opened == [str(path), parents[0]]


def test_the_usage_file_says_what_a_monitor_reads(devices, tmp_path):
    usage = tmp_path / "dev1/usage"
    usage.write_text("x" * 1000)
    space = write_usage(devices, 1)
    lines = dict(line.split(": ", 1) for line in usage.read_text().splitlines())
    assert list(lines) == ["available", "device", "disk", "time", "total", "use", "used"]
    assert int(lines["total"]) == space.total // 1024 > 0
    assert abs(int(lines["used"]) + int(lines["available"]) - int(lines["total"])) <= 1
    assert lines["use"] == f"{space.percent}%"
    assert str(tmp_path).startswith(lines["disk"])


def test_a_test_write_fails_where_the_disk_does(devices, tmp_path):
    try_write(devices, 1)
    (written,) = (tmp_path / "dev1/test-write").iterdir()
    assert written.read_text().startswith("time=")
    shutil.rmtree(tmp_path / "dev1")
    with pytest.raises(FileNotFoundError):
        try_write(devices, 1)
    assert not (tmp_path / "dev1").exists()


async def test_a_quota_counts_what_is_there(tmp_path):
    devices = Devices(tmp_path, quota=100)
    devices.add(1)
    place(devices, 1, 7, b"x" * 60)
    assert devices.space(1)[:] == (60, 40)
    room = devices.room(1)
    assert room.take(30)
    assert not room.take(30)
    room.give_back(30)
    await devices.delete(1, 7)
    assert devices.space(1)[:] == (0, 100)
    assert room.take(100)
    devices.close()


def test_a_start_sweeps_what_a_crash_left(devices, tmp_path):
    Part(str(tmp_path / "dev1"), "0/000/000/0000000001.fid").write(b"half")
    kept = place(devices, 1, 2, b"whole")
    assert len(files(tmp_path / "dev1" / INCOMING)) == 1
    assert devices.sweep() == 1
    assert files(tmp_path / "dev1") == [str(kept)]


def test_a_device_may_move_to_another_disk(devices, tmp_path):
    place(devices, 1, 7, b"seven")
    assert devices.base(1) == str(tmp_path / "dev1")
    (tmp_path / "dev1").rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError):
        devices.base(1)
    (tmp_path / "dev1").symlink_to("elsewhere")
    assert devices.base(1) == str(tmp_path / "elsewhere")
    assert devices.size(1, 7) == 5


async def test_a_file_that_takes_long_to_sync_holds_up_no_other(devices):
    place(devices, 1, 8, b"eight")
    slow = devices.path(1, 7)
    os.mkfifo(slow)  # opening it waits for somebody who writes
    held_up = asyncio.ensure_future(devices.fsync(1, 7))
    await asyncio.wait_for(devices.fsync(1, 8), 20)
    assert not held_up.done()
    os.close(os.open(slow, os.O_WRONLY))
    with pytest.raises(OSError, match="Invalid argument"):  # a pipe is on no disk
        await held_up


async def test_fsync_reaches_every_directory_of_the_disk_that_is_there_now(devices, tmp_path):
    place(devices, 1, 7, b"seven")
    await devices.fsync(1, 7)
    (tmp_path / "dev1").rename(tmp_path / "first disk")
    (tmp_path / "second disk").mkdir()
    (tmp_path / "dev1").symlink_to("second disk")
    path = place(devices, 1, 8, b"eight")
    devices.base(1)  # as each upload does
    opened = []

    def note(event, given):
        if event == "open" and str(given[0]).startswith(str(tmp_path)):
            opened.append(given[0])

    sys.addaudithook(note)
    await devices.fsync(1, 8)
    assert {str(parent) for parent in path.parents[:4]} <= set(opened)
