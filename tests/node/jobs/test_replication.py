"""Copies come to where the class wants them, and surplus ones go."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mogilefs.node.jobs import Timings
from tests.support.farm import Farm, until


def test_an_avatar_has_its_three_replicas_at_once(tmp_path: Path) -> None:
    with Farm(tmp_path, timings=Timings(poll=3600)) as farm:  # who waits for a poll waits in vain
        fid = farm.client.store("face", b"bytes", mogile_class="avatar").fid
        until(lambda: len(farm.locations("face")) == 3)
        assert farm.copies(fid) == dict.fromkeys(farm.locations("face"), b"bytes")
        until(farm.idle)
        assert farm.rows("SELECT devcount FROM file") == [(3,)]


def test_a_thumb_stays_alone(farm: Farm) -> None:
    fid = farm.store("small", b"bytes")
    assert len(farm.copies(fid)) == 1
    assert farm.rows("SELECT * FROM file_to_replicate") == []


def test_an_empty_file_is_replicated_too(farm: Farm) -> None:
    fid = farm.store("empty", b"", "pair", 2)
    assert list(farm.copies(fid).values()) == [b"", b""]


def test_many_files_are_copied_whole(farm: Farm) -> None:
    contents = {f"k{number}": bytes([number]) * (number * 4001) for number in range(40)}
    fids = {
        key: farm.client.store(key, content, mogile_class="avatar").fid
        for key, content in contents.items()
    }
    until(farm.idle)
    for key, fid in fids.items():
        assert list(farm.copies(fid).values()) == [contents[key]] * 3


def test_a_raised_class_adds_copies_and_a_lowered_one_removes_them(farm: Farm) -> None:
    fid = farm.store("face", b"bytes")
    farm.client.set_class("face", "avatar")
    until(lambda: len(farm.locations("face")) == 3 and farm.idle())
    farm.client.set_class("face", "thumb")
    until(lambda: len(farm.locations("face")) == 1 and farm.idle())
    assert farm.copies(fid) == {farm.locations("face")[0]: b"bytes"}
    assert farm.client.info("face").devcount == 1


@pytest.mark.parametrize(
    ("policy", "copies"),
    [("MultipleDevices(3)", 3), ("Union(MultipleHosts(1),MultipleHosts(2))", 2)],
)
def test_a_class_follows_its_policy(farm: Farm, policy: str, copies: int) -> None:
    farm.client.admin.create_class("demo", "own", mindevcount=1, replpolicy=policy)
    farm.store("key", b"bytes", "own", copies)


def test_a_copy_computes_the_checksum_that_the_class_wants(farm: Farm) -> None:
    farm.client.admin.create_class("demo", "sure", mindevcount=2, hashtype="MD5")
    farm.store("key", b"bytes", "sure", 2)
    assert farm.client.info("key").checksum == "MD5:4b3a6218bb3e3a7303e8a171a60fcf92"


def test_a_spoiled_copy_is_not_copied(farm: Farm) -> None:
    farm.client.admin.create_class("demo", "sure", mindevcount=2, hashtype="SHA-1")
    fid = farm.store("key", b"bytes", "sure", 2)
    bad = farm.locations("key")[0]
    farm.copy(bad, fid).write_bytes(b"Bytes")
    farm.client.admin.update_class("demo", "sure", mindevcount=4, hashtype="SHA-1")
    farm.rows("INSERT INTO file_to_replicate (fid, nexttry, fromdevid) VALUES (?, 0, ?)", fid, bad)
    until(lambda: len(farm.locations("key")) == 4 and farm.idle())
    spoiled = [devid for devid, content in farm.copies(fid).items() if content != b"bytes"]
    assert spoiled == [bad]


def test_of_too_many_copies_the_spoiled_one_goes(farm: Farm) -> None:
    fid = farm.store("key", b"bytes", "avatar", 3)
    cut = farm.locations("key")[2]
    farm.copy(cut, fid).write_bytes(b"by")
    farm.client.set_class("key", "pair")
    until(lambda: len(farm.locations("key")) == 2 and farm.idle())
    assert list(farm.copies(fid).values()) == [b"bytes"] * 2


def test_what_cannot_be_done_now_is_postponed_and_can_be_hurried(tmp_path: Path) -> None:
    with Farm(tmp_path, devices=1) as farm:
        before = int(time.time())
        fid = farm.client.store("key", b"bytes", mogile_class="pair").fid
        [(nexttry, failures)] = until(
            lambda: farm.rows(
                "SELECT nexttry, failcount FROM file_to_replicate WHERE nexttry > 0 AND fid = ?",
                fid,
            )
        )
        assert before + 12 <= nexttry <= time.time() + 18  # 15 s, give or take a fifth
        assert failures == 1
        before = int(time.time())
        assert farm.client.admin.replicate_now() == 1
        [(nexttry,)] = until(
            lambda: farm.rows("SELECT nexttry FROM file_to_replicate WHERE failcount = 2")
        )
        assert before + 48 <= nexttry <= time.time() + 72  # a minute


def test_a_new_device_gets_the_copies_that_were_short(tmp_path: Path) -> None:
    with Farm(tmp_path, devices=2) as farm:
        farm.store("face", b"bytes", "avatar", 2)  # on every device there is: that is enough
        farm.client.admin.create_device("node", 9)
        until(lambda: 9 in farm.locations("face"))
        assert len(farm.locations("face")) == 3


def test_a_copy_that_nobody_knows_of_is_taken_for_the_next_one(farm: Farm) -> None:
    fid = farm.store("face", b"bytes", "avatar", 3)
    lost = farm.locations("face")[1]
    farm.rows("DELETE FROM file_on WHERE fid = ? AND devid = ?", fid, lost)
    farm.rows("INSERT INTO file_to_replicate (fid, nexttry) VALUES (?, 0)", fid)
    until(lambda: lost in farm.locations("face"))
    assert len(farm.copies(fid)) == 3


def test_a_file_that_the_catalogue_has_nowhere_is_found_again(farm: Farm) -> None:
    fid = farm.store("face", b"bytes", "avatar", 3)
    farm.rows("DELETE FROM file_on WHERE fid = ?", fid)
    farm.rows("INSERT INTO file_to_replicate (fid, nexttry) VALUES (?, 0)", fid)
    until(lambda: len(farm.locations("face")) == 3)
    assert farm.client.read("face") == b"bytes"


def test_a_copy_too_many_that_nobody_knows_of_is_removed(farm: Farm) -> None:
    fid = farm.store("face", b"bytes", "pair", 2)
    other = next(devid for devid in (1, 2, 3, 4) if devid not in farm.locations("face"))
    farm.copy(other, fid).parent.mkdir(parents=True, exist_ok=True)
    farm.copy(other, fid).write_bytes(b"byt")  # as a copy looks that a crash broke off
    farm.rows("INSERT INTO file_to_replicate (fid, nexttry) VALUES (?, 0)", fid)
    until(lambda: other not in farm.copies(fid))
    assert len(farm.locations("face")) == 2


def test_without_any_source_a_file_waits_for_ever(farm: Farm) -> None:
    fid = farm.store("face", b"bytes", "thumb")
    farm.rows("DELETE FROM file_on WHERE fid = ?", fid)
    for devid in farm.copies(fid):
        farm.copy(devid, fid).unlink()
    farm.rows("INSERT INTO file_to_replicate (fid, nexttry) VALUES (?, 0)", fid)
    until(lambda: farm.rows("SELECT 1 FROM file_to_replicate WHERE nexttry = 2147483647"))
