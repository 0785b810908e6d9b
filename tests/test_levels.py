from __future__ import annotations

from collections.abc import Iterator

import pytest

from mogilefs import levels


class Keys:
    """Sorted keys in memory, counting how many were read."""

    def __init__(self, *keys: str) -> None:
        self._keys = sorted(keys, key=lambda key: key.encode())
        self.questions = self.read = 0

    def keys(self, prefix: str = "", *, after: str = "", limit: int | None = None) -> Iterator[str]:
        self.questions += 1
        behind = [key for key in self._keys if key.startswith(prefix) and key > after][:limit]
        self.read += len(behind)
        return iter(behind)


def test_a_level_has_files_and_directories():
    keys = Keys("a", "b/1", "b/2/3", "b", "ä/x", "bb", "c/1")
    assert list(levels.level(keys, "")) == [
        ("a", False), ("b", False), ("b", True), ("bb", False), ("c", True), ("ä", True),
    ]  # fmt: skip
    assert list(levels.level(keys, "b/")) == [("1", False), ("2", True)]
    assert list(levels.level(keys, "nosuch/")) == []


def test_what_names_nothing_is_left_out():
    assert list(levels.level(Keys("d/", "d//x", "d/y", "/z"), "d/")) == [("y", False)]


@pytest.mark.parametrize("below", [1, 63, 64, 65, 5000])
def test_a_level_costs_what_is_on_it_and_not_what_is_below(below: int):
    keys = Keys("a", "z", *(f"d{each}/{n:05}" for each in range(3) for n in range(below)))
    assert [name for name, _ in levels.level(keys, "")] == ["a", "d0", "d1", "d2", "z"]
    assert keys.questions <= 4
    assert keys.read <= 4 * levels.SHORT_PAGE


def test_many_files_are_read_by_full_pages():
    keys = Keys(*(f"f{n:05}" for n in range(3000)))
    assert len(list(levels.level(keys, ""))) == 3000
    assert keys.questions <= 5


def test_a_key_behind_the_last_character_of_a_directory_ends_nothing():
    last = levels.LAST_CHARACTER
    names = [f"d/{last}{n:03}" for n in range(200)]
    assert list(levels.level(Keys(*names, "e"), "")) == [("d", True), ("e", False)]
