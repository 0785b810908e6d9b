"""What waits to be sent: in memory up to a bound, and on disk beyond it."""

from __future__ import annotations

import pytest

from mogilefs.localfiles import Spool


@pytest.mark.parametrize(("bound", "in_memory"), [(0, 1), (1, 1), (1000, 1000)])
def test_no_more_is_in_memory_than_was_said(bound: int, in_memory: int) -> None:
    spool = Spool(bound)
    spool.file.write(b"x" * in_memory)
    assert not is_on_disk(spool)
    spool.file.write(b"x")
    assert is_on_disk(spool)
    spool.close()


def is_on_disk(spool: Spool) -> bool:
    return isinstance(spool.file.name, int)
