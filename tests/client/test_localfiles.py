"""What waits to be sent: in memory up to a bound, and on disk beyond it."""

from __future__ import annotations

import os
import stat
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize("mode", [0o600, 0o4755])
def test_what_replaces_a_file_has_its_owner(tmp_path: Path, mode: int) -> None:
    target = tmp_path / "file"
    target.touch()
    os.chown(target, 33, 34)
    target.chmod(mode)
    with replacing(target) as file:
        file.write(b"new")
    there = target.stat()
    assert (there.st_uid, there.st_gid, stat.S_IMODE(there.st_mode)) == (33, 34, mode)


@pytest.fixture
def closed_directory() -> Iterator[Path]:
    """One that everybody may look into, and only root may put a file into."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "file").write_bytes(b"what was there")
        (directory / "file").chmod(0o666)
        directory.chmod(0o555)
        yield directory
        directory.chmod(0o755)


def done_without_privileges(act: Callable[[], None]) -> bool:
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            act()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - all of it is told, and nothing goes on
            traceback.print_exc()
        os._exit(1)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize(("mode", "left"), [(0o660, 0o600), (0o664, 0o644), (0o6755, 0o755)])
def test_what_replaces_anothers_file_opens_nothing_to_ones_own_group(mode: int, left: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory, target = Path(name), Path(name) / "file"
        directory.chmod(0o777)
        target.touch()
        os.chown(target, 33, 34)
        target.chmod(mode)

        def replace() -> None:
            with replacing(target):
                [part] = directory.glob(".*.part")
                assert not part.stat().st_mode & 0o077

        assert done_without_privileges(replace)
        assert stat.S_IMODE(target.stat().st_mode) == left


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("written", [b"new", b"", b"longer than what was there"])
def test_where_none_can_be_put_beside_it_a_file_is_written_over(
    closed_directory: Path, written: bytes
) -> None:
    def replace() -> None:
        with replacing(closed_directory / "file") as file:
            file.write(written)

    assert done_without_privileges(replace)
    assert (closed_directory / "file").read_bytes() == written


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize(("written", "left"), [(b"", b"what was there"), (b"half", b"half")])
def test_a_file_that_is_written_over_stays_until_something_is_written(
    closed_directory: Path, written: bytes, left: bytes
) -> None:
    def replace() -> None:
        with suppress(ZeroDivisionError), replacing(closed_directory / "file") as file:
            file.write(written)
            file.write(written * (1 // 0))

    assert done_without_privileges(replace)
    assert (closed_directory / "file").read_bytes() == left


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_where_no_file_can_be_put_the_error_names_it(closed_directory: Path) -> None:
    def replace() -> None:
        with pytest.raises(PermissionError, match="/new'"), replacing(closed_directory / "new"):
            pass

    assert done_without_privileges(replace)


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
