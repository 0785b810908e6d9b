"""What waits to be sent: in memory up to a bound, and on disk beyond it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mogilefs.localfiles import Spool, replacing


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o664, 0o4755])
def test_what_replaces_a_file_lies_open_to_nobody_else_meanwhile(tmp_path: Path, mode: int) -> None:
    target = tmp_path / "file"
    target.touch()
    target.chmod(mode)
    with replacing(target) as file:
        file.write(b"new")
        meanwhile = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    assert meanwhile & ~(mode & 0o777) == 0
    assert stat.S_IMODE(target.stat().st_mode) == mode
    assert target.read_bytes() == b"new"


def test_a_new_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    with replacing(tmp_path / "file"):
        pass
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


@pytest.mark.parametrize(("bound", "in_memory"), [(0, 1), (1, 1), (1000, 1000)])
def test_no_more_is_in_memory_than_was_said(bound: int, in_memory: int) -> None:
    spool = Spool(bound)
    spool.file.write(b"x" * in_memory)
    assert not is_on_disk(spool)
    spool.file.write(b"x")
    assert is_on_disk(spool)
    spool.close()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_that_closes_twice_keeps_its_own_files(tmp_path: Path) -> None:
    spool = Spool(1)
    spool.file.write(b"xx")
    child = os.fork()
    if child == 0:
        spool.close()
        files = [(tmp_path / str(number)).open("wb", buffering=0) for number in range(8)]
        spool.close()
        for file in files:  # one of them has the number that the temporary file had
            file.write(b"important")
        os._exit(0)
    os.waitpid(child, 0)
    spool.close()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"important"] * 8


def is_on_disk(spool: Spool) -> bool:
    return isinstance(spool.file.name, int)
