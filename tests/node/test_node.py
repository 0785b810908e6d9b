"""The node as a whole: starting, stopping, one per directory."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import socket
import sqlite3
import threading
import warnings
from contextlib import closing
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


def test_a_directory_of_another_mogilefs_is_taken_over_with_its_names(tmp_path: Path) -> None:
    with a_node(tmp_path, devices=[1, 2], hostname="h1").in_thread() as node:
        first = ask(node, b"get_hosts")[0]
    assert b"host1_hostname=h1" in first
    with a_node(tmp_path, devices=[1, 2]).in_thread() as node:
        [hosts, devices] = ask(node, b"get_hosts", b"get_devices")
        assert b"hosts=1" in hosts
        assert b"host1_hostname=h1" in hosts
        assert b"host1_http_port=" + node.storage.rpartition(":")[2].encode() in hosts
        assert devices.count(b"_hostid=1") == 2


def test_a_device_that_lies_elsewhere_is_refused_by_name(tmp_path: Path) -> None:
    with a_node(tmp_path, devices=[1]).in_thread() as node:
        ask(
            node,
            b"create_host host=h2&ip=127.0.0.9&port=7500",
            b"create_device hostname=h2&devid=2",
        )
    with pytest.raises(ConfigurationError, match="device 2 belongs to host 'h2'"):
        a_node(tmp_path, devices=2).in_thread().start()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"storage": "0.0.0.0:0", "allow": ["10.0.0.0/8"]}, "host_ip"),
        ({"tracker": "0.0.0.0:0"}, "tracker listens on 0.0.0.0:0, beyond this machine"),
        ({"tracker": "7001"}, "tracker must be HOST:PORT"),
        ({"durability": "none"}, "durability"),
        ({"devices": [1, 1]}, "devices"),
        ({"devices": 0}, "devices"),
        ({"domains": {"demo": {"avatar": 0}}}, "'avatar'"),
        ({"allow": ["somewhere"]}, "'somewhere'"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_made(
    options: dict[str, object], told: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        a_node(tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def test_strangers_are_closed_on_at_once(tmp_path: Path) -> None:
    with a_node(tmp_path, allow=["10.0.0.0/8"]).in_thread() as node:
        host, port = node.tracker.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            try:
                said = connection.recv(100)
            except ConnectionResetError:
                said = b""
    assert said == b""


def test_no_fid_is_used_twice_even_when_the_newest_file_is_gone(tmp_path: Path) -> None:
    opened = b"create_open domain=demo&key=k"
    with a_node(tmp_path, domains={"demo": {}}).in_thread() as node:
        assert b"fid=1&" in ask(node, opened)[0] + b"&"
    with a_node(tmp_path, domains={"demo": {}}).in_thread() as node:
        [second, chosen, taken, third] = ask(
            node, opened, opened + b"&fid=9000", opened + b"&fid=8999", opened
        )
    assert b"fid=2&" in second
    assert b"fid=9000&" in chosen
    assert taken.startswith(b"ERR fid_in_use")
    assert b"fid=9001&" in third


def test_a_database_of_another_version_is_refused(tmp_path: Path) -> None:
    with a_node(tmp_path).in_thread():
        pass
    with closing(sqlite3.connect(tmp_path / "mogilefs.sqlite")) as db, db:
        db.execute("UPDATE server_settings SET value = '16' WHERE field = 'schema_version'")
    with pytest.raises(ConfigurationError, match="schema version 16; this node needs 17"):
        a_node(tmp_path).in_thread().start()


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "mogilefs.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(ConfigurationError, match=r"mogilefs\.sqlite is no usable database"):
        a_node(tmp_path).in_thread().start()


@pytest.mark.parametrize("turns", range(5))
async def test_who_comes_in_the_moment_of_a_stop_is_let_go(
    tmp_path: Path, turns: int, caplog: pytest.LogCaptureFixture
) -> None:
    # Asyncio's debug mode warns of a callback that a busy machine held up: not what is looked for,
    # neither of this loop nor of other tests' nodes, which run in threads of their own.
    asyncio.get_running_loop().slow_callback_duration = math.inf
    node = a_node(tmp_path, metrics="127.0.0.1:0")
    await node.start()
    doors = [node.tracker, node.storage, node.sidechannel, node.metrics]
    addresses = [str(door).rsplit(":", 1) for door in doors]
    with warnings.catch_warnings(record=True) as unclosed:
        warnings.simplefilter("always")
        for _ in range(8):
            for host, port in addresses:
                socket.create_connection((host, int(port))).close()
        for _ in range(turns):
            await asyncio.sleep(0)
        await node.stop()
        gc.collect()
    assert not unclosed
    own = [record for record in caplog.records if record.thread == threading.get_ident()]
    assert not [record for record in own if record.name == "asyncio"]
