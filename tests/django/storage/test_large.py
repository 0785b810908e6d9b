"""Two GiB in and out again, in constant memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mogilefs.node import Node

ROOT = Path(__file__).parents[3]
SIZE = 2 * 2**30
GROWTH = 16 * 2**20


@pytest.mark.once
@pytest.mark.timeout(300)
def test_two_gib_are_saved_and_read_without_growing(mogilefs_node: Node, mogilefs_storage):
    command = [sys.executable, "-m", "tests.support.large_file", mogilefs_node.tracker, str(SIZE)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < GROWTH
