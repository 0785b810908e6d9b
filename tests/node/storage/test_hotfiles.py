"""Small files that are asked for often, kept open for a moment."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from mogilefs.node.storage.downloads import SMALL
from mogilefs.node.storage.hotfiles import MOST
from mogilefs.node.storage.requests import plain_place
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


HOST = "Host: x"


@pytest.mark.parametrize(
    "fields",
    [
        [HOST],
        ["host: x"],
        [HOST, "User-Agent: x/1", "Accept: */*", "Accept-Encoding: gzip"],
        [HOST, "Connection: keep-alive", "X-Forwarded-For: ::1", "X-Real-IP: ::1"],
        ["Host:"],
    ],
)
def test_what_nearly_all_send_is_plain(fields):
    assert is_plain(f"GET {FILE} HTTP/1.1", *fields)


@pytest.mark.parametrize(
    "lines",
    [
        [f"GET {FILE} HTTP/1.1"],
        [f"GET {FILE} HTTP/1.0", HOST],
        [f"HEAD {FILE} HTTP/1.1", HOST],
        [f"get {FILE} HTTP/1.1", HOST],
        [f"GET {FILE}?x HTTP/1.1", HOST],
        [f"GET http://x{FILE} HTTP/1.1", HOST],
        ["GET /dev1/usage HTTP/1.1", HOST],
        ["GET /dev1/0/000/001/0000000001.fid HTTP/1.1", HOST],
        *(
            [f"GET {FILE} HTTP/1.1", HOST, field]
            for field in (
                *("Range: bytes=0-0", "If-Range: x", "If-Modified-Since: x", "Connection: close"),
                *("Content-Length: 1", "Transfer-Encoding: chunked", "Expect: 100-continue"),
                *(
                    "Upgrade: x",
                    HOST,
                    "Accept: \x00",
                    "Accept: a\x7f",
                    "Accept : x",
                    " folded",
                    "x",
                ),
            )
        ),
    ],
)
def test_what_may_change_the_answer_is_not_plain(lines):
    assert not is_plain(*lines)


def test_only_one_whole_request_is_plain():
    data = bytearray(GET + GET)
    assert plain_place(data, len(GET)) is not None
    for size in (len(GET) - 1, len(GET) + 1, len(data)):
        assert plain_place(data, size) is None


def is_plain(*lines):
    data = bytearray("\r\n".join([*lines, "", ""]).encode("latin-1"))
    place = plain_place(data, len(data))
    assert place is None or (place.devid, place.path) == (1, FILE[len("/dev1/") :])
    return place is not None


async def test_plain_and_parsed_requests_get_the_same_answer(door, path):
    plain = await ask(door.address, GET)
    parsed = await ask(door.address, GET.replace(b"Host: x", b"Host: x\r\nX: y"))
    assert plain_place(bytearray(GET), len(GET))
    for reply in (plain, parsed):
        reply.headers.pop("Date")
    assert plain == parsed
    assert door.answers[b"GET", b"200"] == 2
