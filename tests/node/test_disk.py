import asyncio
import threading

import pytest

from mogilefs.node.devices import Devices
from mogilefs.node.disk import LATELY, RESTS, TOGETHER, Disk


class Trips:
    """Counts what a disk is asked to remove, each trip taking a second of the disk's own clock."""

    def __init__(self):
        self.now = 100.0
        self.trips, self.rests = [], []
        self.disk = Disk(lambda: self.now, self.rest)

    async def remove(self, files):
        self.trips.append(list(files))
        self.now += 1
        await asyncio.sleep(0)
        return {}

    async def rest(self, seconds):
        self.rests.append(seconds)


@pytest.fixture
def trips():
    return Trips()


async def test_while_nobody_waits_many_are_removed_at_a_time(trips):
    files = list(range(TOGETHER + 1))
    assert await trips.disk.remove(files, trips.remove, hurry=False) == {}
    assert trips.trips == [files[:TOGETHER], files[TOGETHER:]]
    assert trips.rests == []


async def test_while_somebody_waits_one_is_removed_at_a_time_with_rests(trips):
    with trips.disk.awaited():
        await trips.disk.remove([1, 2], trips.remove, hurry=False)
    assert trips.trips == [[1], [2]]
    assert trips.rests == [RESTS, RESTS]


async def test_whoever_waited_is_believed_to_come_again_soon(trips):
    with trips.disk.awaited():
        pass
    await trips.disk.remove([1, 2, 3], trips.remove, hurry=False)
    assert trips.trips == [[1], [2, 3]], f"the first trip took more than {LATELY} s"


async def test_in_a_hurry_nobody_is_waited_for(trips):
    with trips.disk.awaited():
        await trips.disk.remove([1, 2], trips.remove, hurry=True)
    assert trips.trips == [[1, 2]]
    assert trips.rests == []


async def test_while_nobody_waits_removals_do_not_wait_for_each_other(trips):
    begun = asyncio.Event()

    async def first(files):
        await begun.wait()
        return {}

    async def second(files):
        begun.set()
        return {}

    await asyncio.gather(
        trips.disk.remove([1], first, hurry=False), trips.disk.remove([2], second, hurry=False)
    )


async def test_while_somebody_waits_removals_take_turns(trips):
    running = set()

    async def alone(files):
        assert not running
        running.add(files[0])
        await trips.remove(files)
        running.clear()
        return {files[0]: "refused"}

    with trips.disk.awaited():
        one, two = await asyncio.gather(
            trips.disk.remove([1, 2], alone, hurry=False),
            trips.disk.remove([3, 4], alone, hurry=False),
        )
    assert trips.trips == [[1], [3], [2], [4]]
    assert (one, two) == ({1: "refused", 2: "refused"}, {3: "refused", 4: "refused"})


class Watched(Devices):
    trips = 0

    async def run(self, devid, function, *args):
        self.trips += function.__name__ == "_remove_all"
        return await super().run(devid, function, *args)


def place(devices, devid, fids):
    for fid in fids:
        path = devices.path(devid, fid)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


@pytest.mark.parametrize(("quota", "trips"), [(10_000, 3), (4, 1)], ids=["roomy", "nearly full"])
async def test_files_of_a_device_go_when_no_upload_waits_for_its_disk(tmp_path, quota, trips):
    begun, ended = threading.Event(), threading.Event()

    def commit(functions):
        begun.set()
        ended.wait()
        return functions

    devices = Watched(tmp_path, commit=commit, quota=quota)
    for devid in (1, 2):
        devices.add(devid)
    place(devices, 1, [7])
    place(devices, 2, [1, 2, 3, 4])
    upload = asyncio.create_task(devices.fsync(1, 7, lambda db: None))
    try:
        await asyncio.to_thread(begun.wait)
        assert await devices.delete_all(2, [1, 2, 3]) == {}
        assert devices.trips == trips
        assert [devices.size(2, fid) for fid in (1, 2, 3, 4)] == [None, None, None, 1]
    finally:
        ended.set()
        await upload
        devices.close()
