"""The bytes of what is gone are freed, and never those of what lives."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from mogilefs.node.jobs.delete import BACKLOG, GROUP
from tests.support.farm import UNSEEN, Farm, until


def test_deletion_frees_the_bytes_on_every_device(farm: Farm) -> None:
    fid = farm.store("face", b"bytes", "avatar", 3)
    farm.client.delete("face")
    until(lambda: not farm.copies(fid))
    until(farm.idle)
    for table in ("file_on", "file_to_delete2", "file_to_replicate", "checksum"):
        assert farm.rows(f"SELECT * FROM {table}") == []


def test_a_replaced_file_frees_its_bytes(farm: Farm) -> None:
    old = farm.store("face", b"old", "avatar", 3)
    new = farm.store("face", b"new", "avatar", 3)
    until(lambda: not farm.copies(old))
    assert list(farm.copies(new).values()) == [b"new"] * 3


def test_many_files_go_together_and_the_living_among_them_stay(farm: Farm) -> None:
    fids = [farm.store(f"k{number}", b"bytes", "thumb", 1) for number in range(2 * GROUP + 1)]
    kept = fids[GROUP // 2]
    farm.rows("DELETE FROM file WHERE fid <> ?", kept)
    farm.rows("INSERT INTO file_to_delete2 (fid, nexttry) SELECT fid, 0 FROM file_on")
    until(lambda: not farm.rows("SELECT 1 FROM file_to_delete2"))
    assert farm.fids_on_disk() == {kept}
    assert farm.rows("SELECT fid FROM file_on") == [(kept,)]


@pytest.mark.parametrize(("others", "hurries"), [(0, False), (BACKLOG, True)])
def test_only_where_very_much_waits_deletion_does_not_give_way_to_uploads(
    farm: Farm, monkeypatch: pytest.MonkeyPatch, others: int, hurries: bool
) -> None:
    devices = farm.node.devices
    delete_all, hurried = devices.delete_all, []

    async def watched(devid: int, fids: Sequence[int], *, hurry: bool) -> dict[int, OSError]:
        hurried.append(hurry)
        return await delete_all(devid, fids, hurry=hurry)

    monkeypatch.setattr(devices, "delete_all", watched)
    fid = farm.store("face", b"bytes", "thumb", 1)
    farm.rows("DELETE FROM file")
    farm.rows(
        "WITH RECURSIVE others(fid) AS"
        " (SELECT 10000 UNION ALL SELECT fid + 1 FROM others LIMIT ?)"
        " INSERT INTO file_to_delete2 (fid, nexttry)"
        " SELECT fid, 1 FROM others UNION ALL SELECT ?, 0",
        others,
        fid,
    )
    until(lambda: not farm.copies(fid))
    until(lambda: not farm.rows("SELECT 1 FROM file_to_delete2"))
    assert hurried == [hurries]


def test_a_file_that_lives_is_never_deleted(farm: Farm) -> None:
    fid = farm.store("face", b"bytes", "pair", 2)
    for table in ("file_to_delete2 (fid, nexttry)", "file_to_delete_later (fid, delafter)"):
        farm.rows(f"INSERT INTO {table} VALUES (?, 0)", fid)
        until(lambda: not farm.rows("SELECT 1 FROM file_to_delete2, file_to_delete_later"))
    until(farm.idle)
    assert list(farm.copies(fid).values()) == [b"bytes"] * 2
    assert len(farm.locations("face")) == 2


def test_the_old_queues_are_worked_on(farm: Farm) -> None:
    first, second = farm.store("a", b"1"), farm.store("b", b"2")
    farm.rows("DELETE FROM file")
    farm.rows("INSERT INTO file_to_delete VALUES (?)", first)
    farm.rows("INSERT INTO file_to_delete_later VALUES (?, 1)", second)
    until(lambda: not farm.fids_on_disk())
    until(lambda: not farm.rows("SELECT fid FROM file_to_delete UNION SELECT 1 FROM file_on"))


def open_upload(farm: Farm, key: str) -> int:
    """An upload with bytes on disk that is never closed; returns its fid."""
    with farm.client.open(key, "wb", mogile_class="thumb") as file:
        file.write(b"half")
    fid = farm.fid(key)
    [(devid,)] = farm.rows("SELECT devid FROM file_on WHERE fid = ?", fid)
    until(farm.idle)
    farm.rows("DELETE FROM file_on WHERE fid = ?", fid)
    farm.rows("DELETE FROM file WHERE fid = ?", fid)
    farm.rows(
        "INSERT INTO tempfile (fid, createtime, classid, dmid, dkey, devids) VALUES (?,?,1,1,?,?)",
        fid,
        int(time.time()),
        key,
        f"{devid}",
    )
    return fid


def test_an_abandoned_upload_is_reaped_after_an_hour(farm: Farm) -> None:
    old, young = open_upload(farm, "old"), open_upload(farm, "young")
    farm.rows("UPDATE tempfile SET createtime = createtime - 3700 WHERE fid = ?", old)
    until(lambda: not farm.copies(old))
    assert farm.rows("SELECT fid FROM tempfile") == [(young,)]
    assert list(farm.copies(young).values()) == [b"half"]


def test_a_device_that_may_not_be_touched_keeps_its_copy_for_later(farm: Farm) -> None:
    fid = farm.store("face", b"bytes", "pair", 2)
    kept = farm.locations("face")[0]
    farm.set_state(kept, "readonly")
    farm.client.delete("face")
    until(lambda: list(farm.copies(fid)) == [kept])
    [(nexttry, failures)] = until(
        lambda: farm.rows("SELECT nexttry, failcount FROM file_to_delete2 WHERE failcount > 0")
    )
    assert 3590 <= nexttry - time.time() <= 3601
    assert (failures, farm.rows("SELECT devid FROM file_on")) == (1, [(kept,)])
    farm.set_state(kept, "alive")
    until(lambda: not farm.copies(fid))  # a device that comes back is not waited for an hour


@pytest.mark.parametrize("mount_point", [False, True])
def test_copies_on_a_disk_that_has_just_gone_are_deleted_when_it_is_back(
    tmp_path: Path, mount_point: bool
) -> None:
    with Farm(tmp_path / "node", timings=UNSEEN) as farm:
        fid = farm.store("face", b"bytes")
        [devid] = farm.locations("face")
        directory = farm.directory / f"dev{devid}"
        directory.rename(tmp_path / "away")
        if mount_point:
            directory.mkdir()
        farm.client.delete("face")
        until(lambda: farm.rows("SELECT 1 FROM file_to_delete2 WHERE failcount > 0"))
        assert farm.rows("SELECT fid, devid FROM file_on") == [(fid, devid)]
        if mount_point:
            directory.rmdir()
        (tmp_path / "away").rename(directory)
        for state in ("readonly", "alive"):
            farm.set_state(devid, state)
        until(lambda: not farm.copies(fid))
        until(
            lambda: not farm.rows("SELECT fid FROM file_on UNION SELECT fid FROM file_to_delete2")
        )


def test_a_catalogue_that_cannot_be_written_is_not_asked_over_and_over(
    farm: Farm, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mogilefs.node.jobs.job.AFTER_FAILURE_SECONDS", 3600.0)
    farm.store("face", b"bytes")
    for change in ("UPDATE", "DELETE"):
        farm.rows(
            f"CREATE TRIGGER full_{change} BEFORE {change} ON file_to_delete2"
            " BEGIN SELECT raise(ABORT, 'database or disk is full'); END"
        )
    farm.client.delete("face")
    until(lambda: "Delete cannot postpone" in caplog.text)
    for number in range(20):  # each wakes the jobs
        farm.client.store(f"other {number}", b"bytes", mogile_class="thumb")
    assert caplog.text.count("Delete failed on") == 1


def test_rows_of_dead_devices_are_dropped_without_a_request(farm: Farm) -> None:
    fid = farm.store("face", b"bytes", "pair", 2)
    dead = farm.locations("face")[0]
    farm.rows("UPDATE device SET status = 'dead' WHERE devid = ?", dead)
    farm.client.admin.clear_cache()
    farm.client.delete("face")
    until(farm.idle)
    assert list(farm.copies(fid)) == [dead]
    assert farm.rows("SELECT * FROM file_on") == []


def test_what_a_lost_upload_left_on_disk_is_swept_at_a_start(tmp_path: Path) -> None:
    with Farm(tmp_path) as farm:
        kept = farm.store("face", b"bytes", "avatar", 3)
        lost = open_upload(farm, "lost")
        open_one = open_upload(farm, "open")
        farm.stop()
        farm.rows("DELETE FROM tempfile WHERE fid = ?", lost)  # as a power failure does
        farm.start()
        assert farm.copies(lost) == {}
        assert len(farm.copies(kept)) == 3
        assert len(farm.copies(open_one)) == 1
