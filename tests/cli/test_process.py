"""The command as a process of its own: terminals, pipes, signals."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mogilefs import Client
from tests.support import interrupted
from tests.support.farm import until
from tests.support.misbehaving import (
    Behaviour,
    Cluster,
    Connection,
    HttpRequest,
    TinyStorage,
    TinyTracker,
)

pytestmark = pytest.mark.usefixtures("environment")

COMMAND = [sys.executable, "-m", "mogilefs"]


def shell(*argv: str, **more) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *argv], capture_output=True, timeout=60, check=False, **more)


def on_a_terminal(*argv: str) -> tuple[int, str]:
    """Run with stderr on a terminal; the exit code, and what the terminal got."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([*COMMAND, *argv], stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
        process.communicate(timeout=60)
    os.close(ours)
    return process.returncode, shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the last process at the other end has gone
        return b""


def test_stdin_and_stdout_are_a_dash(client: Client):
    assert shell("put", "-", "k", input=b"from a pipe").returncode == 0
    assert client.read("k") == b"from a pipe"
    ended = shell("get", "k", "-")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"from a pipe", b"")
    assert shell("cat", "k").stdout == b"from a pipe"


def test_cat_writes_several_one_after_the_other(client: Client):
    client.store("a", b"one\0")
    client.store("b", b"two")
    ended = shell("cat", "a", "nope", "b")
    assert (ended.returncode, ended.stdout) == (3, b"one\0two")


def test_a_large_pipe_goes_through(client: Client):
    content = os.urandom(1 << 20) * 20
    assert shell("put", "-", "big", input=content).returncode == 0
    assert shell("cat", "big").stdout == content


def test_where_nobody_hears_of_a_failure_the_rest_is_done(client: Client):
    for key in ("a", "b"):
        client.store(key, b"x")
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run([*COMMAND, "rm", "nope", "a"], stderr=full, timeout=60, check=False)
    assert ended.returncode == 3
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run([*COMMAND, "rm", "nope", "b"], stderr=writer, timeout=60, check=False)
    os.close(writer)
    assert ended.returncode == 3
    assert list(client.keys()) == []


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_outputs_that_are_closed_are_done_without(client: Client, tmp_path: Path, closed: str):
    (tmp_path / "file").write_bytes(b"bytes")
    for argv in (["put", "file", "k"], ["get", "k", "back"], ["ls"], ["cat", "k"]):
        ended = subprocess.run(
            ["sh", "-c", f'exec "$@" {closed}', "sh", *COMMAND, *argv],
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert (ended.returncode, ended.stderr) == (0, b"")
    assert (tmp_path / "back").read_bytes() == b"bytes"


def test_a_closed_stdin_is_not_an_empty_file(client: Client):
    ended = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *COMMAND, "put", "-", "k"],
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (2, b"mogilefs: stdin is closed\n")
    assert not client.exists("k")


def test_a_named_pipe_is_read_to_its_end(client: Client, tmp_path: Path):
    assert shell("put", "/dev/stdin", "k", input=b"from a pipe").returncode == 0
    assert client.read("k") == b"from a pipe"
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(bytes(3 << 20),))
    writer.start()
    code, shown = on_a_terminal("put", "pipe", "k")
    writer.join()
    assert code == 0
    assert "3.00M" in shown
    assert client.size("k") == 3 << 20


def test_a_bar_is_shown_on_a_terminal_only(client: Client, tmp_path: Path):
    (tmp_path / "big").write_bytes(bytes(8 << 20))
    code, shown = on_a_terminal("put", "big", "k")
    assert code == 0
    assert "100%" in shown
    assert "8.00M/8.00M" in shown
    assert "B/s" in shown
    for argv in (["get", "k", "back"], ["cp", "k", "copy"]):
        code, shown = on_a_terminal(*argv)
        assert code == 0
        assert "100%" in shown
        assert "8.00M/8.00M" in shown
    assert on_a_terminal("put", "-q", "big", "k") == (0, "")
    assert shell("put", "big", "k").stderr == b""
    assert shell("get", "k", "back").stderr == b""
    assert shell("cp", "k", "copy").stderr == b""


