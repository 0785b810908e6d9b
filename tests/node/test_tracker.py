"""The tracker door: lines in any pieces, sent ahead, malformed, too long; and ``!`` commands."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mogilefs.node import Node
from mogilefs.node.keys import list_prefix
from tests.support.farm import Farm
from tests.support.recorded import Tracker


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    free = {"tracker": "127.0.0.1:0", "storage": "127.0.0.1:0", "sidechannel": "127.0.0.1:0"}
    directory = tmp_path_factory.mktemp("node")
    domains = {"demo": {"one": 1}}
    with Node(directory, domains=domains, durability="relaxed", **free).in_thread() as node:
        yield node


@pytest.fixture
def connection(node: Node) -> Iterator[socket.socket]:
    host, port = node.tracker.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        yield connection


def replies(connection: socket.socket, count: int) -> list[bytes]:
    with connection.makefile("rb") as file:
        return [file.readline() for _ in range(count)]


def test_answers_come_in_order_whatever_has_to_wait(connection: socket.socket) -> None:
    commands = [b"noop", b"create_open domain=demo&key=k", b"file_info domain=demo&key=none"]
    sent = [
        commands[n % 3] + (b"&callid=" if n % 3 else b" callid=") + b"%d" % n for n in range(600)
    ]
    connection.sendall(b"".join(line + b"\r\n" for line in sent))
    for number, reply in enumerate(replies(connection, 600)):
        assert b"callid=%d\r\n" % number in reply or reply.endswith(b" %d\r\n" % number)


def test_a_line_may_come_in_any_pieces(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in b"noop callid=7\r\nno":
        connection.sendall(bytes([byte]))
    connection.sendall(b"op callid=8\n")
    assert replies(connection, 2) == [b"OK callid=7\r\n", b"OK callid=8\r\n"]


def test_requests_sent_before_the_client_stops_sending_are_answered(
    connection: socket.socket,
) -> None:
    connection.sendall(b"create_open domain=demo&key=a\r\nnoop callid=end\r\n")
    connection.shutdown(socket.SHUT_WR)
    with connection.makefile("rb") as file:
        assert [line[:2] for line in file] == [b"OK", b"OK"]


def test_noise_gets_errors_and_the_connection_goes_on(connection: socket.socket) -> None:
    noise = random.Random(6)
    lines = [bytes(noise.choices(range(256), k=noise.randrange(1, 200))) for _ in range(300)]
    lines = [line.replace(b"\n", b"").replace(b"!", b"") or b"x" for line in lines]
    connection.sendall(b"".join(b"~" + line + b"\r\n" for line in lines))
    assert all(reply.startswith(b"ERR unknown_command ") for reply in replies(connection, 300))
    connection.sendall(b"noop\r\n")
    assert replies(connection, 1) == [b"OK \r\n"]


def test_a_line_without_end_is_cut_off_with_an_error(
    connection: socket.socket,
) -> None:
    chunk = b"x" * 2**20
    try:
        for _ in range(9):
            connection.sendall(chunk)
    except (BrokenPipeError, ConnectionResetError):
        return  # it did not even listen to the end
    with connection.makefile("rb") as file, contextlib.suppress(ConnectionResetError):
        assert file.read().startswith(b"ERR bad_params ")  # or closed with our bytes unread


def test_huge_numbers_are_only_wrong(connection: socket.socket) -> None:
    huge = b"9" * 400
    asked = [
        b"file_debug fid=" + huge,
        b"list_fids from=" + huge + b"&to=" + huge,
        b"create_open domain=demo&key=k&fid=" + huge,
        b"create_device hostname=node&devid=" + huge,
        b"set_weight host=node&device=1&weight=" + huge,
        b"create_class domain=demo&class=c&mindevcount=" + huge,
        b"create_host host=h&ip=127.9.9.9&port=" + huge,
        b"get_paths domain=demo&key=k&pathcount=" + huge,
        b"create_open domain=demo&key=k&size=" + huge,
    ]
    connection.sendall(b"".join(line + b"\r\n" for line in asked))
    codes = [reply.split()[:2] for reply in replies(connection, len(asked))]
    assert not any(code[1:] == [b"failure"] for code in codes), codes


def test_who_watches_is_told_what_is_logged(connection: socket.socket) -> None:
    connection.sendall(b"!watch\r\n")
    with connection.makefile("rb") as file:
        assert [file.readline(), file.readline()] == [b"Added you to watchers list.\r\n", b".\r\n"]
        logging.getLogger("mogilefs.test").warning("a disk\nhas gone")
        assert file.readline() == b":: a disk has gone\r\n"
        connection.sendall(b"!watch\r\n")
        assert file.readline() == b"Removed you from watchers list.\r\n"


@pytest.mark.parametrize(
    ("line", "first"),
    [
        (b"!want " + b"9" * 5000 + b" reaper", b"Now desiring 500 children doing 'reaper'."),
        (b"!want\t2 reaper now", b"Now desiring 2 children doing 'reaper'."),
        (b"!want two reaper", b"ERROR: usage: !want <count> <jobclass>"),
        (b"!to reaper :wake up", b"Message sent to 1 children."),
        (b"!to rea-per :wake", b"ERROR: usage: !to <jobclass> <message>"),
        (b"!pend", b"."),
        (b"!7", b"Mogilefsd admin commands:"),
        (b"!!", b"Mogilefsd admin commands:"),
        (b"!version now", b"2.73"),
    ],
)
def test_a_manager_is_answered(connection: socket.socket, line: bytes, first: bytes) -> None:
    connection.sendall(line + b"\r\n!version\r\n")
    with connection.makefile("rb") as file:
        assert file.readline().rstrip() == first
        assert b"2.73\r\n" in iter(file.readline, b"")  # the connection goes on


@pytest.mark.parametrize("line", [b"!", b"! version", b"!version "])
def test_a_mark_without_a_word_is_no_command(connection: socket.socket, line: bytes) -> None:
    connection.sendall(line + b"\r\n")
    assert replies(connection, 1)[0].startswith(b"ERR unknown_command ")


def test_list_keys_finds_every_spelling_of_a_prefix_and_reads_no_other_key(node: Node) -> None:
    keys = ["AVA/1", "Ava/2", "aVA/3", "ava", "ava/4", "ava/5", "avb", "b", "A", "aw", "\u00c4va/1"]

    async def fill() -> None:
        await node.catalog.write(
            lambda db: db.executemany(
                "INSERT INTO file (fid, dmid, dkey, length, classid, devcount)"
                " VALUES (?, 99, ?, 0, 0, 0)",
                enumerate(keys, 10**6),
            )
        )

    class Counting:
        reads = 0

        def read(self, sql: str, params: tuple[object, ...]) -> list[tuple[object, ...]]:
            Counting.reads += 1
            return node.catalog.read(sql, params)

    asyncio.run(fill())
    counting = Counting()
    found = list_prefix(counting, 99, b"ava/", b"", 10, exact=False)  # type: ignore[arg-type] # reads
    assert found == ["AVA/1", "Ava/2", "aVA/3", "ava/4", "ava/5"]
    assert Counting.reads < 16
    page = list_prefix(counting, 99, b"AVA/", b"Ava/2", 2, exact=False)
    assert page == ["aVA/3", "ava/4"]
    assert list_prefix(counting, 99, b"ava/", b"", 10, exact=True) == ["ava/4", "ava/5"]
    assert list_prefix(counting, 99, b"", b"b", 10, exact=False) == ["\u00c4va/1"]


def test_unfinished_lines_of_many_clients_are_bounded_together(node: Node) -> None:
    host, port = node.tracker.rsplit(":", 1)
    with contextlib.ExitStack() as clients:
        connections = [
            clients.enter_context(socket.create_connection((host, int(port)), timeout=20))
            for _ in range(12)
        ]
        for connection in connections:
            with contextlib.suppress(ConnectionError):  # the last are closed on
                connection.sendall(b"x" * (7 * 2**20))
        assert node.tracker_door.held < 72 * 2**20
        connections[0].sendall(b"\r\nnoop\r\n")
        assert replies(connections[0], 2)[1] == b"OK \r\n"


def test_who_never_finishes_a_line_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mogilefs.node.tracker.LINE_SECONDS", 0.2)
    monkeypatch.setattr("mogilefs.node.tracker.SWEEP_SECONDS", 0.05)
    free = {"tracker": "127.0.0.1:0", "storage": "127.0.0.1:0", "sidechannel": "127.0.0.1:0"}
    with Node(tmp_path, durability="relaxed", **free).in_thread() as node:
        host, port = node.tracker.rsplit(":", 1)
        slow = socket.create_connection((host, int(port)), timeout=20)
        with slow, contextlib.suppress(ConnectionError):
            while not select.select([slow], [], [], 0.02)[0]:
                slow.sendall(b"x")
            assert slow.recv(10) == b""


def test_one_who_asks_for_much_at_once_keeps_nobody_waiting(farm: Farm, tracker: Tracker) -> None:
    farm.rows(
        "WITH RECURSIVE each(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM each LIMIT 1000)"
        " INSERT INTO file (fid, dmid, dkey, length, classid, devcount)"
        " SELECT n, 1, printf('%0100d', n), 0, 0, 1 FROM each"
    )
    host, port = farm.node.tracker.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=20) as greedy:
        greedy.sendall(b"list_keys domain=demo\r\n" * 300)
        assert select.select([greedy], [], [], 20)[0]
        assert tracker.ask("noop").status == "OK"
        assert sum(len(each._lines) for each in farm.node.tracker_door.connections) > 200
        answered = replies(greedy, 300)
    assert set(map(len, answered)) == {len(answered[0])}
    assert b"key_count=1000" in answered[0]


def test_of_a_long_request_only_its_beginning_is_remembered(tracker: Tracker) -> None:
    assert tracker.ask(f"noop x={'y' * 1_000_000}").status == "OK"
    tracker.send("!recent\r\n")
    [shown] = [line for line in tracker.lines().splitlines() if "noop x=y" in line]
    assert len(shown) < 2000
