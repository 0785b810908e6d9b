"""One client for many: threads, tasks, forks, pickles, event loops, greenlets."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pickle
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mogilefs import AsyncClient, Client, StorageUnavailable, TrackersUnavailable
from tests.client.conftest import Tiny, WholeCluster
from tests.support.farm import until
from tests.support.misbehaving import Connection

THREADS = 12


def test_threads_share_connections_and_never_answers(tiny: Tiny) -> None:
    for number in range(THREADS):
        tiny.cluster.add(f"key{number}", b"%d" % number * 1000)

    def work(client: Client, number: int) -> None:
        for _ in range(20):
            assert client.read(f"key{number}") == b"%d" % number * 1000
            client.store(f"new{number}", b"%d" % number)

    with Client("d", tiny.addresses) as client, ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(lambda number: work(client, number), range(THREADS)))
    assert tiny.tracker.connections <= THREADS
    assert tiny.storages[0].connections <= THREADS


def test_one_slow_answer_holds_up_no_other_thread(tiny: Tiny) -> None:
    tiny.cluster.add("slow", b"")
    tiny.cluster.add("quick", b"")
    released = threading.Event()

    def wait(connection: Connection, request: Any, proper: bytes) -> None:
        if request.args["key"] == "slow":
            released.wait(10)
        connection.send(proper)

    tiny.tracker.on["get_paths"] = wait
    with Client("d", tiny.addresses) as client, ThreadPoolExecutor(1) as threads:
        slow = threads.submit(client.paths, "slow")
        for _ in range(3):
            client.paths("quick")
        assert not slow.done()
        released.set()
        assert slow.result(10)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # that it has threads
def test_a_fork_gets_connections_of_its_own(tiny: Tiny) -> None:
    tiny.cluster.add("key", b"body")
    with Client("d", tiny.addresses) as client:
        assert client.read("key") == b"body"
        child = os.fork()
        if not child:
            os._exit(0 if client.read("key") == b"body" else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert tiny.tracker.connections == tiny.storages[0].connections == 2
        assert client.read("key") == b"body"
        assert tiny.tracker.connections == tiny.storages[0].connections == 2


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_file_opened_before_a_fork_is_read_by_both(tiny: Tiny) -> None:
    body = os.urandom(1 << 20)
    tiny.cluster.add("key", body)
    with Client("d", tiny.addresses) as client, client.open("key") as file:
        begin = file.read(10)
        child = os.fork()
        if not child:
            with contextlib.suppress(Exception):
                os._exit(0 if begin + file.read() == body else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert begin + file.read() == body
        assert tiny.storages[0].connections == 2
        assert not tiny.storages[1].connections


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_what_is_being_written_is_not_changed_by_a_fork_that_ends(tiny: Tiny) -> None:
    lines = [b"%09d\n" % number for number in range(500)]
    with Client("d", tiny.addresses, max_spool=1000) as client, client.open("key", "wb") as file:
        file.writelines(lines)
        child = os.fork()
        if child == 0:
            file.discard()
            os._exit(0)
        os.waitpid(child, 0)
    assert Client("d", tiny.addresses).read("key") == b"".join(lines)


WRITES_AND_FORKS = """
import asyncio, os, sys
from mogilefs import AsyncClient

client = AsyncClient("d", sys.argv[1], max_spool=10)

async def begin():
    file = client.open("key", "wb")
    await file.write(b"A" * 100)  # goes to the disk
    await file.write(b"B" * 100)  # waits in the buffer
    return file

async def end(file):
    await file.write(b"C" * 100)
    await file.close()

file = asyncio.run(begin())
child = os.fork()
if not child:
    sys.exit()
os.waitpid(child, 0)
asyncio.run(end(file))
"""


def test_what_is_being_written_by_a_task_is_not_changed_by_a_fork_that_ends(tiny: Tiny) -> None:
    command = [sys.executable, "-c", WRITES_AND_FORKS, tiny.tracker.address]
    subprocess.run(command, timeout=60, check=True)
    with Client("d", tiny.addresses) as client:
        assert client.read("key") == b"A" * 100 + b"B" * 100 + b"C" * 100


CLOSES_AT_THE_END = """
import atexit, contextlib, sys
from mogilefs import Client

