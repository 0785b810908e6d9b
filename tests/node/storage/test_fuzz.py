"""Ten thousand inputs that no client would send, and some that one would."""

import itertools
import logging
import os
import re
import socket
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mogilefs.node.devices import Devices
from mogilefs.node.sidechannel import Sidechannel
from mogilefs.node.storage import Limits, StorageDoor
from mogilefs.node.storage.replies import REASONS
from tests.support.loops import running_loop

EXAMPLES = 100
HALVES = {"min_size": 10, "max_size": 10}
"""An example is ten beginnings and ten ends, and each of them put together: 100 inputs."""

FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

NAMES = r"""
dev1 dev2 dev77 dev0 dev 0 000 001 9 999 0000000001.fid 0000000002.fid 00000000010.fid usage
test-write test-write-1 test-md5 .incoming .. . %2e%2e ..%2f %00 %2F \..\ mogilefs.sqlite canary
etc passwd %zz a%20b x?y #z ~
"""
SEGMENTS = st.sampled_from(NAMES.split())
GOOD = st.sampled_from(["/dev1/0/000/000/0000000001.fid", "/dev2/test-write/test-write-1"])
TOPS = st.sampled_from(["/dev1/", "/dev2/", "/dev1/0/", "/"])
PATHS = st.tuples(TOPS, st.lists(SEGMENTS, max_size=5).map("/".join)).map("".join)
URLS = st.one_of(GOOD, PATHS, PATHS.map("http://x{}".format), st.text(max_size=20))
METHODS = st.sampled_from(
    ["GET", "HEAD", "PUT", "PUT", "DELETE", "MKCOL", "POST", "CONNECT", "get"]
)
VERSIONS = st.sampled_from([*["HTTP/1.1", "HTTP/1.0"] * 4, "HTTP/2.0", "HTTP/0.9", "", "x"])
NUMBERS = st.sampled_from(["0", "1", "3", "5", "-1", "99999999999999999999", "1e3", "x", "", "٣"])
FIELDS = st.one_of(
    NUMBERS.map("Content-Length: {}".format),
    st.sampled_from(
        [
            "Transfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Connection: close",
            "Connection: keep-alive",
            "Connection: upgrade\r\nUpgrade: websocket",
            "Expect: 100-continue",
            "Content-MD5: gNjsipCeqqc5FI7PSjbDXA==",
            "Content-MD5: \xff",
            "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
            "If-Modified-Since: Sun, 99 Nov 99999 99:99:99 +9999",
            "If-Range: x",
            "Content-Range: bytes 0-1/2",
            " folded",
            "no colon",
            "\0: \0",
        ]
    ),
    st.tuples(NUMBERS, NUMBERS).map(lambda pair: "Range: bytes={}-{}".format(*pair)),
)
BODIES = st.sampled_from(["", "x", "abc", "hello", "3\r\nabc\r\n0\r\n\r\n", "zz\r\n", "0\r\n\r\n"])


def _encoded(text):
    return text.encode("utf-8", "surrogatepass")


def _cut(pair):
    """Often all of it, sometimes only its first bytes."""
    text, length = pair
    return text[:length]


LINES_OF_REQUESTS = st.tuples(METHODS, URLS, VERSIONS, st.lists(FIELDS, max_size=2)).map(
    lambda drawn: _encoded("\r\n".join([" ".join(drawn[:3]), "Host: x", *drawn[3], ""]))
)
BEGINNINGS = st.one_of(LINES_OF_REQUESTS, LINES_OF_REQUESTS, st.binary(max_size=30))
WHOLE_ENDS = st.tuples(st.lists(FIELDS, max_size=2), BODIES).map(
    lambda drawn: _encoded("\r\n".join([*drawn[0], "", drawn[1]]))
)
ENDS = st.one_of(
    WHOLE_ENDS,
    st.tuples(WHOLE_ENDS, st.integers(0, 60)).map(_cut),
    st.tuples(WHOLE_ENDS, BEGINNINGS, WHOLE_ENDS).map(b"".join),
    st.binary(max_size=30),
)

