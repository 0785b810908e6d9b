"""What is recognised without the parser, and that it is answered just the same."""

from __future__ import annotations

import os

import pytest

from mogilefs.node.devices import Devices
from mogilefs.node.storage.plain import MAX_HEAD, plain_get, plain_put
from tests.support.conversation import ask, put, request

FILE = "/dev1/0/000/000/0000000001.fid"
GET = request("GET", FILE)
HOST = "Host: x"


def get_of(*lines):
    """What a GET of these lines is taken for."""
    data = bytearray("\r\n".join([*lines, "", ""]).encode("latin-1"))
    return plain_get(data, len(data))


def put_of(*lines, body=b"bytes"):
    data = bytearray("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
    return plain_put(data, len(data))


USUAL = [
    [],
    ["User-Agent: x/1", "Accept: */*", "Accept-Encoding: gzip", "Content-Type: image/png"],
    ["Connection: keep-alive", "X-Forwarded-For: ::1", "X-Real-IP: ::1"],
]


@pytest.mark.parametrize("fields", USUAL)
@pytest.mark.parametrize("host", [HOST, "host: x", "Host:"])
def test_what_nearly_all_send_is_plain(fields, host):
    place = get_of(f"GET {FILE} HTTP/1.1", host, *fields)
    assert place is not None
    assert (place.devid, place.path) == (1, FILE[len("/dev1/") :])
    for at in range(len(fields) + 1):
        length = [*fields[:at], "Content-Length: 5", *fields[at:]]
        assert put_of(f"PUT {FILE} HTTP/1.1", host, *length) == (place, b"bytes")


ODD_LINES = [
    [f"{{}} {FILE} HTTP/1.1"],
    [f"{{}} {FILE} HTTP/1.0", HOST],
    [f"{{}} {FILE}?x HTTP/1.1", HOST],
    [f"{{}} http://x{FILE} HTTP/1.1", HOST],
    ["{} /dev1/usage HTTP/1.1", HOST],
    ["{} /dev1/0/000/001/0000000001.fid HTTP/1.1", HOST],
    *(
        [f"{{}} {FILE} HTTP/1.1", HOST, field]
        for field in (
            *("Range: bytes=0-0", "If-Range: x", "If-Modified-Since: x", "Connection: close"),
            *("Transfer-Encoding: chunked", "Expect: 100-continue", "Content-MD5: x", HOST),
            *("Upgrade: x", "Accept: \x00", "Accept: a\x7f", "Accept : x", " folded", "x"),
            f"Accept: {'x' * MAX_HEAD}",
        )
    ),
]


@pytest.mark.parametrize("lines", ODD_LINES)
def test_what_may_change_the_answer_is_not_plain(lines):
    line, *fields = lines
    assert get_of(line.format("GET"), *fields) is None
    assert put_of(line.format("PUT"), *fields, "Content-Length: 5") is None


@pytest.mark.parametrize("method", ["HEAD", "get", "DELETE", "PUT"])
def test_no_other_method_is_a_plain_get(method):
    assert get_of(f"{method} {FILE} HTTP/1.1", HOST) is None


@pytest.mark.parametrize(
    "fields",
    [
        [],
        ["Content-Length: 4"],
        ["Content-Length: 6"],
        ["Content-Length: +5"],
        ["Content-Length: 5", "Content-Length: 5"],
    ],
)
def test_an_upload_is_plain_only_with_all_of_its_body(fields):
    assert put_of(f"PUT {FILE} HTTP/1.1", HOST, *fields) is None


def test_only_one_whole_request_is_plain():
    data = bytearray(GET + GET)
    assert plain_get(data, len(GET)) is not None
    for size in (len(GET) - 1, len(GET) + 1, len(data)):
        assert plain_get(data, size) is None


async def test_plain_and_parsed_requests_get_the_same_answers(door, devices):
    assert plain_get(bytearray(GET), len(GET)) is not None
    for content in (b"", b"x", os.urandom(100_000)):
        upload = put(FILE, content)
        assert plain_put(bytearray(upload), len(upload)) is not None
        for asked in (upload, GET):
            plain = await ask(door.address, asked)
            parsed = await ask(door.address, asked.replace(b"Host: x", b"Host: x\r\nX: y"))
            for reply in (plain, parsed):
                reply.headers.pop("Date")
                reply.headers.pop("Last-Modified", None)  # of the first upload, or of the second
            assert plain == parsed
        assert devices.path(1, 1).read_bytes() == content
    assert door.answers == {(b"PUT", b"200"): 6, (b"GET", b"200"): 6}


async def test_a_plain_upload_that_is_refused_leaves_nothing(open_door, tmp_path, files):
    devices = Devices(tmp_path / "small", quota=10)
    devices.root.mkdir()
    devices.add(1)
    door = await open_door(devices)
    assert (await ask(door.address, put(FILE, b"x" * 11))).status == 507
    assert (await ask(door.address, put(FILE.replace("dev1", "dev9"), b"x"))).status == 404
    assert files(devices.root) == []
    assert (await ask(door.address, put(FILE, b"x" * 10))).status == 200
    devices.close()