files = contextlib.ExitStack()
atexit.register(files.close)
file = files.enter_context(Client("d", sys.argv[1]).open("key", "wb"))
file.write(b"all of it")
"""


def test_a_file_may_be_closed_when_its_process_ends(tiny: Tiny) -> None:
    command = [sys.executable, "-c", CLOSES_AT_THE_END, tiny.tracker.address]
    subprocess.run(command, timeout=60, check=True)
    with Client("d", tiny.addresses) as client:
        assert client.read("key") == b"all of it"


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_an_async_client_survives_a_fork(tiny: Tiny) -> None:
    tiny.cluster.add("key", b"body")

    async def main() -> None:
        async with AsyncClient("d", tiny.addresses) as client:
            await client.read("key")
            child = os.fork()
            if not child:
                fresh = asyncio.new_event_loop()
                asyncio._set_running_loop(None)
                os._exit(0 if fresh.run_until_complete(client.read("key")) == b"body" else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert await client.read("key") == b"body"

    asyncio.run(main())
    assert tiny.tracker.connections == 2


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_pickle_has_the_settings_and_no_connections(tiny: Tiny, kind: Any) -> None:
    client = kind("d", tiny.addresses, timeout=3, readonly=True, zone="alt")
    copy = pickle.loads(pickle.dumps(client))
    assert type(copy) is kind
    assert repr(copy) == repr(client)
    assert copy._operations.config == client._operations.config


def test_a_pickled_client_works(tiny: Tiny) -> None:
    tiny.cluster.add("key", b"body")
    with Client("d", tiny.addresses) as client:
        client.read("key")
        with pickle.loads(pickle.dumps(client)) as copy:
            assert copy.read("key") == b"body"


def test_many_tasks_share_an_async_client(tiny: Tiny) -> None:
    for number in range(64):
        tiny.cluster.add(f"key{number}", b"%d" % number * 1000)

    async def work(client: AsyncClient, number: int) -> None:
        for _ in range(5):
            assert await client.read(f"key{number}") == b"%d" % number * 1000

    async def main() -> None:
        async with AsyncClient("d", tiny.addresses) as client:
            await asyncio.gather(*(work(client, number) for number in range(64)))

    asyncio.run(main())
    assert tiny.tracker.connections <= 64


def test_an_async_client_in_one_event_loop_after_another(tiny: Tiny) -> None:
    tiny.cluster.add("key", b"body")
    client = AsyncClient("d", tiny.addresses)
    for _ in range(3):
        assert asyncio.run(client.read("key")) == b"body"
    assert tiny.tracker.connections == 3
    asyncio.run(client.close())


def test_a_cancelled_question_does_not_answer_the_next(tiny: Tiny) -> None:
    tiny.cluster.add("slow", b"")
    stored = tiny.cluster.add("quick", b"")
    released = threading.Event()

    def wait(connection: Connection, request: Any, proper: bytes) -> None:
        if request.args["key"] == "slow":
            released.wait(10)
        connection.send(proper)

    tiny.tracker.on["get_paths"] = wait

    async def main() -> None:
        async with AsyncClient("d", tiny.addresses) as client:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.paths("slow"), 0.1)
            released.set()
            assert await client.paths("quick") == stored.urls

    asyncio.run(main())


def test_a_cancelled_store_leaves_nothing(tiny: Tiny) -> None:
    reached = threading.Event()

    def stall(connection: Connection, request: Any, proper: bytes) -> None:
        reached.set()
        connection.sock.recv(1)

    tiny.tracker.on["rename"] = stall
    tiny.tracker.do_rename = tiny.tracker.do_noop  # type: ignore[method-assign] # never done

    async def main() -> None:
        async with AsyncClient("d", tiny.addresses) as client:
            storing = asyncio.create_task(client.store("key", b"body", overwrite=False))
            assert await asyncio.to_thread(reached.wait, 10)
            storing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await storing

    asyncio.run(main())
    assert tiny.tracker.commands[-1] == "delete"
    assert not tiny.cluster.files


class Late(ThreadPoolExecutor):
    """Takes work up when it is told to."""

    def __init__(self) -> None:
        super().__init__(1)
        self.reached, self.released = threading.Event(), threading.Event()

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        def late() -> Any:
            self.reached.set()
            self.released.wait(10)
            return function(*args, **kwargs)

        return super().submit(late)


def test_a_cancelled_download_leaves_nothing(tiny: Tiny, tmp_path: Path) -> None:
    tiny.cluster.add("key", b"body")

    async def main() -> None:
        async with AsyncClient("d", tiny.addresses) as client:
            await client.read("key")  # names are looked up by the executor, too
            asyncio.get_running_loop().set_default_executor(late := Late())
            downloading = asyncio.create_task(client.download("key", tmp_path / "file"))
            while not late.reached.is_set():
                await asyncio.sleep(0)
            downloading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await downloading
            late.released.set()
            late.shutdown()

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


class Stalling:
    """The reader of a pipe, which reads nothing until it may, or after some seconds.

    ``read`` then gives whether it might, and how many bytes there were in all.
    """

    def __init__(self, path: Path, threads: ThreadPoolExecutor) -> None:
        os.mkfifo(path)
        self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._writer = os.open(path, os.O_WRONLY)
        self.room = fcntl.fcntl(self._reader, fcntl.F_GETPIPE_SZ)
        self.may = threading.Event()
        self.read = threads.submit(self._read)

    def is_full(self) -> bool:
        return not select.select([], [self._writer], [], 0)[1]

    def _read(self) -> tuple[bool, int]:
        might = self.may.wait(5)
        os.close(self._writer)
        os.set_blocking(self._reader, True)
        with open(self._reader, "rb") as pipe:
            return might, len(pipe.read())


def test_a_cancelled_download_waits_for_no_reader_of_a_pipe(tiny: Tiny, tmp_path: Path) -> None:
    tiny.cluster.add("key", bytes(2**20))

    async def main(pipe: Stalling) -> None:
        async with AsyncClient("d", tiny.addresses) as client:
            downloading = asyncio.create_task(client.download("key", tmp_path / "pipe"))
            while not pipe.is_full():
                await asyncio.sleep(0)
            downloading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await downloading
            pipe.may.set()

    with ThreadPoolExecutor(1) as threads:
        pipe = Stalling(tmp_path / "pipe", threads)
        asyncio.run(main(pipe))
        might, size = pipe.read.result()
    assert might
    assert size < 2**20


def test_the_event_loop_goes_on_while_a_pipe_takes_no_more(tiny: Tiny, tmp_path: Path) -> None:
    full = threading.Event()

    def in_two_parts(connection: Connection, request: Any, proper: bytes) -> None:
        connection.send(proper[:-100])
        full.wait(5)
        connection.send(proper[-100:])

    async def main(pipe: Stalling) -> None:
        async with AsyncClient("d", tiny.addresses) as client:
            downloading = asyncio.create_task(client.download("key", tmp_path / "pipe"))
            while not pipe.is_full():
                await asyncio.sleep(0)
            full.set()
            await asyncio.wait([downloading], timeout=0.2)  # the end waits for the reader
            pipe.may.set()
            await downloading

    with ThreadPoolExecutor(1) as threads:
        pipe = Stalling(tmp_path / "pipe", threads)
        tiny.cluster.add("key", bytes(pipe.room + 100))
        for storage in tiny.storages:
            storage.on["GET"] = in_two_parts
        asyncio.run(main(pipe))
        assert pipe.read.result() == (True, pipe.room + 100)


def test_the_event_loop_goes_on_while_a_client_waits(tiny: Tiny) -> None:
    asked, released = threading.Event(), threading.Event()
    waits: list[bool] = []

    def wait(connection: Connection, request: Any, proper: bytes) -> None:
        asked.set()
        waits.append(released.wait(5))
        connection.send(proper)

    tiny.cluster.add("key", b"body")
    tiny.tracker.on["get_paths"] = wait

    async def main() -> None:
        async with AsyncClient("d", tiny.addresses) as client:
            reading = asyncio.create_task(client.read("key"))
            await asyncio.to_thread(asked.wait)
            released.set()
            assert await reading == b"body"

    asyncio.run(main())
    assert waits == [True]


def test_a_dropped_client_closes_its_connections(tiny: Tiny) -> None:
    tiny.cluster.add("key", b"body")
    client = Client("d", tiny.addresses)
    client.read("key")
    del client  # an unclosed socket would be a ResourceWarning, and so an error here
    asyncio.run(_read_and_drop(tiny))


async def _read_and_drop(tiny: Tiny) -> None:
    assert await AsyncClient("d", tiny.addresses).read("key") == b"body"


def test_timeouts_are_kept(tiny: Tiny) -> None:
    def stall(connection: Connection, request: Any, proper: bytes) -> None:
        connection.sock.recv(1)

    tiny.tracker.on["get_paths"] = stall
    with Client("d", tiny.addresses, timeout=0.2) as client:
        start = time.monotonic()
        with pytest.raises(TrackersUnavailable, match="timed out"):
            client.paths("key")
        assert time.monotonic() - start >= 0.2


GEVENT = """
from gevent import monkey
monkey.patch_all()
import sys, gevent, time
from mogilefs import Client

