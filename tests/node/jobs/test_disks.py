"""Disks that die, are emptied, disappear, fill up, turn read-only, or come back."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mogilefs import StorageUnavailable
from mogilefs.node.devices import Devices
from mogilefs.node.diskthreads import THREADS
from mogilefs.node.usage import try_write
from tests.support.farm import QUICK, UNSEEN, Farm, until


def stored(farm: Farm, count: int, mogile_class: str, copies: int) -> dict[str, int]:
    """Several files with all their copies; their fids by key."""
    keys = [f"k{number}" for number in range(count)]
    fids = {k: farm.client.store(k, k.encode(), mogile_class=mogile_class).fid for k in keys}
    until(lambda: all(len(farm.locations(key)) == copies for key in keys) and farm.idle())
    return fids


def test_a_dead_disk_heals(farm: Farm) -> None:
    fids = stored(farm, 30, "avatar", 3)
    (farm.directory / "dev2").rename(farm.directory / "away")
    farm.set_state(2, "dead")
    until(lambda: not farm.rows("SELECT 1 FROM file_on WHERE devid = 2"))
    until(lambda: all(len(farm.locations(key)) == 3 for key in fids) and farm.idle())
    for key, fid in fids.items():
        assert farm.copies(fid) == dict.fromkeys(farm.locations(key), key.encode())
        assert farm.client.read(key) == key.encode()


def test_the_oldest_trouble_is_mended_first(farm: Farm) -> None:
    fids = list(stored(farm, 30, "avatar", 3).values())
    farm.rows("DELETE FROM file_to_replicate")
    claims = farm.node.jobs.context.claims
    until(lambda: not len(claims))
    for fid in fids:
        assert claims.take(fid)  # holds it up
    farm.set_state(2, "dead")
    until(lambda: not farm.rows("SELECT 1 FROM file_on WHERE devid = 2"))
    queued = farm.rows("SELECT fid FROM file_to_replicate ORDER BY nexttry, rowid")
    assert len(queued) > 10
    assert queued == sorted(queued)
    for fid in fids:
        claims.release(fid)
    until(lambda: all(len(farm.locations(f"k{number}")) == 3 for number in range(30)))


def test_traffic_goes_on_while_a_disk_is_healed(farm: Farm) -> None:
    fids = stored(farm, 30, "avatar", 3)
    farm.set_state(2, "dead")
    fresh = farm.client.store("new", b"new", mogile_class="avatar").fid
    assert farm.client.read("new") == b"new"
    until(lambda: all(len(farm.locations(key)) == 3 for key in (*fids, "new")) and farm.idle())
    assert 2 not in farm.copies(fresh)


def test_a_disk_that_dies_under_an_upload_costs_it_nothing(farm: Farm) -> None:
    class Source(io.BytesIO):
        def read(self, limit: int | None = -1) -> bytes:
            if farm.observed(2) != "writeable":
                farm.set_state(2, "alive")
                until(lambda: farm.observed(2) == "writeable")
                farm.set_state(1, "dead")
            return super().read(limit)

    for devid in (2, 3, 4):
        farm.set_state(devid, "readonly")
        until(lambda devid=devid: farm.observed(devid) == "readable")
    farm.client.store("face", Source(b"bytes"), mogile_class="thumb")
    assert farm.client.read("face") == b"bytes"
    assert farm.locations("face") == [2]


def test_the_only_copy_on_a_dead_disk_is_missed_until_the_disk_comes_back(farm: Farm) -> None:
    fid = farm.store("only", b"bytes")
    [devid] = farm.locations("only")
    farm.set_state(devid, "dead")
    until(lambda: farm.client.info("only").devcount == 0)
    assert farm.client.paths("only") == []
    farm.set_state(devid, "down")
    farm.set_state(devid, "alive")
    until(lambda: farm.locations("only") == [devid])
    assert farm.client.read("only") == b"bytes"
    assert farm.fid("only") == fid


def test_drain_empties_a_disk(farm: Farm) -> None:
    fids = stored(farm, 30, "pair", 2)
    farm.set_state(3, "drain")
    until(lambda: not farm.rows("SELECT 1 FROM file_on WHERE devid = 3") and farm.idle())
    assert all(3 not in farm.copies(fid) for fid in fids.values())
    assert all(len(farm.locations(key)) == 2 for key in fids)
    assert all(farm.client.read(key) == key.encode() for key in fids)


def test_drain_keeps_the_copy_that_has_nowhere_to_go(tmp_path: Path) -> None:
    with Farm(tmp_path, devices=2) as farm:
        fid = farm.store("face", b"bytes", "pair", 2)
        farm.set_state(2, "drain")
        until(lambda: farm.rows("SELECT 1 FROM file_to_queue WHERE failcount > 0"))
        assert farm.locations("face") == [1, 2]
        assert len(farm.copies(fid)) == 2


def test_drain_keeps_a_copy_while_another_is_not_sound(farm: Farm) -> None:
    fid = farm.store("face", b"bytes", "pair", 2)
    drained, spoiled = farm.locations("face")
    farm.rows("UPDATE file SET classid = 1")  # one copy would do
    farm.copy(spoiled, fid).write_bytes(b"by")
    farm.set_state(drained, "drain")
    until(lambda: farm.rows("SELECT 1 FROM file_to_queue WHERE failcount > 0"))
    assert farm.copies(fid)[drained] == b"bytes"
    assert farm.client.read("face") == b"bytes"


def takes_nothing_new(farm: Farm, devid: int) -> bool:
    """Twenty files, none of which goes to the device."""
    fids = [farm.client.store(f"n{n}", b"new", mogile_class="thumb").fid for n in range(20)]
    return all(not farm.copy(devid, fid).exists() for fid in fids)


def test_a_disk_that_disappears_is_seen_and_gets_nothing_new(farm: Farm) -> None:
    face = farm.store("face", b"bytes", "avatar", 3)
    gone = farm.locations("face")[0]
    (farm.directory / f"dev{gone}").rename(farm.directory / "away")
    until(lambda: farm.observed(gone) == "unreachable")
    assert takes_nothing_new(farm, gone)
    assert farm.client.read("face") == b"bytes"
    assert not (farm.directory / f"dev{gone}").exists()
    assert farm.locations("face").count(gone) == 1  # it may come back: nothing is forgotten
    (farm.directory / "away").rename(farm.directory / f"dev{gone}")
    until(lambda: farm.observed(gone) == "writeable")
    assert len(farm.copies(face)) == 3


def test_a_file_in_the_place_of_a_disk_is_no_disk(farm: Farm) -> None:
    (farm.directory / "dev1").rename(farm.directory / "away")
    (farm.directory / "dev1").write_text("not a directory")
    until(lambda: farm.observed(1) == "unreachable")
    assert takes_nothing_new(farm, 1)


@contextmanager
def own_disk(directory: Path, size: str) -> Iterator[bool]:
    """A small file system of its own at ``directory``; False where one may not mount any."""
    directory.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(directory)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(directory)], check=True)


def test_a_disk_that_turns_read_only_is_seen_and_gets_nothing_new(tmp_path: Path) -> None:
    disk = tmp_path / "node" / "dev1"
    with own_disk(disk, "200m") as mounted, Farm(tmp_path / "node", devices=3) as farm:
        fid = farm.store("face", b"bytes", "avatar", 3)
        if mounted:
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        else:  # nothing can be written where uploads are kept, all else can be read
            (disk / ".incoming").rename(disk / "0000")
            (disk / ".incoming").write_text("")
        until(lambda: farm.observed(1) == "readable")
        assert takes_nothing_new(farm, 1)
        assert farm.copy(1, fid).read_bytes() == b"bytes"
        assert 1 in farm.locations("face")


def test_a_disk_whose_mount_is_lost_is_not_confused_with_the_directory_below(
    tmp_path: Path,
) -> None:
    disk = tmp_path / "node" / "dev1"
    with own_disk(disk, "200m") as mounted, Farm(tmp_path / "node", devices=3) as farm:
        if not mounted:
            disk.rename(tmp_path / "away")
        else:
            subprocess.run(["umount", "-l", str(disk)], check=True)
        until(lambda: farm.observed(1) == "unreachable")
        assert takes_nothing_new(farm, 1)
        subprocess.run(["mount", "-t", "tmpfs", "none", str(disk)], check=True) if mounted else None


def test_an_empty_mount_point_at_a_start_is_not_taken_for_the_disk(tmp_path: Path) -> None:
    with Farm(tmp_path / "node", devices=3) as farm:
        fid = farm.store("face", b"bytes", "avatar", 3)
        farm.stop()
        disk = (farm.directory / "dev2").rename(tmp_path / "disk")
        (farm.directory / "dev2").mkdir()
        farm.start()
        until(lambda: farm.observed(2) == "unreachable")
        assert takes_nothing_new(farm, 2)
        assert farm.locations("face").count(2) == 1
        assert list((farm.directory / "dev2").iterdir()) == []
        (farm.directory / "dev2").rmdir()
        disk.rename(farm.directory / "dev2")
        until(lambda: farm.observed(2) == "writeable")
        assert farm.copy(2, fid).read_bytes() == b"bytes"


def test_a_new_disk_in_the_place_of_another_is_used_when_told(tmp_path: Path) -> None:
    with Farm(tmp_path / "node", devices=3) as farm:
        farm.store("face", b"bytes", "avatar", 3)
        farm.stop()
        shutil.rmtree(farm.directory / "dev2")
        (farm.directory / "dev2").mkdir()
        farm.start()
        until(lambda: farm.observed(2) == "unreachable")
        (farm.directory / "dev2/usage").touch()
        until(lambda: farm.observed(2) == "writeable")
        assert farm.fsck()["REPL"] == 1
        until(lambda: len(farm.copies(farm.fid("face"))) == 3)


def test_a_full_disk_is_seen_and_gets_nothing_new(tmp_path: Path) -> None:
    with Farm(tmp_path / "node", devices=3) as farm:
        farm.node.devices.room(1)._quota = 1000  # the same as a disk of that size
        farm.node.devices.room(1).changed(1000)
        until(lambda: farm.observed(1) == "readable")
        assert takes_nothing_new(farm, 1)
        farm.store("face", b"bytes", "avatar", 2)
        assert 1 not in farm.locations("face")


@pytest.mark.parametrize(
    ("state", "observed"), [("readonly", "readable"), ("drain", "writeable"), ("down", "")]
)
def test_a_device_takes_files_only_while_it_is_alive(farm: Farm, state: str, observed: str) -> None:
    farm.set_state(1, state)
    until(lambda: farm.observed(1) == observed)
    assert takes_nothing_new(farm, 1)
    farm.set_state(1, "alive")
    until(lambda: farm.observed(1) == "writeable")


def swap_for_nothing(directory: Path, away: Path) -> None:
    """What unmounting leaves: an empty directory where a disk was."""
    directory.rename(away)
    directory.mkdir()


def test_fsck_forgets_nothing_of_a_disk_that_has_just_gone(tmp_path: Path) -> None:
    with Farm(tmp_path / "node", timings=UNSEEN) as farm:
        farm.store("face", b"bytes")
        [devid] = farm.locations("face")
        swap_for_nothing(farm.directory / f"dev{devid}", tmp_path / "away")
        assert farm.fsck() == {}
        assert farm.locations("face") == [devid]


def test_nothing_is_stored_where_a_disk_has_just_gone(tmp_path: Path) -> None:
    with Farm(tmp_path / "node", devices=1, timings=UNSEEN) as farm:
        farm.store("face", b"bytes")
        directory = farm.directory / "dev1"
        swap_for_nothing(directory, tmp_path / "away")
        with pytest.raises(StorageUnavailable):
            farm.client.store("other", b"bytes", mogile_class="thumb")
        assert list(directory.iterdir()) == []
        directory.rmdir()
        (tmp_path / "away").rename(directory)
        assert farm.client.read("face") == b"bytes"
        farm.store("other", b"bytes")


def test_a_new_disk_takes_the_place_of_one_that_had_no_files(tmp_path: Path) -> None:
    with Farm(tmp_path / "node", devices=1) as farm:
        swap_for_nothing(farm.directory / "dev1", tmp_path / "away")
        until(lambda: (farm.directory / "dev1/usage").exists())
        farm.store("face", b"bytes")


@pytest.mark.parametrize("left", ["unfinished", "orphan"])
def test_what_cannot_be_removed_from_one_disk_keeps_no_node_from_starting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, left: str
) -> None:
    with Farm(tmp_path / "node", devices=2) as farm:
        fid = farm.store("face", b"bytes", "pair", 2)
        farm.stop()
        farm.rows("UPDATE sqlite_sequence SET seq = seq + 9")  # as a crash leaves it
        unfinished = farm.directory / "dev1/.incoming/cut-1.part"
        stays = farm.copy(1, fid + 1) if left == "orphan" else unfinished
        stays.mkdir()
        farm.start()
        assert farm.client.read("face") == b"bytes"
        assert "device 1 is not swept" in caplog.text
        assert stays.exists()


def test_a_disk_that_came_back_while_the_node_was_down_gets_its_copies_at_once(
    tmp_path: Path,
) -> None:
    with Farm(tmp_path / "node", devices=2) as farm:
        disk = farm.directory / "dev2"
        disk.rename(tmp_path / "away")
        until(lambda: farm.observed(2) == "unreachable")
        farm.client.store("face", b"bytes", mogile_class="pair")
        until(lambda: farm.rows("SELECT 1 FROM file_to_replicate WHERE failcount > 0"))
        farm.stop()
        farm.rows("UPDATE file_to_replicate SET nexttry = 2147483647")
        (tmp_path / "away").rename(disk)
        farm.start()
        until(lambda: farm.locations("face") == [1, 2])


def test_a_disk_that_hangs_hides_nothing_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()

    def hangs(devices: Devices, devid: int) -> None:
        if devid == 2:
            answers.wait()
        try_write(devices, devid)

    monkeypatch.setattr("mogilefs.node.jobs.monitor.OWN_SECONDS", 3600.0)
    with Farm(tmp_path / "node", devices=3) as farm:
        monkeypatch.setattr("mogilefs.node.jobs.monitor.try_write", hangs)
        (farm.directory / "dev1").rename(tmp_path / "away")
        until(lambda: farm.observed(1) == "unreachable")
        answers.set()


def test_a_disk_that_does_not_answer_a_write_is_unreachable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    monkeypatch.setattr("mogilefs.node.jobs.monitor.OWN_SECONDS", 0.2)
    with Farm(tmp_path / "node", devices=1) as farm:
        monkeypatch.setattr(
            "mogilefs.node.jobs.monitor.try_write", lambda devices, devid: answers.wait()
        )
        until(lambda: farm.observed(1) != "writeable")
        assert farm.observed(1) == "unreachable"
        answers.set()


def test_copies_of_large_files_keep_nobody_from_a_moment_s_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = threading.Event()
    copy = Devices._copy
    begun: list[int] = []

    def takes_long(devices: Devices, fid: int, *rest: Any) -> Any:
        begun.append(fid)
        copied.wait()
        return copy(devices, fid, *rest)

    monkeypatch.setattr(Devices, "_copy", takes_long)
    timings = replace(QUICK, workers=2 * THREADS)
    with Farm(tmp_path / "node", devices=2, timings=timings, durability="full") as farm:
        for number in range(3 * THREADS):
            farm.client.store(f"large {number}", b"bytes", mogile_class="pair")
        until(lambda: len(begun) >= THREADS)
        for number in range(10):
            farm.client.store(f"small {number}", b"bytes", mogile_class="thumb")
        assert farm.observed(1) == farm.observed(2) == "writeable"
        copied.set()
        until(farm.idle)


@pytest.mark.parametrize("emptied", [False, True])
def test_the_copy_with_the_right_checksum_stays(tmp_path: Path, emptied: bool) -> None:
    with Farm(tmp_path / "node", devices=2) as farm:
        admin = farm.client.admin
        admin.create_class("demo", "two", mindevcount=2, hashtype="MD5")
        admin.create_class("demo", "one", mindevcount=1, hashtype="MD5")
        fids = [farm.store(f"k{number}", b"right", "two", 2) for number in range(6)]
        wrong = [1 if emptied or number % 2 else 2 for number in range(6)]
        for fid, devid in zip(fids, wrong, strict=True):
            farm.copy(devid, fid).write_bytes(b"wrong")
        if emptied:
            farm.rows("UPDATE file SET classid = (SELECT classid FROM class WHERE classname='one')")
            farm.set_state(2, "drain")
            failed = "SELECT count(*) FROM file_to_queue WHERE failcount > 0"
            until(lambda: farm.rows(failed) == [(6,)])
        else:
            for number in range(6):
                farm.client.set_class(f"k{number}", "one")
            until(lambda: all(len(farm.copies(fid)) == 1 for fid in fids))
        assert all(b"right" in farm.copies(fid).values() for fid in fids)


@pytest.mark.parametrize("state", ["drain", "readonly", "down"])
def test_what_waited_for_a_disk_is_done_when_it_takes_files_again(farm: Farm, state: str) -> None:
    for devid in (2, 3, 4):
        farm.set_state(devid, state)
    until(lambda: len([each for each in farm.client.admin.devices() if each.status == state]) == 3)
    farm.client.store("face", b"bytes", mogile_class="pair")
    waits = int(time.time()) + 86_400
    until(lambda: farm.rows("SELECT 1 FROM file_to_replicate WHERE failcount > 0"))
    farm.rows("UPDATE file_to_replicate SET failcount = 9, nexttry = ?", waits)
    farm.set_state(2, "alive")
    until(lambda: len(farm.locations("face")) == 2)
