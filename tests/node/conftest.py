"""A running node with four devices, and a connection to its tracker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.farm import Farm
from tests.support.recorded import Tracker


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with Farm(tmp_path / "node") as farm:
        yield farm


@pytest.fixture
def tracker(farm: Farm) -> Iterator[Tracker]:
    with closing(Tracker(farm.node.tracker)) as tracker:
        yield tracker