client = Client(sys.argv[2], sys.argv[1])
for number in range(20):
    client.store(f"gevent{number}", b"%d" % number * 1000)

def work(number):
    for _ in range(5):
        assert client.read(f"gevent{number}") == b"%d" % number * 1000
    with client.open(f"gevent{number}") as file:
        file.seek(10)
        file.read(5)
    client.store(f"gevent{number}", b"again", overwrite=True)
    client.delete(f"gevent{number}")

ticks = 0
def tick():
    global ticks
    while True:
        ticks += 1
        gevent.sleep(0)

ticker = gevent.spawn(tick)
gevent.joinall([gevent.spawn(work, number) for number in range(20)], raise_error=True)
ticker.kill()
assert ticks > 20, "the client held up the other greenlets"
client.close()
print("well")
"""


def test_gevent(whole: WholeCluster) -> None:
    command = [sys.executable, "-c", GEVENT, ",".join(whole.trackers), whole.domain]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("well\n", 0), done.stderr


def test_a_client_that_is_aborted_lets_nobody_wait(tiny: Tiny) -> None:
    tiny.cluster.add("key", b"body", replicas=1)
    tiny.storages[0].on["GET"] = lambda connection, request, proper: connection.sock.recv(1)
    client = Client("d", tiny.addresses, timeout=120)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.read, "key")
        until(lambda: tiny.storages[0].requests)
        client.abort()
        with pytest.raises((StorageUnavailable, TrackersUnavailable)):
            waiting.result(timeout=20)
    with pytest.raises(TrackersUnavailable, match="aborted"):
        client.read("key")
    client.close()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forks_child_aborts_nothing_of_its_parents(tiny: Tiny) -> None:
    body = os.urandom(2**20)
    tiny.cluster.add("key", body, replicas=1)
    with Client("d", tiny.addresses) as client, client.stream("key") as stream:
        chunks = [next(stream)]
        child = os.fork()
        if not child:
            client.abort()
            os._exit(0)
        os.waitpid(child, 0)
        assert b"".join([*chunks, *stream]) == body
    assert tiny.storages[0].connections == 1


@contextlib.contextmanager
def deaf() -> Iterator[tuple[str, int]]:
    """An address where connecting takes until its timeout: the queue of those who wait is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()


def connecting_to(port: int) -> int:
    """How many sockets of this machine have said SYN to a port and heard nothing."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(
        line.split()[2].endswith(f":{port:04X}") and line.split()[3] == "02" for line in lines
    )


def test_a_client_that_is_aborted_goes_on_connecting_to_nobody() -> None:
    with deaf() as (host, port), ThreadPoolExecutor(1) as pool:
        before = connecting_to(port)
        client = Client("d", [f"{host}:{port}", "127.0.0.1:1"], connect_timeout=120)
        waiting = pool.submit(client.read, "key")
        until(lambda: connecting_to(port) > before)
        client.abort()
        with pytest.raises(TrackersUnavailable, match="aborted"):
            waiting.result(timeout=20)
        with pytest.raises(TrackersUnavailable, match=f"{port}: this client was aborted"):
            client.read("key")
