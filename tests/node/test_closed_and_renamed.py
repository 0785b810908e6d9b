"""How an upload ends that must replace nothing: create_close and rename, sent in one packet."""

from __future__ import annotations

import struct
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from mogilefs import Client
from mogilefs.node import Node
from tests.support.recorded import Reply, Tracker

WAL_HEADER, FRAME_HEADER, PAGE = 32, 24, 4096


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    free = {"tracker": "127.0.0.1:0", "storage": "127.0.0.1:0", "sidechannel": "127.0.0.1:0"}
    with Node(tmp_path / "node", domains={"demo": {"one": 1}}, **free).in_thread() as node:
        yield node


@pytest.fixture
def client(node: Node) -> Iterator[Client]:
    with Client("demo", node.tracker) as client:
        yield client


@pytest.fixture
def tracker(node: Node) -> Iterator[Tracker]:
    tracker = Tracker(node.tracker)
    yield tracker
    tracker.close()


def opened(tracker: Tracker) -> str:
    """An upload whose bytes are on their device; the arguments that close it."""
    values = tracker.ask("create_open domain=demo&class=one&key=private").args
    put = urllib.request.Request(values["path"], b"bytes", method="PUT")
    urllib.request.urlopen(put, timeout=20).close()
    return "domain=demo&key=private&" + "&".join(f"{key}={text}" for key, text in values.items())


def end(tracker: Tracker, close: str, rename: str) -> list[str]:
    """Send both lines at once: OK, or the error's code, for each."""
    tracker.send(f"create_close {close}\r\nrename domain=demo&from_key=private{rename}\r\n")
    replies = [Reply.parse(tracker.line()) for _ in range(2)]
    return [reply.code or reply.status for reply in replies]


def commits(node: Node) -> int:
    """How many transactions the catalogue's WAL holds: frames that say how large it is then."""
    wal = Path(f"{node.catalog.path}-wal").read_bytes()[WAL_HEADER:]
    return sum(
        struct.unpack(">I", wal[start + 4 : start + 8])[0] > 0
        for start in range(0, len(wal), FRAME_HEADER + PAGE)
    )


def test_both_are_committed_together(node: Node, client: Client, tracker: Tracker) -> None:
    shared = False
    for number in range(20):  # another row may be written just then, but not each time
        upload, before = opened(tracker), commits(node)
        assert end(tracker, upload, f"&to_key=k{number}") == ["OK", "OK"]
        shared = shared or commits(node) == before + 1
    assert shared
    assert [client.read(f"k{number}") for number in range(20)] == [b"bytes"] * 20
    assert list(client.keys()) == sorted(f"k{number}" for number in range(20))


def test_a_key_that_is_taken_stays_as_it_is(client: Client, tracker: Tracker) -> None:
    client.store("taken", b"old")
    assert end(tracker, opened(tracker), "&to_key=taken") == ["OK", "key_exists"]
    assert (client.read("taken"), client.read("private")) == (b"old", b"bytes")


def test_what_was_not_closed_is_not_renamed(client: Client, tracker: Tracker) -> None:
    assert end(tracker, f"{opened(tracker)}&size=6", "&to_key=new") == [
        "size_mismatch", "unknown_key",
    ]  # fmt: skip
    assert list(client.keys()) == []


def test_a_rename_that_says_too_little_is_told_so_in_its_turn(
    client: Client, tracker: Tracker
) -> None:
    assert end(tracker, opened(tracker), "") == ["OK", "no_key"]
    assert client.read("private") == b"bytes"


def test_later_renames_are_made_by_themselves(client: Client, tracker: Tracker) -> None:
    assert end(tracker, opened(tracker), "&to_key=first") == ["OK", "OK"]
    assert tracker.ask("rename domain=demo&from_key=first&to_key=second").status == "OK"
    assert tracker.ask("rename domain=demo&from_key=first&to_key=third").code == "unknown_key"
    assert list(client.keys()) == ["second"]
