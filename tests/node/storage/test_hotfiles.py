"""Small files that are asked for often, kept open for a moment."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from mogilefs.node.storage.downloads import SMALL
from mogilefs.node.storage.hotfiles import MOST
from tests.support.conversation import ask, put, request

FILE = "/dev1/0/000/000/0000000001.fid"
GET = request("GET", FILE)


@pytest.fixture
def path(devices):
    path = devices.path(1, 1)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"first")
    return path


def open_files(devices):
    """The files below the devices that this process has open."""
    paths = (os.readlink(f"/proc/self/fd/{fd}") for fd in own_descriptors())
    return [path for path in paths if path.startswith(str(devices.root)) and ".fid" in path]


def own_descriptors():
    return [fd for fd in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{fd}")]


async def test_a_file_that_is_asked_for_again_is_not_opened_again(door, path):
    opened = []

    def note(event, given):
        if event == "open" and given[0] == str(path):
            opened.append(given[0])

    sys.addaudithook(note)
    for _ in range(3):
        assert (await ask(door.address, GET)).body == b"first"
    assert len(opened) == 1


@pytest.mark.parametrize("size", [0, 1, SMALL, SMALL + 1])
async def test_what_is_in_its_place_now_is_answered(door, devices, path, size):
    content = os.urandom(size)
    assert (await ask(door.address, GET)).body == b"first"
    assert (await ask(door.address, put(FILE, content))).status == 200
    for _ in range(2):
        assert (await ask(door.address, GET)).body == content


async def test_a_file_that_changes_in_its_place_is_answered_as_it_is(door, path):
    await ask(door.address, GET)
    path.write_bytes(b"1st")
    assert (await ask(door.address, GET)).body == b"1st"


@pytest.mark.parametrize(
    "loss", [lambda path: path.unlink(), lambda path: shutil.rmtree(path.parents[3])]
)
async def test_a_file_that_is_gone_is_gone_at_once(door, path, loss):
    assert (await ask(door.address, GET)).status == 200
    loss(path)
    assert (await ask(door.address, GET)).status == 404


async def test_few_files_are_kept_open_and_not_for_long(door, devices):
    for fid in range(1, MOST + 1):
        url = f"/dev1/0/000/000/{fid:010}.fid"
        assert (await ask(door.address, put(url, b"x"))).status == 200
        assert (await ask(door.address, request("GET", url))).body == b"x"
    assert 0 < len(open_files(devices)) <= MOST
    door.hot_files.grow_old()
    door.hot_files.grow_old()
    assert open_files(devices) == []


async def test_nothing_is_open_when_the_door_has_stopped(door, devices, path):
    await ask(door.address, GET)
    assert open_files(devices) == [str(path)]
    await door.stop()
    assert open_files(devices) == []
