"""The node as a whole: starting, stopping, one per directory."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mogilefs.errors import ConfigurationError
from mogilefs.node import Node


def a_node(directory: Path, **options: object) -> Node:
    free = {"tracker": "127.0.0.1:0", "storage": "127.0.0.1:0", "sidechannel": "127.0.0.1:0"}
    return Node(directory, **{"durability": "relaxed", **free, **options})  # type: ignore[arg-type] # any options


def ask(node: Node, *lines: bytes) -> list[bytes]:
    """Each line's reply, on a connection of its own for all of them."""
    host, port = node.tracker.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"".join(line + b"\r\n" for line in lines))
        with connection.makefile("rb") as replies:
            return [replies.readline() for _ in lines]


def test_a_fresh_directory_becomes_a_node_that_answers(tmp_path: Path) -> None:
    with a_node(
        tmp_path / "new", devices=[2, 5], domains={"demo": {"thumb": 1}}
    ).in_thread() as node:
        assert ask(node, b"noop callid=1") == [b"OK callid=1\r\n"]
        [opened] = ask(node, b"create_open domain=demo&key=k&class=thumb")
        assert b"fid=1" in opened
    assert sorted(path.name for path in (tmp_path / "new").glob("dev*")) == ["dev2", "dev5"]


def test_a_second_start_is_refused_with_the_first_ones_pid(tmp_path: Path) -> None:
    refused = pytest.raises(ConfigurationError, match=f"pid {os.getpid()}")
    with a_node(tmp_path).in_thread(), refused:
        a_node(tmp_path).in_thread().start()
    with a_node(tmp_path).in_thread() as node:
        assert ask(node, b"noop") == [b"OK \r\n"]


def test_a_class_gets_the_mindevcount_of_the_last_start(tmp_path: Path) -> None:
    with a_node(tmp_path, domains={"demo": {"avatar": 2}}).in_thread():
        pass
    with a_node(tmp_path, domains={"demo": {"avatar": 3}}).in_thread() as node:
        assert b"mindevcount=3" in ask(node, b"get_domains")[0]
