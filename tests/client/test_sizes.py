"""Files of any size in constant memory, and numbers that do not fit into 32 bits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.client.conftest import MakeClient, Tiny
from tests.support.misbehaving import Connection, HttpRequest, response

GIB = 2**30
ZEROS = bytes(2**20)

PROGRAM = """
import asyncio, resource, sys
from mogilefs import AsyncClient, Client

face, tracker, path = sys.argv[1:]

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def blocking():
    with Client("d", tracker) as client:
        client.store("warm", b"x")
        client.read("warm")
        before = peak()
        with open(path, "rb") as file:
            client.store("up", file)
        assert sum(map(len, client.stream("down"))) == 2**30
        return before

async def waiting():
    async with AsyncClient("d", tracker) as client:
        await client.store("warm", b"x")
        await client.read("warm")
        await asyncio.to_thread(len, b"")
        before = peak()
        with open(path, "rb") as file:
            await client.store("up", file)
        total = 0
        async for chunk in client.stream("down"):
            total += len(chunk)
        assert total == 2**30
        return before

before = blocking() if face == "sync" else asyncio.run(waiting())
print((peak() - before) / 1024)
"""


def sink(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    """Take an upload without keeping it; small ones go the usual way."""
    left = int(request.headers["content-length"])
    if left < GIB:
        return
    left -= len(connection.buffer)
    connection.buffer = b""
    into = bytearray(2**20)
    while left and (size := connection.sock.recv_into(into, min(left, len(into)))):
        left -= size
    request.headers["content-length"] = "0"


def spring(connection: Connection, request: HttpRequest, proper: bytes) -> None:
    """A GiB of zeros for whoever asks for the file called ``down``."""
    if not request.path.endswith("/9999999999.fid"):
        connection.send(proper)
        return
    connection.send(response(200, b"", length=GIB))
    for _ in range(GIB // len(ZEROS)):
        connection.send(ZEROS)


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_gibibyte_up_and_down_takes_less_than_16_mib(
    tiny: Tiny, face: str, tmp_path: Path
) -> None:
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, GIB)
    down = tiny.cluster.add("down", b"")
    down.size = GIB
    down.urls = [f"http://{tiny.storages[0].address}/dev1/9/999/999/9999999999.fid"]
    tiny.cluster.sizes_are_believed = True
    for storage in tiny.storages:
        storage.on |= {"PUT head": sink, "GET": spring}
    command = [sys.executable, "-c", PROGRAM, face, tiny.tracker.address, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 16


def test_sizes_and_fids_beyond_32_bits(tiny: Tiny, face: MakeClient) -> None:
    """A file of 5 GiB, of which a storage node sends the end."""
    size = 5 * GIB
    stored = tiny.cluster.add("huge", b"")
    stored.size = size

    def end(connection: Connection, request: HttpRequest, proper: bytes) -> None:
        start = int(request.headers["range"].removeprefix("bytes=").split("-")[0])
        told = f"Content-Range: bytes {start}-{size - 1}/{size}"
        connection.send(response(206, b"x" * (size - start), told))

    for storage in tiny.storages:
        storage.on["GET"] = end
    client: Any = face("d", tiny.addresses)
    assert stored.fid > 2**32
    assert client.info("huge").fid == stored.fid
    assert client.size("huge") == size
    with client.open("huge") as file:
        file.seek(-5, os.SEEK_END)
        assert file.tell() == size - 5
        assert file.read() == b"xxxxx"
    assert b"".join(client.stream("huge", start=size - 3)) == b"xxx"


def test_an_upload_of_more_than_4_gib_says_so(tiny: Tiny, face: MakeClient, tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, 4 * GIB + 1)
    for storage in tiny.storages:
        storage.on["PUT head"] = lambda connection, request, proper: connection.close()
    client: Any = face("d", tiny.addresses)
    with pytest.raises(ConnectionError):
        client.store("huge", path)
    assert tiny.storages[0].requests[0].headers["content-length"] == str(4 * GIB + 1)
    assert tiny.tracker.requests[0].args["size"] == str(4 * GIB + 1)