def test_a_bar_for_a_tree_ends_at_all_of_it(client: Client, tmp_path: Path):
    (tmp_path / "tree").mkdir()
    for number in range(8):
        (tmp_path / "tree" / str(number)).write_bytes(bytes(1 << 20))
    for argv in (["put", "-r", "tree", "t"], ["get", "-r", "t", "back"]):
        code, shown = on_a_terminal(*argv)
        assert code == 0
        assert "8.00M/8.00M" in shown


def test_a_terminal_is_not_steered_by_keys(client: Client):
    client.store("evil\x1b[2J\nkey", b"x")
    ours, theirs = pty.openpty()
    subprocess.run([*COMMAND, "ls"], stdout=theirs, check=True, timeout=60)
    shown = os.read(ours, 65536)
    os.close(ours)
    os.close(theirs)
    assert shown == b"evil\\x1b[2J\\nkey\r\n"
    assert shell("ls").stdout == b"evil\x1b[2J\nkey\n"


def test_bytes_that_are_no_text_survive_both_ways(client: Client):
    key = b"bad\xff\xfe"
    assert shell("put", "-", os.fsdecode(key), input=b"x").returncode == 0
    assert shell("ls").stdout == key + b"\n"
    assert shell("cat", os.fsdecode(key)).stdout == b"x"


def test_a_reader_that_goes_away_ends_it_quietly(client: Client):
    client.store("big", bytes(32 << 20), mogile_class="one")
    with subprocess.Popen(
        [*COMMAND, "cat", "big"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert len(process.stdout.read(1000)) == 1000
        process.stdout.close()
        told = process.stderr.read()
    assert (process.returncode, told) == (141, b"")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Children hear SIGINT, also where these tests run in a shell's background, which does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("number", "code", "told"),
    [(signal.SIGINT, 130, b"mogilefs: interrupted\n"), (signal.SIGTERM, 143, b"")],
)
def test_an_interrupt_leaves_nothing_behind(
    client: Client, tmp_path: Path, number: int, code: int, told: bytes
):
    with subprocess.Popen(
        [*COMMAND, "put", "-", "k"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(bytes(16 << 20))  # more than the pipe holds: it has been read from
        process.stdin.flush()
        process.send_signal(number)
        assert process.stderr.read() == told
        process.wait(30)
        process.stdin.close()
    assert process.returncode == code
    assert list(client.keys()) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_tree_leaves_whole_files_only(client: Client, tmp_path: Path):
    for number in range(6):
        client.store(f"t/{number}", bytes(24 << 20), mogile_class="one")
    with subprocess.Popen([*COMMAND, "get", "-r", "t", "out"], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        until(lambda: list(tmp_path.glob("out/*")), "the beginning of a file")
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() in (b"mogilefs: interrupted\n", b"")
    assert process.returncode in (130, 0)  # 0: it was faster than the signal
    assert all(path.stat().st_size == 24 << 20 for path in tmp_path.glob("out/*"))
    assert not list(tmp_path.glob("out/.*"))


def stalls_in_the_middle(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    connection.send(proper[: len(proper) // 2])
    connection.sock.recv(1)


def stalls(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    connection.sock.recv(1)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("stall", [stalls, stalls_in_the_middle])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_an_interrupt_waits_for_no_storage_node(tmp_path: Path, method: str, stall: Behaviour):
    cluster = Cluster()
    storage, tracker = TinyStorage(cluster), TinyTracker(cluster)
    cluster.add("tree/a", b"x" * 500_000)
    storage.on[method] = stall
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "a").write_bytes(b"x")
    doing = ["get", "-r", "tree", "down"] if method == "GET" else ["put", "-r", "up", "up"]
    options = ["--trackers", tracker.address, "--domain=d", "--timeout=200"]
    command = [*COMMAND, *options, *doing]
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        until(lambda: storage.requests)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (130, b"mogilefs: interrupted\n")
    assert not list(tmp_path.rglob("down/*"))
    tracker.stop()
    storage.stop()


def test_an_interrupt_ends_a_tree_whatever_lock_is_taken():
    subprocess.run([sys.executable, interrupted.__file__], timeout=60, check=True)
