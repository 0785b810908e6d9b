"""Storing without overwriting, with an alternative for a key that is taken."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from mogilefs import Client, KeyExists
from mogilefs.node import Node


@pytest.fixture
def client(mogilefs_node: Node) -> Iterator[Client]:
    with Client("test", [mogilefs_node.tracker]) as client:
        yield client
        for key in client.keys(""):
            client.delete(key)


class Overtaken(io.BytesIO):
    """A file whose reader finds that somebody stored the keys while it was read."""

    def __init__(self, client: Client, *keys: str) -> None:
        super().__init__(b"late")
        self._client, self._keys = client, list(keys)

    def read(self, limit: int | None = -1) -> bytes:
        while self._keys:
            self._client.store(self._keys.pop(), b"first")
        return super().read(limit)


def numbered(key: str) -> str:
    return f"{key}+"


def test_a_taken_key_is_left_alone_and_the_alternative_is_stored(client: Client):
    client.store("a", b"first")
    assert client.store("a", b"late", overwrite=False, alternative=numbered).key == "a+"
    assert (client.read("a"), client.read("a+")) == (b"first", b"late")


def test_alternatives_are_asked_for_until_one_is_free(client: Client):
    for key in ("a", "a+", "a++"):
        client.store(key, b"first")
    late = iter([b"la", b"te"])
    assert client.store("a", late, overwrite=False, alternative=numbered).key == "a+++"
    assert client.read("a+++") == b"late"


def test_one_who_is_overtaken_while_uploading_goes_on_with_what_was_uploaded(client: Client):
    content = Overtaken(client, "a", "a+")
    assert client.store("a", content, overwrite=False, alternative=numbered).key == "a++"
    assert [client.read(key) for key in ("a", "a+", "a++")] == [b"first", b"first", b"late"]
    assert set(client.keys("")) == {"a", "a+", "a++"}


@pytest.mark.parametrize("content", [b"late", "overtaken"])
def test_the_same_key_as_alternative_means_to_replace_it(client: Client, content: bytes | str):
    if content == b"late":
        client.store("a", b"first")
    body = Overtaken(client, "a") if isinstance(content, str) else content
    assert client.store("a", body, overwrite=False, alternative=str).key == "a"
    assert client.read("a") == b"late"
    assert list(client.keys("")) == ["a"]


def test_without_an_alternative_the_one_who_is_overtaken_leaves_nothing(client: Client):
    with pytest.raises(KeyExists, match="somebody else was first"):
        client.store("a", Overtaken(client, "a"), overwrite=False)
    assert list(client.keys("")) == ["a"]
    assert client.read("a") == b"first"
