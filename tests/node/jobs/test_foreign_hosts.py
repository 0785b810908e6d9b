"""Another host's devices, reached over HTTP: copied to and from, checked, deleted from, lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mogilefs.node.layout import file_path
from tests.support.farm import Farm, until

BYTES = b"far away " * 100_000


class TwoHosts(Farm):
    """A farm with two devices, and another node whose device 7 is a second host's."""

    def __init__(self, directory: Path, far: str = "127.0.0.2:0") -> None:
        super().__init__(directory / "near", devices=2)
        self.far = Farm(directory / "far", devices=0, storage=far)
        self.far.options["devices"] = [7]

    def start(self) -> None:
        super().start()
        self.far.start()
        host, _, port = self.far.node.storage.rpartition(":")
        self.client.admin.create_host("far", host.strip("[]"), int(port), status="alive")
        self.client.admin.create_device("far", 7)
        until(lambda: self.observed(7) == "writeable")
        self.client.admin.create_class("demo", "sure", mindevcount=2, hashtype="MD5")

    def stop(self) -> None:
        self.far.stop()
        super().stop()

    def far_copy(self, fid: int) -> Path:
        return self.far.directory / "dev7" / file_path(fid)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[TwoHosts]:
    with TwoHosts(tmp_path) as hosts:
        yield hosts


def test_copies_go_to_the_other_host_and_come_from_it(hosts: TwoHosts) -> None:
    for number in range(8):  # some are stored here first, some there
        key = f"k{number}"
        fid = hosts.store(key, BYTES, "sure", 2)
        assert 7 in hosts.locations(key)
        assert hosts.far_copy(fid).read_bytes() == BYTES
        assert list(hosts.copies(fid).values()) == [BYTES]
    assert hosts.fsck() == {}


def test_a_host_may_have_an_address_of_ipv6(tmp_path: Path) -> None:
    with TwoHosts(tmp_path, far="[::1]:0") as hosts:
        fid = hosts.store("key", BYTES, "sure", 2)
        assert hosts.far_copy(fid).read_bytes() == BYTES
        assert hosts.fsck() == {}


def test_deletion_reaches_the_other_host(hosts: TwoHosts) -> None:
    fid = hosts.store("key", BYTES, "pair", 2)
    hosts.client.delete("key")
    until(lambda: not hosts.far_copy(fid).exists() and not hosts.copies(fid))


def test_a_spoiled_copy_far_away_is_found_and_mended(hosts: TwoHosts) -> None:
    fid = hosts.store("key", BYTES, "sure", 2)
    hosts.far_copy(fid).write_bytes(BYTES.upper())
    assert hosts.fsck() == {"BSUM": 1, "REPL": 1}
    until(lambda: hosts.far_copy(fid).read_bytes() == BYTES)
    until(lambda: hosts.locations("key").count(7) == 1)


def test_a_spoiled_source_is_not_sent_away(hosts: TwoHosts) -> None:
    hosts.set_state(7, "down", host="far")
    fid = hosts.store("key", BYTES, "sure", 2)
    bad = hosts.locations("key")[0]
    hosts.copy(bad, fid).write_bytes(BYTES.upper())
    hosts.client.admin.update_class("demo", "sure", mindevcount=3, hashtype="MD5")
    hosts.set_state(7, "alive", host="far")
    hosts.rows("INSERT INTO file_to_replicate (fid, nexttry, fromdevid) VALUES (?, 0, ?)", fid, bad)
    until(lambda: 7 in hosts.locations("key"))
    assert hosts.far_copy(fid).read_bytes() == BYTES


def test_a_host_that_dies_is_seen_and_gets_nothing_new(hosts: TwoHosts) -> None:
    hosts.store("key", BYTES, "pair", 2)
    hosts.far.stop()
    until(lambda: hosts.observed(7) == "unreachable")
    for number in range(10):
        hosts.client.store(f"n{number}", b"new", mogile_class="thumb")
        assert hosts.locations(f"n{number}") != [7]
    assert hosts.client.read("key") == BYTES
    assert hosts.fsck().keys() <= {"POVI", "REPL"}  # nothing is said to be missing over there
    assert 7 in hosts.locations("key")


def test_what_waited_for_another_host_is_done_when_the_node_starts(hosts: TwoHosts) -> None:
    gone, short = hosts.store("gone", BYTES, "pair", 2), hosts.store("short", BYTES, "thumb")
    Farm.stop(hosts)
    waits = int(time.time()) + 86_400
    hosts.rows("DELETE FROM file WHERE fid = ?", gone)
    hosts.rows(
        "INSERT INTO file_to_delete2 (fid, nexttry, failcount) VALUES (?, ?, 9)", gone, waits
    )
    hosts.rows(
        "INSERT INTO file_to_replicate (fid, nexttry, failcount) VALUES (?, ?, 9)", short, waits
    )
    hosts.rows(
        "UPDATE file SET classid = (SELECT classid FROM class WHERE classname = 'pair')"
        " WHERE fid = ?",
        short,
    )
    Farm.start(hosts)
    until(lambda: not hosts.far_copy(gone).exists(), "the deletion")
    until(lambda: len(hosts.locations("short")) == 2, "the copy")