COMMANDS = st.one_of(
    st.sampled_from(["size", "MD5", "SHA-1", "SIZE", "show", "version", "size  ", "\0size"]),
    st.text(max_size=20),
).map(_encoded)
ARGUMENTS = st.one_of(PATHS, GOOD, st.text(max_size=10)).map(_encoded)


MADE_BY_PUT = re.compile(
    r"/dev[12]/([0-9]/[0-9]{3}/[0-9]{3}/[0-9]{10,}\.fid|test-write/[\w-][\w.-]*)", re.ASCII
)


class Faults(logging.Handler):
    """Collects what no input may cause: a traceback, or an error from asyncio."""

    def __init__(self):
        super().__init__()
        self.found = []

    def emit(self, record):
        if record.exc_info or (record.name == "asyncio" and record.levelno >= logging.ERROR):
            self.found.append(self.format(record))


@pytest.fixture
def world(tmp_path):
    """Two devices, something beside them, and an event loop for the doors in its own thread."""
    (tmp_path / "canary").write_text("canary")
    devices = Devices(tmp_path / "docroot")
    devices.root.mkdir()
    (devices.root / "mogilefs.sqlite").write_text("canary")
    for devid in (1, 2):
        devices.add(devid)
    faults = Faults()
    logging.getLogger().addHandler(faults)
    with running_loop() as run:
        yield devices, run
    logging.getLogger().removeHandler(faults)
    devices.close()
    assert faults.found == []
    _look_outside(tmp_path)


def _look_outside(top):
    for name in ["canary", "docroot/mogilefs.sqlite"]:
        assert (top / name).read_text() == "canary"
    assert sorted(os.listdir(top)) == ["canary", "docroot"]
    assert sorted(os.listdir(top / "docroot")) == ["dev1", "dev2", "mogilefs.sqlite"]
    for at, _, names in os.walk(top / "docroot"):
        for name in names:
            url = os.path.join(at, name)[len(str(top / "docroot")) :]
            assert url == "/mogilefs.sqlite" or MADE_BY_PUT.fullmatch(url), url


def exchange(address, data):
    """Send all of it on a new connection and return what comes back until the door closes."""
    with socket.create_connection(address, timeout=10) as connection:
        got = b""
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while more := connection.recv(2**16):
                got += more
        except ConnectionError:  # the door had closed before all was sent
            pass
        return got


@pytest.mark.timeout(600)
def test_ten_thousand_requests_do_no_harm(world):
    devices, run = world
    door = StorageDoor(devices, limits=Limits(body=4, head=2000, url=500))
    address = run(door.start("127.0.0.1", 0))
    threads = threading.active_count()

    @FUZZ
    @given(st.lists(BEGINNINGS, **HALVES), st.lists(ENDS, **HALVES))
    def fuzz(beginnings, ends):
        for data in map(b"".join, itertools.product(beginnings, ends)):
            got = exchange(address, data)
            assert not got or int(got.removeprefix(b"HTTP/1.1 ")[:3]) in {100, *REASONS}, data

    fuzz()
    assert exchange(address, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    run(door.stop())
    assert door.connections == 0
    assert threading.active_count() <= threads + 2 * 8


def test_ten_thousand_lines_do_no_harm(world):
    devices, run = world
    sidechannel = Sidechannel(devices)
    address = run(sidechannel.start("127.0.0.1", 0))

    @FUZZ
    @given(st.lists(COMMANDS, **HALVES), st.lists(ARGUMENTS, **HALVES))
    def fuzz(commands, arguments):
        lines = [
            b" ".join(pair).replace(b"\n", b"") for pair in itertools.product(commands, arguments)
        ]
        got = exchange(address, b"\r\n".join([*lines, b"size /dev9/usage", b""]))
        assert got.endswith(b"/dev9/usage -1\r\n")
        assert got.count(b"\r\n") >= len(lines) + 1

    fuzz()
    run(sidechannel.stop())
