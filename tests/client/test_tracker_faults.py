"""Trackers that break, stall or talk nonsense: the client goes on, and never mixes answers up."""

from __future__ import annotations

import threading

import pytest

from mogilefs import Client, TrackersUnavailable
from tests.client.conftest import Tiny
from tests.support.misbehaving import Connection, once


def close(connection: Connection, request: object, proper: bytes) -> None:
    connection.close()


def cut(connection: Connection, request: object, proper: bytes) -> None:
    connection.send(proper[:5])
    connection.close()


def garbage(connection: Connection, request: object, proper: bytes) -> None:
    connection.send(b"220 mail.example ESMTP\r\n")


def stall(connection: Connection, request: object, proper: bytes) -> None:
    connection.sock.recv(1)  # until the client gives up and closes


def another_answer(connection: Connection, request: object, proper: bytes) -> None:
    connection.send(b"OK paths=1&path1=http://other/&callid=999999\r\n")


FAULTS = [close, cut, garbage, stall, another_answer]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_next_tracker_answers_instead(two_trackers: Tiny, fault: object) -> None:
    stored = two_trackers.cluster.add("key", b"body")
    two_trackers.tracker.on["get_paths"] = fault
    with Client("d", two_trackers.addresses, timeout=0.3) as client:
        assert client.paths("key") == stored.urls
        assert two_trackers.trackers[1].commands == ["get_paths"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failed_tracker_is_not_asked_again_for_a_while(two_trackers: Tiny, fault: object) -> None:
    two_trackers.cluster.add("key", b"body")
    two_trackers.tracker.on["get_paths"] = fault
    with Client("d", two_trackers.addresses, timeout=0.3) as client:
        for _ in range(5):
            client.paths("key")
        assert two_trackers.tracker.commands == ["get_paths"]


def test_the_error_names_each_tracker_and_why(two_trackers: Tiny) -> None:
    first, second = two_trackers.trackers
    first.on["get_paths"] = stall
    second.on["get_paths"] = garbage
    with (
        Client("d", two_trackers.addresses, timeout=0.2) as client,
        pytest.raises(TrackersUnavailable) as raised,
    ):
        client.paths("key")
    assert list(raised.value.reasons) == two_trackers.addresses
    assert "timed out" in raised.value.reasons[first.address]
    assert "220 mail" in raised.value.reasons[second.address]
    assert first.address in str(raised.value)


def test_trackers_that_all_failed_are_asked_rather_than_never(tiny: Tiny) -> None:
    tiny.cluster.add("key", b"body")
    tiny.tracker.on["get_paths"] = once(close)
    with Client("d", tiny.addresses) as client:
        with pytest.raises(TrackersUnavailable):
            client.paths("key")
        assert client.paths("key")


def test_a_late_answer_never_reaches_the_next_question(tiny: Tiny) -> None:
    tiny.cluster.add("slow", b"1")
    tiny.cluster.add("quick", b"2")
    released = threading.Event()

    def late(connection: Connection, request: object, proper: bytes) -> None:
        released.wait(10)
        connection.send(proper)

    tiny.tracker.on["get_paths"] = once(late)
    with Client("d", tiny.addresses, timeout=0.2) as client:
        with pytest.raises(TrackersUnavailable):
            client.paths("slow")
        released.set()
        assert client.paths("quick") == tiny.cluster.files["quick"].urls


@pytest.mark.parametrize("command", ["delete", "rename"])
@pytest.mark.parametrize("fault", [close, cut, stall])
def test_what_changes_something_is_sent_only_once(
    two_trackers: Tiny, command: str, fault: object
) -> None:
    two_trackers.cluster.add("key", b"body")
    for tracker in two_trackers.trackers:
        tracker.on[command] = fault
    with (
        Client("d", two_trackers.addresses, timeout=0.2) as client,
        pytest.raises(TrackersUnavailable, match="not one that is sent twice"),
    ):
        client.delete("key") if command == "delete" else client.rename("key", "new")
    commands = [command for tracker in two_trackers.trackers for command in tracker.commands]
    assert commands == [command]
