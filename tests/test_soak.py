"""The soak, shortened: mixed traffic, and nothing that grows."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.soak import Sample, Soak, soak


@pytest.mark.once
def test_mixed_traffic_ends_as_flat_as_it_began(tmp_path: Path) -> None:
    result = soak(tmp_path, seconds=10, users=4)
    assert result.faults == []
    assert result.grown() == []
    assert {"store", "read", "seek", "rename", "delete", "list"} <= result.done.keys()


def test_what_grows_is_told() -> None:
    growing = [Sample(40 + minute, 20) for minute in range(60)]
    assert len(Soak({"node": growing}, rest={"node": (20, 40)}).grown()) == 2
    assert Soak({"node": [Sample(40, 20)] * 60}, rest={"node": (20, 21)}).grown() == []
