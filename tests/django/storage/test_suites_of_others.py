"""The test suites of Django's file storages and of easy-thumbnails, on this storage."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import django
import pytest

from mogilefs.node import Node
from tests.support.sdists import sdist

ROOT = Path(__file__).parents[3]


def run(place: Path, *command: str) -> str:
    """In a place of its own, for these suites leave files where they stand."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *command],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def passed(told: str) -> int:
    """How many tests passed. ("Ran" counts skipped tests on some Pythons only.)"""
    return len(re.findall(r"\.\.\. ok$", told, re.MULTILINE))


@pytest.mark.usefixtures("mogilefs_storage")  # which empties the domain afterwards
@pytest.mark.timeout(600)  # the first run fetches Django's source
def test_djangos_own_tests_of_storages(mogilefs_node: Node, tmp_path: Path):
    source = sdist("Django", django.__version__)
    told = run(tmp_path, "-m", "tests.support.django_suite", str(source), mogilefs_node.tracker)
    assert passed(told) >= 60


@pytest.mark.once
@pytest.mark.usefixtures("mogilefs_storage")  # which empties the domain afterwards
@pytest.mark.timeout(600)
def test_easy_thumbnails_own_tests(mogilefs_node: Node, tmp_path: Path):
    source = sdist("easy-thumbnails", "2.10.1")
    told = run(tmp_path, "-m", "tests.support.thumbnails_suite", str(source), mogilefs_node.tracker)
    assert passed(told) >= 95
