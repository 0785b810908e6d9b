import os
import subprocess
import tempfile

import pytest

from mogilefs.node.devices import Devices
from mogilefs.node.storage import StorageDoor


def may_mount():
    """Whether this machine lets us mount a file system; containers often do not."""
    with tempfile.TemporaryDirectory() as directory:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", directory], capture_output=True)
        if mounted.returncode == 0:
            subprocess.run(["umount", directory], check=True)
        return mounted.returncode == 0


collect_ignore = [] if may_mount() else ["test_mounted_disks.py"]


@pytest.fixture
def devices(tmp_path):
    """Two devices below a directory of their own, beside which nothing may ever change."""
    root = tmp_path / "docroot"
    root.mkdir()
    devices = Devices(root)
    for devid in (1, 2):
        devices.add(devid)
    yield devices
    devices.close()


@pytest.fixture
async def open_door(devices):
    """Start storage doors on those devices (or others); returns the door, with its ``address``."""
    doors = []

    async def start(devices=devices, **options):
        doors.append(StorageDoor(devices, **options))
        doors[-1].address = await doors[-1].start("127.0.0.1", 0)
        return doors[-1]

    yield start
    for door in doors:
        await door.stop()


@pytest.fixture
async def door(open_door):
    return await open_door()


@pytest.fixture
def files():
    """Every file below a directory, relative to it."""

    def files(root):
        return sorted(
            os.path.relpath(os.path.join(at, name), root)
            for at, _, names in os.walk(root)
            for name in names
        )

    return files
