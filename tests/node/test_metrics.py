"""The metrics door: what a Prometheus would read."""

from __future__ import annotations

import socket
import urllib.request
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mogilefs import Client
from mogilefs.node import Node
from mogilefs.node.metrics import MAX_CONNECTIONS
from tests.support.farm import Farm
from tests.support.recorded import Conversation, surroundings

STORE: list[dict[str, Any]] = [
    {
        "send": "create_open domain=demo&key=k&class=one\r\n",
        "match": {"status": "OK"},
        "capture": {"fid": "fid", "devid": "devid", "path": "path"},
    },
    {"http": {"method": "PUT", "url": "{path}", "body": "seven..", "status": "<int>"}},
    {
        "send": "create_close domain=demo&key=k&fid={fid}&devid={devid}&path={path}\r\n",
        "match": {"status": "OK"},
    },
    {"send": "get_paths domain=demo&key=none\r\n", "match": {"status": "ERR"}},
]


def scrape(address: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as response:
        text = response.read().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_files_devices_queues_and_commands_are_told(tmp_path: Path) -> None:
    free = {"tracker": "127.0.0.1:0", "storage": "127.0.0.1:0", "sidechannel": "127.0.0.1:0"}
    node = Node(
        tmp_path, domains={"demo": {"one": 1}}, durability="relaxed", metrics="127.0.0.1:0", **free
    )
    with node.in_thread():
        with closing(Conversation(node.tracker, surroundings(node))) as talk:
            talk.hold(STORE)
        assert node.metrics is not None
        found = scrape(node.metrics)

    def value(name: str, **labels: str) -> float:
        return found[name, frozenset(labels.items())]

    assert value("mogilefs_storage_requests_total", method="PUT", status="200") == 1
    assert value("mogilefs_files", **{"domain": "demo", "class": "one"}) == 1
    assert value("mogilefs_file_bytes", **{"domain": "demo", "class": "one"}) == 7
    assert value("mogilefs_device_state", device="1", host="node", state="alive") == 1
    assert value("mogilefs_device_state", device="1", host="node", state="dead") == 0
    assert value("mogilefs_device_writable", device="2", host="node") == 1
    assert value("mogilefs_queue_length", queue="delete") == 0
    assert value("mogilefs_command_errors_total", command="get_paths") == 1
    assert value("mogilefs_command_seconds_count", command="create_close") == 1
    assert value("mogilefs_command_seconds_bucket", command="create_close", le="+Inf") == 1


@pytest.mark.parametrize(
    ("request_line", "status"),
    [(b"GET /else HTTP/1.1", b"404"), (b"POST /metrics HTTP/1.1", b"405"), (b"?", b"405")],
)
def test_anything_else_is_refused(request_line: bytes, status: bytes, tmp_path: Path) -> None:
    free = {"tracker": "127.0.0.1:0", "storage": "127.0.0.1:0", "sidechannel": "127.0.0.1:0"}
    with Node(tmp_path, durability="relaxed", metrics="127.0.0.1:0", **free).in_thread() as node:
        assert node.metrics is not None
        host, port = node.metrics.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(request_line + b"\r\n\r\n")
            with connection.makefile("rb") as file:
                assert file.read().split()[1] == status


def test_names_that_are_no_text_are_told_as_escapes(tmp_path: Path) -> None:
    with (
        Farm(tmp_path, metrics="127.0.0.1:0", domains={"\udcff": {"one": 1}}) as farm,
        Client("\udcff", [farm.node.tracker]) as client,
    ):
        client.store("k", b"bytes", mogile_class="one")
        labels = frozenset({("domain", "\\xff"), ("class", "one")})
        assert scrape(str(farm.node.metrics))["mogilefs_files", labels] == 1


def test_files_of_a_class_that_is_gone_are_counted_with_those_of_default(tmp_path: Path) -> None:
    with Farm(tmp_path, metrics="127.0.0.1:0") as farm:
        farm.store("one", b"12")
        farm.client.store("two", b"12345")
        farm.rows("UPDATE file SET classid = 99 WHERE dkey = 'one'")
        assert farm.node.metrics is not None
        with urllib.request.urlopen(f"http://{farm.node.metrics}/metrics") as response:
            lines = response.read().decode().splitlines()
    told = [line for line in lines if line.startswith(("mogilefs_files{", "mogilefs_file_bytes{"))]
    assert told == [
        'mogilefs_files{class="default",domain="demo"} 2.0',
        'mogilefs_file_bytes{class="default",domain="demo"} 7.0',
    ]


def test_who_only_connects_leaves_room_for_the_disks(tmp_path: Path) -> None:
    with Farm(tmp_path, metrics="127.0.0.1:0") as farm, ExitStack() as stack:
        assert farm.node.metrics is not None
        host, _, port = farm.node.metrics.rpartition(":")
        for _ in range(MAX_CONNECTIONS + 1):
            last = stack.enter_context(socket.create_connection((host, int(port)), timeout=10))
        with suppress(ConnectionResetError):
            assert last.recv(1) == b""
