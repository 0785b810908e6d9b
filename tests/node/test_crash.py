"""Killed at any moment, the node keeps what it promised and leaves nothing behind."""

from __future__ import annotations

import random
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mogilefs import Client
from tests.support.crashing import NodeProcess, Writer, copies_on_disk
from tests.support.farm import until

ROUNDS = 50
WRITERS = 8
KEYS = 6
"""Keys of each writer: few, so that they are overwritten, renamed and deleted often."""

LIFE_SECONDS = (0.02, 0.5)
"""How long the writers have before a kill."""


def rows(directory: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(directory / "mogilefs.sqlite", timeout=30)) as db:
        found = db.execute(sql).fetchall()
        db.commit()
        return found


@pytest.mark.once
@pytest.mark.timeout(600)
def test_kill_after_kill_nothing_acknowledged_is_lost_and_nothing_is_left(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path)
    writers = [Writer(name, KEYS) for name in range(WRITERS)]
    try:
        for number in range(ROUNDS):
            node.start()
            check(node, writers)
            life(node, writers, random.Random(number).uniform(*LIFE_SECONDS))
        node.start()
        check(node, writers)
        assert sum(writer.acknowledged for writer in writers) > ROUNDS * WRITERS
        fsck_finds_nothing(node)
        nothing_is_left(tmp_path)
    finally:
        node.stop()


def life(node: NodeProcess, writers: list[Writer], seconds: float) -> None:
    """Let all writers write, then kill the node under them."""
    for writer in writers:
        writer.start(node.tracker)
    threading.Event().wait(seconds)  # the moment of the kill
    node.kill()
    for writer in writers:
        writer.join()


def check(node: NodeProcess, writers: list[Writer]) -> None:
    with Client("demo", node.tracker) as client:
        for writer in writers:
            writer.settle(client)
            assert writer.broken_promises(client) == []


def fsck_finds_nothing(node: NodeProcess) -> None:
    queues = "file_to_replicate", "file_to_delete2", "file_to_queue"
    waiting = " UNION ALL ".join(f"SELECT 1 FROM {queue}" for queue in queues)
    until(lambda: not rows(node.directory, waiting), "empty queues")
    with Client(None, node.tracker) as client:
        client.admin.fsck_reset()
        client.admin.fsck_start()
        until(lambda: not client.admin.fsck_status().running, "the end of fsck")
        until(lambda: not rows(node.directory, waiting), "the end of all checks")
        assert client.admin.fsck_log() == []


def nothing_is_left(directory: Path) -> None:
    """Every copy on disk is known, and gone with the uploads that were never closed."""
    known = set(rows(directory, "SELECT fid, devid FROM file_on"))
    uploads = rows(directory, "SELECT fid, devids FROM tempfile")
    known |= {(fid, int(devid)) for fid, devids in uploads for devid in devids.split(",")}
    assert copies_on_disk(directory) <= known
    rows(directory, "UPDATE tempfile SET createtime = createtime - 4000")
    until(
        lambda: copies_on_disk(directory) == set(rows(directory, "SELECT fid, devid FROM file_on")),
        "that only files in use are on disk",
    )
    living = rows(directory, "SELECT fid FROM file")
    assert {fid for fid, _ in copies_on_disk(directory)} == {fid for (fid,) in living}
    assert not rows(directory, "SELECT 1 FROM tempfile UNION ALL SELECT 1 FROM file_to_delete2")
