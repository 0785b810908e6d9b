"""Uploads between create_open and create_close: in memory first, then in the catalogue."""

from __future__ import annotations

import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.crashing import NodeProcess
from tests.support.farm import Farm, until
from tests.support.recorded import Tracker

ROW = "SELECT dkey, devids FROM tempfile WHERE fid = ?"


class Upload:
    """An upload whose bytes are where create_open said."""

    def __init__(self, tracker: Tracker, key: str) -> None:
        self.key, self.values = key, tracker.ask(f"create_open domain=demo&key={key}").args
        self.fid = int(self.values["fid"])
        put = urllib.request.Request(self.values["path"], b"bytes", method="PUT")
        urllib.request.urlopen(put, timeout=20).close()

    def close(self, tracker: Tracker, size: int = 5) -> str:
        """What create_close says: ``OK`` or an error's code."""
        told = "&".join(f"{name}={value}" for name, value in self.values.items())
        reply = tracker.ask(f"create_close domain=demo&key={self.key}&size={size}&{told}")
        return reply.code or reply.status


def test_an_upload_that_is_closed_soon_never_has_a_row(farm: Farm, tracker: Tracker) -> None:
    lasting, quick = Upload(tracker, "lasting"), Upload(tracker, "quick")
    assert quick.close(tracker) == "OK"
    until(lambda: farm.rows(ROW, lasting.fid))
    assert farm.rows("SELECT fid FROM tempfile") == [(lasting.fid,)]
    assert farm.client.read("quick") == b"bytes"


def test_an_upload_that_lasts_has_a_row_until_it_is_closed(farm: Farm, tracker: Tracker) -> None:
    upload = Upload(tracker, "lasting")
    assert until(lambda: farm.rows(ROW, upload.fid)) == [("lasting", upload.values["devid"])]
    assert upload.close(tracker) == "OK"
    assert farm.rows("SELECT fid FROM tempfile") == []
    assert farm.client.read("lasting") == b"bytes"


def test_a_row_that_cannot_be_written_is_written_when_it_can(
    farm: Farm, tracker: Tracker, caplog: pytest.LogCaptureFixture
) -> None:
    Upload(tracker, "first")  # which reserves numbers for those to come
    farm.rows("ALTER TABLE tempfile RENAME TO away")
    upload = Upload(tracker, "lasting")
    until(lambda: "only in memory" in caplog.text)
    assert upload.close(tracker) == "OK"
    lasting = Upload(tracker, "lasting")
    farm.rows("ALTER TABLE away RENAME TO tempfile")
    until(lambda: farm.rows(ROW, lasting.fid))


@pytest.mark.parametrize("has_row", [False, True])
def test_an_upload_ends_once(farm: Farm, tracker: Tracker, has_row: bool) -> None:
    upload = Upload(tracker, "twice")
    if has_row:
        until(lambda: farm.rows(ROW, upload.fid))
    assert upload.close(tracker) == "OK"
    assert upload.close(tracker) == "no_temp_file"


@pytest.mark.parametrize("has_row", [False, True])
def test_a_refused_upload_leaves_nothing(farm: Farm, tracker: Tracker, has_row: bool) -> None:
    upload = Upload(tracker, "short")
    if has_row:
        until(lambda: farm.rows(ROW, upload.fid))
    assert upload.close(tracker, size=99) == "size_mismatch"
    until(lambda: not farm.copies(upload.fid) and farm.idle())
    assert not farm.rows("SELECT fid FROM tempfile UNION SELECT fid FROM file_on")


def test_file_debug_knows_an_upload_at_once(tracker: Tracker) -> None:
    upload = Upload(tracker, "asked-for")
    found = tracker.ask(f"file_debug fid={upload.fid}").args
    assert found["tempfile_dkey"] == "asked-for"
    assert found["tempfile_devids"] == upload.values["devid"]


def test_an_upload_outlives_a_stop(tmp_path: Path) -> None:
    with Farm(tmp_path) as farm, closing(Tracker(farm.node.tracker)) as tracker:
        upload = Upload(tracker, "stopped")
        storage, door = farm.node.storage, farm.node.tracker
    assert farm.rows(ROW, upload.fid) == [("stopped", upload.values["devid"])]
    farm.options |= {"storage": storage, "tracker": door}  # its path is the same only there
    with farm, closing(Tracker(door)) as tracker:
        assert upload.close(tracker) == "OK"
        assert farm.client.read("stopped") == b"bytes"


def test_what_a_crash_makes_of_an_upload_leaves_no_bytes(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path)
    try:
        node.start()
        with closing(Tracker(node.tracker)) as tracker:
            Upload(tracker, "lost")
        node.kill()
        node.start()
        farm = Farm(tmp_path)
        until(lambda: farm.fids_on_disk() == set() or farm.rows("SELECT fid FROM tempfile"))
    finally:
        node.stop()
