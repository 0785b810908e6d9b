"""No input stops the tracker door, makes it fall silent or finds a fault in it."""

from __future__ import annotations

import itertools
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mogilefs.node.commands import COMMANDS

EXAMPLES = 600
LINES = 40
"""Lines in an example at most."""

NOT_ASKED = {"test", "edit_file", "sleep"}
"""Commands that fail or take their time as they should."""

_numbers = st.sampled_from([b"0", b"1", b"-1", b"3", b"99999999999999999999", b"1e9", b"abc"])
_words = st.sampled_from(
    [
        b"demo",
        b"one",
        b"default",
        b"node",
        b"alive",
        b"dead",
        b"MD5",
        b"%00",
        b"%zz",
        b"+",
        b"",
        b"k",
    ]
)
_values = st.one_of(_numbers, _words, st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"")))
_names = st.sampled_from(
    b"domain key class fid devid path size checksum checksumverify from_key to_key prefix after"
    b" limit from to host hostname hostid ip port getport altip altmask status state weight device"
    b" devices mindevcount hashtype replpolicy value policy startpos policy_only multi_dest"
    b" noverify pathcount zone callid".split()
)
_commands = st.sampled_from([name.encode() for name in sorted(set(COMMANDS) - NOT_ASKED)])
_requests = st.tuples(_commands, st.lists(st.tuples(_names, _values), max_size=6)).map(
    lambda request: request[0] + b" " + b"&".join(b"=".join(pair) for pair in request[1])
)
_noise = st.binary(min_size=1, max_size=80).map(
    lambda b: b.replace(b"\n", b" ").replace(b"!", b"?")
)
_admin = st.sampled_from(
    [b"!version", b"!queue", b"!want", b"!to x y", b"!jobs", b"!shutdown", b"!"]
)


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """A node in a process of its own: nothing of it runs among the examples."""
    directory = tmp_path_factory.mktemp("node")
    doors = [f"--{door}=127.0.0.1:0" for door in ("tracker", "storage", "sidechannel")]
    command = [sys.executable, "-m", "mogilefs", "node", str(directory / "data"), *doors]
    options = ["--domain=demo", "--class=one:1", "--durability=relaxed", "--log-json"]
    with (directory / "log").open("w") as log:
        node = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=log)
        assert node.stdout is not None
        with node, node.stdout:
            port = re.search(rb"tracker 127.0.0.1:([0-9]+)", node.stdout.readline())
            assert port is not None
            yield "127.0.0.1", int(port[1])
            node.terminate()
            assert node.wait(20) == 0
    made = {path.name for path in (directory / "data").iterdir()}
    assert all(re.fullmatch(r"dev[0-9]+|mogilefs.sqlite|node.lock", name) for name in made), made
    events = map(json.loads, (directory / "log").read_text().splitlines())
    assert [event for event in events if event["level"] == "error"] == []


_serial = itertools.count()


@pytest.mark.timeout(600)
@settings(max_examples=EXAMPLES, deadline=None, database=None)
@given(
    lines=st.lists(
        st.one_of(_requests, _requests, _noise, _admin), min_size=LINES // 2, max_size=LINES
    )
)
def test_whatever_is_sent_is_answered(tracker: tuple[str, int], lines: list[bytes]) -> None:
    last = b"END%d" % next(_serial)
    with socket.create_connection(tracker, timeout=20) as connection:
        connection.sendall(b"".join(line + b"\r\n" for line in [*lines, b"noop callid=" + last]))
        with connection.makefile("rb") as replies:
            for reply in replies:
                assert not reply.startswith(b"ERR failure")
                if reply == b"OK callid=" + last + b"\r\n":
                    return
    pytest.fail("the connection ended early")
