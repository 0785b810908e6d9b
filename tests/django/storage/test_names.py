"""From names to keys, and to names that are free and fit."""

from __future__ import annotations

from functools import partial

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import Storage

from django_mogilefs import names
from mogilefs.errors import InvalidKey

REFUSED = ["", ".", "..", "/", "/etc/passwd", "../up", "a/../../b", "a/..", "a\\b", "..\\up", "\\a"]


@pytest.mark.parametrize("location", ["", "media"])
@pytest.mark.parametrize("name", REFUSED)
def test_names_that_lead_elsewhere_are_refused_with_and_without_a_prefix(name, location):
    with pytest.raises(SuspiciousFileOperation, match="Detected path traversal"):
        names.key_of(name, location)


def test_a_key_is_the_prefix_and_the_name():
    assert names.key_of("a/b.png", "") == "a/b.png"
    assert names.key_of("a/b.png", "media/x") == "media/x/a/b.png"


def test_a_key_over_255_bytes_is_refused_and_says_so():
    assert names.key_of("ü" * 127, "")
    with pytest.raises(InvalidKey, match="256 bytes of UTF-8; MogileFS keeps at most 255"):
        names.key_of("ü" * 128, "")
    with pytest.raises(InvalidKey, match="at most 255"):
        names.key_of("x" * 250, "media")


def find(name: str, location: str = "", max_length: int | None = None, taken=()) -> str:
    return names.find_name(
        name,
        is_free=lambda candidate: candidate not in taken,
        excess=partial(names.excess, location=location, max_length=max_length),
        alternative=Storage().get_alternative_name,
    )


def test_a_free_name_that_fits_stays():
    assert find("a/b.tar.gz", max_length=10) == "a/b.tar.gz"


def test_a_taken_name_gets_an_alternative_of_the_same_directory_and_suffixes():
    found = find("a/b.tar.gz", taken=["a/b.tar.gz"])
    assert found.startswith("a/b_")
    assert found.endswith(".tar.gz")


@pytest.mark.parametrize("character", ["x", "ü", "漢", "😀"])
@pytest.mark.parametrize("location", ["", "media"])
def test_a_name_too_long_for_mogilefs_loses_characters_of_its_root(character, location):
    found = find(f"a/{character * 300}.png", location)
    length = len(names.key_of(found, location).encode())
    assert 250 < length <= 255
    assert found.startswith(f"a/{character}")
    assert found.endswith(".png")


def test_a_name_too_long_for_the_field_is_cut_to_just_its_length():
    assert len(find("a/" + "x" * 60 + ".png", max_length=40)) == 40


def test_a_name_that_cannot_be_short_enough_is_refused():
    with pytest.raises(SuspiciousFileOperation, match="available filename"):
        find("a.png", max_length=5, taken=["a.png"])
    with pytest.raises(SuspiciousFileOperation, match="255"):
        find("d" * 255 + "/a.png")


@pytest.mark.parametrize("name", ["a/../b.png", "..\\b.png", "a/"])
def test_an_alternative_is_not_looked_for_outside(name):
    with pytest.raises(SuspiciousFileOperation):
        find(name)


@pytest.mark.parametrize(
    ("path", "location", "prefix"),
    [
        ("", "", ""),
        (".", "", ""),
        ("", "m", "m/"),
        ("a", "", "a/"),
        ("a/b/", "m", "m/a/b/"),
        ("./a/./.", "", "a/"),
    ],
)
def test_a_directory_is_a_prefix_that_ends_in_a_slash(path, location, prefix):
    assert names.directory_prefix(path, location) == prefix


def test_a_directory_elsewhere_is_refused():
    with pytest.raises(SuspiciousFileOperation):
        names.directory_prefix("../x", "m")
