"""Many at once: processes that save under one name, threads on one storage, and sudden death."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from mogilefs.node import Node

ROOT = Path(__file__).parents[3]
PROCESSES = 8
TIMES = 200


def start(node: Node, number: int, times: int, mode: str) -> subprocess.Popen[str]:
    arguments = [node.tracker, str(number), str(times), mode]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.savers", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def save_at_once(node: Node, times: int, mode: str) -> list[tuple[str, str]]:
    """Name and content of every save of eight processes."""
    processes = [start(node, number, times, mode) for number in range(PROCESSES)]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES
    lines = [line.split(" ") for output in outputs for line in output.splitlines()]
    return [(name, content) for name, content in lines]


@pytest.mark.once
def test_of_1600_saves_of_one_name_each_keeps_its_own(mogilefs_node: Node, mogilefs_storage):
    saved = save_at_once(mogilefs_node, TIMES, "unique")
    names = [name for name, _ in saved]
    assert len(set(names)) == len(names) == PROCESSES * TIMES
    assert set(mogilefs_storage.names()) == set(names)
    for name, content in saved:
        assert mogilefs_storage.client.read(name).decode() == content


@pytest.mark.once
def test_overwriting_at_once_leaves_one_of_the_contents_whole(mogilefs_node, mogilefs_storage):
    saved = save_at_once(mogilefs_node, TIMES, "overwrite")
    assert {name for name, _ in saved} == {"race.txt"}
    assert list(mogilefs_storage.names()) == ["race.txt"]
    last_of_each = {content for _, content in saved if f"-{TIMES - 1}-" in content}
    assert mogilefs_storage.open("race.txt", "r").read() in last_of_each


def test_who_is_killed_while_saving_leaves_nothing_under_any_name(mogilefs_node, mogilefs_storage):
    mogilefs_storage.save("race.txt", ContentFile(b"whole"))
    for _ in range(2):
        process = start(mogilefs_node, 0, 0, "slow")
        assert process.stdout is not None
        assert process.stdout.readline() == "half-way\n"
        process.kill()
        process.communicate()
    assert list(mogilefs_storage.names()) == ["race.txt"]
    assert mogilefs_storage.open("race.txt").read() == b"whole"


def test_32_threads_share_a_storage_and_no_answers(mogilefs_storage):
    def work(number: int) -> list[str]:
        names = []
        for turn in range(10):
            content = f"{number}-{turn}".encode() * 100
            name = mogilefs_storage.save("shared.txt", ContentFile(content))
            with mogilefs_storage.open(name) as file:
                assert file.read() == content
            assert mogilefs_storage.size(name) == len(content)
            assert not mogilefs_storage.exists(f"{name}.none")
            names.append(name)
        mogilefs_storage.delete(names[0])
        return names[1:]

    with ThreadPoolExecutor(32) as pool:
        names = [name for names in pool.map(work, range(32)) for name in names]
    assert len(names) == 32 * 9
    assert set(mogilefs_storage.names()) == set(names)
