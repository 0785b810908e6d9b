"""Reading a key that somebody stores anew at that moment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from mogilefs import Client, StorageUnavailable
from mogilefs.files import LOOKS
from mogilefs.fs import MogileFSFileSystem
from mogilefs.wire import Request
from tests.client.conftest import MakeClient, Tiny
from tests.support.misbehaving import Behaviour, Connection, once

OLD, NEW = b"older and longer", b"new"


def whole(client: Any) -> bytes:
    return bytes(client.read("key"))


def streamed(client: Any) -> bytes:
    return b"".join(client.stream("key"))


def opened(client: Any) -> bytes:
    with client.open("key") as file:
        return bytes(file.read())


def copied(client: Any) -> bytes:
    client.copy("key", "copy")
    return bytes(client.read("copy"))


def between_answers(tiny: Tiny) -> Behaviour:
    """The tracker's two answers are about two files; a real one's workers do that."""

    def behaviour(connection: Connection, request: Request, proper: bytes) -> None:
        connection.send(proper)
        tiny.cluster.add("key", NEW)

    return behaviour


def after_answers(tiny: Tiny) -> Behaviour:
    """The old file is gone by the time that it is fetched."""

    def behaviour(connection: Connection, request: Request, proper: bytes) -> None:
        for storage in tiny.storages:
            storage.bodies.clear()
        tiny.cluster.add("key", NEW)
        connection.send(proper)

    return behaviour


@pytest.mark.parametrize("read", [whole, streamed, opened, copied])
@pytest.mark.parametrize(
    ("command", "overwritten"), [("get_paths", between_answers), ("file_info", after_answers)]
)
def test_the_new_file_is_read(
    face: MakeClient,
    tiny: Tiny,
    command: str,
    overwritten: Callable[[Tiny], Behaviour],
    read: Callable[[Any], bytes],
) -> None:
    tiny.cluster.add("key", OLD)
    tiny.tracker.on[command] = once(overwritten(tiny))
    assert read(face("d", tiny.addresses)) == NEW


def test_the_new_file_is_read_through_fsspec(tiny: Tiny) -> None:
    tiny.cluster.add("key", OLD)
    tiny.tracker.on["file_info"] = once(after_answers(tiny))
    files = MogileFSFileSystem(",".join(tiny.addresses), skip_instance_cache=True)
    assert files.cat_file("d/key", 0, 2) == NEW[:2]


@pytest.mark.parametrize("command", ["cat", "get"])
def test_the_new_file_is_read_by_the_command(tiny: Tiny, command: str) -> None:
    tiny.cluster.add("key", OLD)
    tiny.tracker.on["file_info"] = once(after_answers(tiny))
    words = [command, "key", *["-"][: command == "get"]]
    told = ["--trackers", ",".join(tiny.addresses), "--domain", "d"]
    done = subprocess.run(
        [sys.executable, "-m", "mogilefs", *told, *words], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, NEW), done.stderr


def test_the_new_file_is_copied_by_the_command(tiny: Tiny) -> None:
    def proper_answer(connection: Connection, request: Request, proper: bytes) -> None:
        connection.send(proper)

    answers = iter([proper_answer, after_answers(tiny)])

    def overwritten_at_the_second(connection: Connection, request: Request, proper: bytes) -> None:
        next(answers, proper_answer)(connection, request, proper)

    tiny.cluster.add("key", OLD)
    tiny.tracker.on["file_info"] = overwritten_at_the_second
    told = ["--trackers", ",".join(tiny.addresses), "--domain", "d"]
    command = [sys.executable, "-m", "mogilefs", *told, "cp", "key", "copy"]
    subprocess.run(command, check=True)
    assert Client("d", tiny.addresses).read("copy") == NEW


def test_whoever_was_told_the_size_gets_that_file_or_none(face: MakeClient, tiny: Tiny) -> None:
    tiny.cluster.add("key", OLD)
    with face("d", tiny.addresses).open("key") as file:
        assert file.size == len(OLD)
        for storage in tiny.storages:
            storage.bodies.clear()
        tiny.cluster.add("key", NEW)
        with pytest.raises(StorageUnavailable):
            file.read()


def test_the_tracker_is_not_asked_for_ever(face: MakeClient, tiny: Tiny) -> None:
    tiny.cluster.add("key", OLD)
    for storage in tiny.storages:
        storage.bodies.clear()
    with pytest.raises(StorageUnavailable):
        face("d", tiny.addresses).read("key")
    assert tiny.tracker.commands.count("get_paths") == 2


def test_an_opened_file_is_not_looked_up_for_ever(face: MakeClient, tiny: Tiny) -> None:
    def overwritten(connection: Connection, request: Request, proper: bytes) -> None:
        connection.send(proper)
        tiny.cluster.add("key", NEW)

    def reset(connection: Connection, request: object, proper: bytes) -> None:
        connection.reset()

    tiny.cluster.add("key", OLD)
    tiny.tracker.on["file_info"] = overwritten
    for storage in tiny.storages:
        storage.on["GET"] = reset
    with pytest.raises(StorageUnavailable), face("d", tiny.addresses).open("key") as file:
        file.read(5)
    assert tiny.tracker.commands.count("get_paths") <= 2 * LOOKS


def test_a_copy_that_fails_of_a_file_that_stays_is_not_tried_again(
    face: MakeClient, tiny: Tiny
) -> None:
    tiny.cluster.add("key", OLD)
    for storage in tiny.storages:
        storage.bodies.clear()
    with pytest.raises(StorageUnavailable, match="no replica of 'key'"):
        face("d", tiny.addresses).copy("key", "copy")
    assert tiny.tracker.commands.count("create_open") == 1


def test_what_is_told_of_a_file_is_told_of_one(face: MakeClient, tiny: Tiny) -> None:
    tiny.cluster.add("key", OLD)
    client = face("d", tiny.addresses)
    tiny.tracker.on["get_paths"] = once(between_answers(tiny))
    located = client.locate("key")
    assert located.info.length == len(NEW)
    assert located.paths[0].endswith(f"/{located.info.fid}.fid")
    tiny.tracker.on["get_paths"] = between_answers(tiny)
    with pytest.raises(StorageUnavailable, match="'key' was stored anew each time"):
        client.locate("key")
