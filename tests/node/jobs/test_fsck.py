"""fsck finds what is wrong, says so in MogileFS's codes, and mends it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mogilefs.errors import TrackerError
from mogilefs.node.devices import Devices
from mogilefs.node.layout import Place
from tests.support.farm import Farm, until


@pytest.fixture
def farm(farm: Farm) -> Iterator[Farm]:
    farm.client.admin.create_class("demo", "sure", mindevcount=2, hashtype="MD5")
    return farm


def mended(farm: Farm, key: str, content: bytes, copies: int) -> bool:
    """All copies are there again, right and known, and the next fsck finds nothing."""
    until(lambda: len(farm.locations(key)) == copies and farm.idle())
    held = farm.copies(farm.fid(key))
    assert {devid: held.get(devid) for devid in farm.locations(key)} == dict.fromkeys(
        farm.locations(key), content
    )
    return farm.fsck() == {} and farm.client.info(key).devcount == copies


def test_nothing_is_found_where_all_is_well(farm: Farm) -> None:
    for number in range(20):
        farm.client.store(f"k{number}", b"bytes", mogile_class="sure")
    until(farm.idle)
    assert farm.fsck() == {}
    status = farm.client.admin.fsck_status()
    assert (status.running, status.max_fid_checked) == (False, status.end_fid)


def test_a_missing_copy(farm: Farm) -> None:
    fid = farm.store("face", b"bytes", "avatar", 3)
    farm.copy(farm.locations("face")[1], fid).unlink()
    assert farm.fsck() == {"MISS": 1, "REPL": 1}
    assert mended(farm, "face", b"bytes", 3)


def test_a_truncated_copy(farm: Farm) -> None:
    fid = farm.store("face", b"bytes", "avatar", 3)
    farm.copy(farm.locations("face")[0], fid).write_bytes(b"byt")
    assert farm.fsck() == {"BLEN": 1, "REPL": 1}
    assert mended(farm, "face", b"bytes", 3)


def test_a_flipped_byte_in_a_checksummed_class(farm: Farm) -> None:
    fid = farm.store("face", b"bytes", "sure", 2)
    spoiled = farm.locations("face")[0]
    farm.copy(spoiled, fid).write_bytes(b"Bytes")
    assert farm.fsck() == {"BSUM": 1, "REPL": 1}
    [entry] = [entry for entry in farm.client.admin.fsck_log() if entry.code == "BSUM"]
    assert (entry.fid, entry.devid) == (fid, spoiled)
    assert mended(farm, "face", b"bytes", 2)


def test_only_wrong_copies_are_kept_as_they_are(farm: Farm) -> None:
    fid = farm.store("face", b"bytes", "sure", 2)
    for devid in farm.locations("face"):
        farm.copy(devid, fid).write_bytes(b"Bytes")
    assert farm.fsck() == {"BSUM": 2}
    assert len(farm.locations("face")) == 2


def test_a_location_that_the_catalogue_lost(farm: Farm) -> None:
    fid = farm.store("face", b"bytes", "avatar", 3)
    lost = farm.locations("face")[2]
    farm.rows("DELETE FROM file_on WHERE fid = ? AND devid = ?", fid, lost)
    assert farm.fsck() == {"BCNT": 1, "POVI": 1, "REPL": 1}
    assert mended(farm, "face", b"bytes", 3)
    assert lost in farm.locations("face")


def test_all_locations_lost(farm: Farm) -> None:
    fid = farm.store("face", b"bytes", "pair", 2)
    farm.rows("DELETE FROM file_on WHERE fid = ?", fid)
    assert farm.fsck() == {"BCNT": 1, "NOPA": 1, "SRCH": 1, "FOND": 1, "REPL": 1}
    assert mended(farm, "face", b"bytes", 2)


def test_a_file_that_is_nowhere(farm: Farm) -> None:
    fid = farm.store("face", b"bytes")
    for devid in farm.copies(fid):
        farm.copy(devid, fid).unlink()
    assert farm.fsck() == {"MISS": 1, "SRCH": 1, "GONE": 1}
    assert farm.client.info("face").devcount == 0
    assert farm.fsck() == {"NOPA": 1, "SRCH": 1, "GONE": 1}


def test_a_wrong_devcount(farm: Farm) -> None:
    farm.store("face", b"bytes", "avatar", 3)
    farm.rows("UPDATE file SET devcount = 7")
    assert farm.fsck() == {"BCNT": 1}
    assert mended(farm, "face", b"bytes", 3)


def test_too_many_copies(farm: Farm) -> None:
    farm.store("face", b"bytes", "avatar", 3)
    farm.rows("UPDATE file SET classid = 1")
    assert farm.fsck() == {"POVI": 1, "REPL": 1}
    assert mended(farm, "face", b"bytes", 1)


def test_a_checksum_that_was_never_computed(farm: Farm) -> None:
    farm.store("face", b"bytes", "sure", 2)
    farm.rows("DELETE FROM checksum")
    assert farm.fsck() == {"NSUM": 1}
    assert farm.client.info("face").checksum == "MD5:4b3a6218bb3e3a7303e8a171a60fcf92"


def test_copies_that_differ_where_no_checksum_tells_which_is_right(farm: Farm) -> None:
    fid = farm.store("face", b"bytes", "pair", 2)
    farm.copy(farm.locations("face")[0], fid).write_bytes(b"Bytes")
    assert farm.fsck() == {}
    farm.client.admin.set_setting("fsck_checksum", "MD5")
    assert farm.fsck() == {"MSUM": 1}
    farm.client.admin.set_setting("fsck_checksum", "off")
    assert farm.fsck() == {}


def test_policy_only_looks_at_no_disk(farm: Farm) -> None:
    fid = farm.store("face", b"bytes", "avatar", 3)
    farm.copy(farm.locations("face")[1], fid).unlink()
    assert farm.fsck(policy_only=True) == {}


def test_policy_only_searches_for_a_file_that_is_on_no_device(farm: Farm) -> None:
    fid = farm.store("face", b"bytes")
    farm.rows("DELETE FROM file_on WHERE fid = ?", fid)
    assert farm.fsck(policy_only=True) == {"BCNT": 1, "NOPA": 1, "SRCH": 1, "FOND": 1}


def test_a_disk_that_is_away_is_not_taken_for_empty(farm: Farm) -> None:
    farm.store("face", b"bytes", "avatar", 3)
    away = farm.locations("face")[0]
    (farm.directory / f"dev{away}").rename(farm.directory / "away")
    until(lambda: farm.observed(away) == "unreachable")
    assert farm.fsck() == {}
    assert away in farm.locations("face")


def test_a_run_is_counted_until_the_reset(farm: Farm) -> None:
    farm.store("face", b"bytes")
    farm.rows("UPDATE file SET devcount = 7")
    farm.fsck()
    assert farm.client.admin.fsck_status().found == {"BCNT": 1}
    farm.client.admin.fsck_reset()
    assert farm.client.admin.fsck_status().found == {}


def test_a_new_run_counts_anew(farm: Farm) -> None:
    farm.store("face", b"bytes")
    farm.rows("UPDATE file SET devcount = 7")
    farm.fsck()
    farm.client.admin.fsck_start()
    until(lambda: not farm.client.admin.fsck_status().running)
    assert farm.client.admin.fsck_status().found == {}


def test_another_tracker_counts_no_finding_again(farm: Farm) -> None:
    farm.store("face", b"bytes")
    counted = "SELECT value FROM server_settings WHERE field = 'fsck_logid_processed'"
    for found in (1, 2):
        farm.rows("UPDATE file SET devcount = 7")
        farm.fsck()
        assert farm.rows(counted) == [(str(found),)]
    farm.client.admin.fsck_clear_log()
    farm.client.admin.fsck_reset()
    assert farm.rows(counted) == [("0",)]


def test_a_run_may_be_sent_back_to_its_beginning(farm: Farm) -> None:
    admin = farm.client.admin
    farm.store("face", b"bytes")
    farm.fsck()
    farm.store("newer", b"bytes")
    farm.rows("UPDATE file SET devcount = 7")
    farm.rows("INSERT INTO server_settings VALUES ('queue_size_for_fsck', '1')")
    farm.rows("INSERT INTO file_to_queue (fid, type, nexttry) VALUES (999, 1, 2147483647)")
    admin.fsck_start()  # nothing is fed while the queue is full
    admin.fsck_reset()
    assert admin.fsck_status().running
    farm.rows("DELETE FROM file_to_queue")
    until(lambda: admin.fsck_status().found == {"BCNT": 2})


def test_a_run_goes_on_after_a_restart(tmp_path: Path) -> None:
    with Farm(tmp_path / "own") as farm:
        fid = farm.store("face", b"bytes", "avatar", 3)
        farm.client.admin.fsck_reset()
        farm.stop()
        farm.copy(1, fid).unlink(missing_ok=True)
        farm.rows("INSERT INTO server_settings VALUES ('fsck_host', 'node')")
        farm.start()
        until(lambda: farm.client.admin.fsck_status().max_fid_checked == fid)
        until(lambda: not farm.client.admin.fsck_status().running)


def hold_up(farm: Farm) -> None:
    """Let no run come to its end: the queue is full of a file that is never looked at."""
    farm.rows("INSERT INTO server_settings VALUES ('queue_size_for_fsck', '1')")
    farm.rows("INSERT INTO file_to_queue (fid, type, nexttry) VALUES (0, 1, 2147483647)")


@pytest.mark.parametrize("word", ["\u00b2", "9" * 5000, "-1"])
def test_a_setting_that_is_no_number_stops_nothing(farm: Farm, word: str) -> None:
    farm.store("face", b"bytes")
    for name in ("queue_size_for_fsck", "fsck_highest_fid_checked"):
        farm.rows("INSERT INTO server_settings VALUES (?, ?)", name, word)
    farm.rows("UPDATE file SET devcount = 7")
    farm.client.admin.fsck_start()
    until(lambda: farm.client.admin.fsck_status().found == {"BCNT": 1})


def test_it_starts_once_and_goes_on_behind_what_was_checked(farm: Farm) -> None:
    admin = farm.client.admin
    farm.fsck()
    hold_up(farm)
    farm.rows("INSERT INTO server_settings VALUES ('fsck_host', 'other')")
    with pytest.raises(TrackerError, match="fsck_running"):
        admin.fsck_start()
    admin.fsck_stop()
    farm.rows("DELETE FROM file_to_queue")
    first = farm.store("first", b"bytes")
    farm.fsck()
    second = farm.store("second", b"bytes")
    farm.rows("UPDATE file SET devcount = 7")
    admin.fsck_clear_log()
    admin.fsck_start()  # without a reset: what is newer only
    until(lambda: admin.fsck_status().max_fid_checked == second and farm.idle())
    assert {entry.fid for entry in admin.fsck_log()} == {second} != {first}


def test_a_copy_that_cannot_be_read_does_not_differ(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = Devices._digest

    def worn_out(devices: Devices, place: Place, algorithm: str) -> str:
        if place.devid == spoiled:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return digest(devices, place, algorithm)

    farm.store("face", b"bytes", "pair", 2)
    spoiled, _ = farm.locations("face")
    farm.client.admin.set_setting("fsck_checksum", "MD5")
    monkeypatch.setattr(Devices, "_digest", worn_out)
    assert farm.fsck() == {}
    assert len(farm.locations("face")) == 2
