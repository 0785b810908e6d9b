"""The storage's way round, in one go; the other tests here look closer."""

from __future__ import annotations

from django.core.files.base import ContentFile


def test_saved_files_keep_their_bytes_and_get_names_of_their_own(mogilefs_storage):
    storage = mogilefs_storage
    assert storage.save("a/b.txt", ContentFile(b"one")) == "a/b.txt"
    second = storage.save("a/b.txt", ContentFile(b"two"))
    assert second != "a/b.txt"
    assert storage.open("a/b.txt").read() == b"one"
    assert storage.open(second).read() == b"two"
    assert storage.listdir("") == (["a"], [])
    assert set(storage.listdir("a")[1]) == {"b.txt", second.removeprefix("a/")}
