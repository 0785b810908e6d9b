"""Trackers that break, stall or talk nonsense: the client goes on, and never mixes answers up."""

from __future__ import annotations

import threading

import pytest

from mogilefs import KeyExists, TrackersUnavailable
from mogilefs.config import Address
from mogilefs.pool import Health
from tests.client.conftest import MakeClient, Tiny
from tests.support.misbehaving import Connection, TinyStorage, TinyTracker, once


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

PATIENCE = 1.0
"""Seconds that a client waits for a tracker that stalls: the others must be quicker."""


def patience(fault: object) -> float:
    return PATIENCE if fault is stall else 10.0


@pytest.mark.parametrize("fault", FAULTS)
def test_the_next_tracker_answers_instead(
    face: MakeClient, two_trackers: Tiny, fault: object
) -> None:
    stored = two_trackers.cluster.add("key", b"body")
    two_trackers.tracker.on["get_paths"] = fault
    with face("d", two_trackers.addresses, timeout=patience(fault)) as client:
        assert client.paths("key") == stored.urls
        assert two_trackers.trackers[1].commands == ["get_paths"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failed_tracker_is_not_asked_again_for_a_while(
    face: MakeClient, two_trackers: Tiny, fault: object
) -> None:
    two_trackers.cluster.add("key", b"body")
    two_trackers.tracker.on["get_paths"] = fault
    with face("d", two_trackers.addresses, timeout=patience(fault)) as client:
        for _ in range(5):
            client.paths("key")
        assert two_trackers.tracker.commands == ["get_paths"]


def test_the_error_names_each_tracker_and_why(face: MakeClient, two_trackers: Tiny) -> None:
    first, second = two_trackers.trackers
    first.on["get_paths"] = stall
    second.on["get_paths"] = garbage
    with (
        face("d", two_trackers.addresses, timeout=PATIENCE) as client,
        pytest.raises(TrackersUnavailable) as raised,
    ):
        client.paths("key")
    assert list(raised.value.reasons) == two_trackers.addresses
    assert "timed out" in raised.value.reasons[first.address]
    assert "220 mail" in raised.value.reasons[second.address]
    assert first.address in str(raised.value)


def test_trackers_that_all_failed_are_asked_rather_than_never(face: MakeClient, tiny: Tiny) -> None:
    tiny.cluster.add("key", b"body")
    tiny.tracker.on["get_paths"] = once(close)
    with face("d", tiny.addresses) as client:
        with pytest.raises(TrackersUnavailable):
            client.paths("key")
        assert client.paths("key")


def test_a_late_answer_never_reaches_the_next_question(face: MakeClient, tiny: Tiny) -> None:
    tiny.cluster.add("slow", b"1")
    tiny.cluster.add("quick", b"2")
    released = threading.Event()

    def late(connection: Connection, request: object, proper: bytes) -> None:
        released.wait(10)
        connection.send(proper)

    tiny.tracker.on["get_paths"] = once(late)
    with face("d", tiny.addresses, timeout=PATIENCE) as client:
        with pytest.raises(TrackersUnavailable):
            client.paths("slow")
        released.set()
        assert client.paths("quick") == tiny.cluster.files["quick"].urls


@pytest.mark.parametrize("command", ["delete", "rename"])
@pytest.mark.parametrize("fault", [close, cut, stall])
def test_what_changes_something_is_sent_only_once(
    face: MakeClient, two_trackers: Tiny, command: str, fault: object
) -> None:
    two_trackers.cluster.add("key", b"body")
    for tracker in two_trackers.trackers:
        tracker.on[command] = fault
    with (
        face("d", two_trackers.addresses, timeout=patience(fault)) as client,
        pytest.raises(TrackersUnavailable, match="not one that is sent twice"),
    ):
        client.delete("key") if command == "delete" else client.rename("key", "new")
    commands = [command for tracker in two_trackers.trackers for command in tracker.commands]
    assert commands == [command]


def test_a_tracker_that_closes_before_it_is_asked(face: MakeClient, two_trackers: Tiny) -> None:
    two_trackers.cluster.add("key", b"body")
    two_trackers.tracker.on["connect"] = close
    with face("d", two_trackers.addresses) as client:
        assert client.read("key") == b"body"


def test_a_tracker_that_is_not_there(face: MakeClient, two_trackers: Tiny) -> None:
    two_trackers.cluster.add("key", b"body")
    two_trackers.tracker.stop()
    with face("d", two_trackers.addresses) as client:
        client.rename("key", "new")
        client.delete("new")
        client.store("key", b"again", overwrite=False)


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_a_tracker_by_no_host_name(face: MakeClient, tiny: Tiny, host: str) -> None:
    tiny.cluster.add("key", b"body")
    assert face("domain", [host, *tiny.addresses]).exists("key")
    with pytest.raises(TrackersUnavailable, match=f"not a host name: '{host}'"):
        face("domain", host).exists("key")


def test_a_tracker_that_is_well_again_is_asked_again(face: MakeClient, tiny: Tiny) -> None:
    tiny.cluster.add("key", b"body")
    tiny.tracker.on["get_paths"] = once(close)
    with face("d", tiny.addresses) as client:
        with pytest.raises(TrackersUnavailable):
            client.paths("key")
        assert client.paths("key")
        assert client._operations.trackers.health.all_well


def test_pauses_grow_with_jitter_up_to_a_minute() -> None:
    health = Health()
    bad, good = Address("bad", 1), Address("good", 1)
    pauses = []
    for _ in range(12):
        health.failed(bad)
        assert health.order([bad, good]) == [good, bad]
        pauses.append(health.pause(bad))
    assert 0.7 < pauses[0] < 1.3
    assert 1.4 < pauses[1] < 2.6
    assert all(44 < pause < 76 for pause in pauses[-4:])
    assert len(set(pauses[-4:])) > 1


def test_one_thread_tries_a_failed_tracker_while_the_others_leave_it_alone() -> None:
    health = Health()
    bad, good = Address("bad", 1), Address("good", 1)
    health.failed(bad)
    health.asking(bad)
    assert health.order([bad, good]) == [good, bad]
    assert health.pause(bad) > 1.3
    health.answered(bad)
    assert health.order([bad, good]) == [bad, good]


# Several commands in one packet


def test_a_tracker_without_callid_is_asked_one_at_a_time(face: MakeClient, tiny: Tiny) -> None:
    tiny.tracker.echoes = False
    with face("d", tiny.addresses) as client:
        client.store("key", b"body", overwrite=False)
        assert client.read("key") == b"body"
        tiny.tracker.waiting.clear()
        client.store("key2", b"body", overwrite=False)
        with pytest.raises(KeyExists):
            client.store("key2", b"body", overwrite=False)
        assert client.read("key2") == b"body"
        assert set(tiny.tracker.waiting) == {0}


def test_a_tracker_without_callid_that_hears_only_one_command(face: MakeClient, tiny: Tiny) -> None:
    tiny.tracker.echoes = False

    def deaf(connection: Connection, request: object, proper: bytes) -> None:
        connection.buffer = b""
        connection.send(proper)

    for command in ("file_info", "get_paths", "create_close"):
        tiny.tracker.on[command] = deaf
    with face("d", tiny.addresses) as client:
        client.store("key", b"body", overwrite=False)
        assert client.read("key") == b"body"


def test_replies_in_another_order_are_matched_and_cost_the_connection(
    face: MakeClient, tiny: Tiny
) -> None:
    tiny.cluster.add("key", b"body")
    held: list[bytes] = []

    def hold(connection: Connection, request: object, proper: bytes) -> None:
        held.append(proper)

    def swap(connection: Connection, request: object, proper: bytes) -> None:
        connection.send(proper + held.pop())

    tiny.tracker.on |= {"get_paths": hold, "file_info": swap}
    with face("d", tiny.addresses) as client:
        located = client.locate("key")
        assert located.paths == tiny.cluster.files["key"].urls
        assert located.info.fid == tiny.cluster.files["key"].fid
        client.locate("key")
        assert tiny.tracker.connections == 2


def test_a_reply_too_many_costs_the_connection(face: MakeClient, tiny: Tiny) -> None:
    tiny.cluster.add("key", b"body")
    tiny.cluster.add("other", b"other")

    def twice(connection: Connection, request: object, proper: bytes) -> None:
        connection.send(proper + proper)

    tiny.tracker.on["get_paths"] = twice
    with face("d", tiny.addresses) as client:
        assert client.paths("key") == tiny.cluster.files["key"].urls
        assert client.paths("other") == tiny.cluster.files["other"].urls
        assert tiny.tracker.connections == 2


def test_a_line_without_end_is_not_read_for_ever(face: MakeClient, two_trackers: Tiny) -> None:
    two_trackers.cluster.add("key", b"body")

    def endless(connection: Connection, request: object, proper: bytes) -> None:
        while True:
            connection.send(b"OK " + b"x" * 65536)

    two_trackers.tracker.on["get_paths"] = endless
    with face("d", two_trackers.addresses) as client:
        assert client.paths("key") == two_trackers.cluster.files["key"].urls


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_trackers_by_number_and_name(face: MakeClient, tiny: Tiny, host: str) -> None:
    listening = "127.0.0.1" if host == "localhost" else host
    tracker = TinyTracker(tiny.cluster, listening)
    storage = TinyStorage(tiny.cluster, listening)
    tiny.cluster.storages[:] = [storage]
    address = f"localhost:{tracker.port}" if host == "localhost" else tracker.address
    with face("d", address) as client:
        client.store("key", b"body")
        assert client.read("key") == b"body"
    tracker.stop()
    storage.stop()
