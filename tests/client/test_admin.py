"""A cluster's administration, typed; the same for both faces, on any cluster."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from mogilefs import (
    AlreadyExists,
    ClassNotFound,
    DomainNotFound,
    NotEmpty,
    TrackerError,
    TrackersUnavailable,
)
from mogilefs import cluster as parsers
from tests.client.conftest import MakeClient, Tiny, WholeCluster
from tests.support.misbehaving import Connection, once


@pytest.fixture
def admin(client: Any) -> Any:
    return client.admin


@pytest.fixture
def domain(admin: Any) -> Iterator[str]:
    name = f"t{uuid.uuid4().hex[:12]}"
    admin.create_domain(name)
    yield name
    for found in admin.domains():
        if found.name == name:
            for mogile_class in found.classes:
                if mogile_class.name != "default":
                    admin.delete_class(name, mogile_class.name)
            admin.delete_domain(name)


def by_name(things: list[Any], name: str) -> Any:
    return next(thing for thing in things if thing.name == name)


def test_domains(admin: Any, domain: str) -> None:
    assert [found.name for found in by_name(admin.domains(), domain).classes] == ["default"]
    with pytest.raises(AlreadyExists):
        admin.create_domain(domain)
    admin.delete_domain(domain)
    assert domain not in [found.name for found in admin.domains()]
    with pytest.raises(DomainNotFound):
        admin.delete_domain(domain)
    with pytest.raises(DomainNotFound):
        admin.classes(domain)


def test_classes(admin: Any, domain: str) -> None:
    admin.create_class(domain, "plain")
    admin.create_class(domain, "much", 3, replpolicy="MultipleDevices()", hashtype="MD5")
    much = by_name(admin.classes(domain), "much")
    assert (much.mindevcount, much.replpolicy, much.hashtype) == (3, "MultipleDevices()", "MD5")
    assert by_name(admin.classes(domain), "plain").mindevcount == 2
    assert by_name(admin.classes(domain), "plain").hashtype is None
    admin.update_class(domain, "much", hashtype="NONE")
    much = by_name(admin.classes(domain), "much")
    assert (much.mindevcount, much.hashtype) == (3, None)
    admin.update_class(domain, "much", 4)
    assert by_name(admin.classes(domain), "much").mindevcount == 4
    with pytest.raises(AlreadyExists):
        admin.create_class(domain, "much")
    with pytest.raises(NotEmpty):
        admin.delete_domain(domain)
    admin.delete_class(domain, "much")
    for unknown in (admin.delete_class, admin.update_class):
        with pytest.raises(ClassNotFound):
            unknown(domain, "much")
    with pytest.raises(TrackerError) as raised:
        admin.create_class(domain, "none", 0)
    assert raised.value.code == "invalid_mindevcount"


def test_hosts_and_devices(admin: Any) -> None:
    token = uuid.uuid4()
    name, ip = f"h{token.hex[:10]}", f"10.{token.bytes[0]}.{token.bytes[1]}.{token.bytes[2]}"
    hostid = admin.create_host(name, ip, 7500, status="down", get_port=7600)
    host = by_name(admin.hosts(), name)
    assert (host.hostid, host.ip, host.http_port, host.http_get_port, host.status) == (
        *(hostid, ip, 7500, 7600, "down"),
    )
    assert host.altip is None
    with pytest.raises(AlreadyExists):
        admin.create_host(name, ip)
    with pytest.raises(AlreadyExists):
        admin.create_host(f"{name}b", ip)
    altip = ip.replace("10.", "11.", 1)
    admin.update_host(name, port=7501, altip=altip, altmask="11.0.0.0/8")
    host = by_name(admin.hosts(), name)
    assert (host.http_port, host.altip, host.altmask) == (7501, altip, "11.0.0.0/8")
    devid = 40_000 + token.int % 20_000
    admin.create_device(name, devid, "down")
    admin.set_device_weight(name, devid, 50)
    device = next(device for device in admin.devices() if device.devid == devid)
    assert (device.hostid, device.status, device.weight) == (hostid, "down", 50)
    assert device.mb_free is None
    with pytest.raises(NotEmpty):
        admin.delete_host(name)
    admin.set_device_state(name, devid, "dead")
    with pytest.raises(TrackerError) as raised:
        admin.set_device_state(name, devid, "alive")
    assert raised.value.code == "state_too_high"


def test_settings(admin: Any) -> None:
    admin.set_setting("memcache_ttl", 1800)
    assert admin.setting("memcache_ttl") == "1800"
    assert admin.settings()["memcache_ttl"] == "1800"
    assert admin.setting("never-set") is None
    with pytest.raises(TrackerError) as raised:
        admin.set_setting("nosuch_setting", 1)
    assert raised.value.code == "not_writable"


def test_what_a_tracker_tells_about_itself(admin: Any, whole: WholeCluster) -> None:
    stats = admin.stats()
    assert stats.tracker in whole.trackers
    assert stats.queries > 0
    assert "replicate" in stats.work_queue
    assert admin.stats(whole.trackers[0]).tracker == whole.trackers[0]
    assert admin.version()
    jobs = {job.name: job for job in admin.jobs()}
    assert jobs["replicate"].desired >= 1
    assert set(admin.check()) == set(whole.trackers)
    assert admin.check()[stats.tracker] is None
    assert admin.replicate_now() >= 0
    admin.clear_cache()


def test_files_by_fid(client: Any, admin: Any, name: str) -> None:
    stored = client.store(name, b"bytes", mogile_class="thumb")
    found = admin.fids(after=stored.fid - 1, count=1)
    assert [(file.key, file.fid, file.length) for file in found] == [(name, stored.fid, 5)]
    assert admin.debug_fid(stored.fid)["fid_dkey"] == name


def wait_for(met: Callable[[], Any]) -> Any:
    """Background work takes its time; the test's own timeout ends this."""
    while not (result := met()):
        os.sched_yield()
    return result


def test_fsck(client: Any, admin: Any, name: str) -> None:
    stored = client.store(name, b"bytes", mogile_class="thumb")
    admin.fsck_stop()
    admin.fsck_reset(stored.fid - 1, policy_only=True)
    status = admin.fsck_status()
    assert (status.running, status.policy_only) == (False, True)
    assert status.max_fid_checked == stored.fid - 1
    admin.fsck_start()
    wait_for(lambda: admin.fsck_status().max_fid_checked >= stored.fid)
    wait_for(lambda: not admin.fsck_status().running)
    assert isinstance(admin.fsck_status().start_time, datetime)
    admin.fsck_clear_log()
    assert admin.fsck_log() == []


def test_rebalance(admin: Any) -> None:
    admin.rebalance_reset()
    assert admin.rebalance_status() is None
    admin.set_rebalance_policy("from_devices=999998 to_devices=999999")
    assert admin.rebalance_policy() == "from_devices=999998 to_devices=999999"
    with pytest.raises(TrackerError) as raised:
        admin.set_rebalance_policy("nosuchword=1")
    assert raised.value.code == "bad_rebal_pol"
    with pytest.raises(TrackerError) as raised:
        admin.rebalance_stop()
    assert raised.value.code == "rebal_not_started"
    devices = admin.devices()
    admin.set_rebalance_policy(f"from_devices={devices[0].devid}")
    assert admin.rebalance_test().sources == (devices[0].devid,)
    admin.set_rebalance_policy("")
    assert admin.rebalance_policy() == ""


def test_a_dead_tracker_is_told_apart(face: MakeClient, two_trackers: Tiny) -> None:
    dead, well = two_trackers.addresses
    two_trackers.tracker.stop()

    def version(connection: Connection, request: object, proper: bytes) -> None:
        connection.send(b"2.73\r\n.\r\n")

    two_trackers.trackers[1].on[""] = version
    admin = face(None, two_trackers.addresses).admin
    checked = admin.check()
    assert checked[well] is None
    assert "refused" in checked[dead].lower()
    assert admin.version() == "2.73"
    with pytest.raises(TrackersUnavailable, match=dead):
        admin.version(dead)


def test_the_lines_of_a_tracker_may_end_too_early(face: MakeClient, tiny: Tiny) -> None:
    def cut(connection: Connection, request: object, proper: bytes) -> None:
        connection.send(b"uptime 7\r\nqueries")
        connection.close()

    tiny.tracker.on[""] = once(cut)
    admin = face(None, tiny.addresses).admin
    with pytest.raises(TrackersUnavailable, match="closed"):
        admin.stats()


# What a cluster says at work, as it was recorded on a real tracker


def test_findings_of_a_recorded_fsck() -> None:
    status = parsers.fsck_status_from(
        {
            "num_GONE": "1",
            "num_MISS": "2",
            "running": "0",
            "policy_only": "0",
            "host": "",
            "max_fid_checked": "98",
            "end_fid": "98",
            "max_logid": "5",
            "start_time": "1795334971",
            "stop_time": "0",
            "current_time": "1795334976",
        }
    )
    assert status.found == {"GONE": 1, "MISS": 2}
    assert status.stop_time is None
    assert status.start_time is not None
    rows = parsers.rows(
        {
            "row_count": "2",
            "row_1_logid": "1",
            "row_1_evcode": "MISS",
            "row_1_fid": "97",
            "row_1_devid": "2",
            "row_1_utime": "1795334975",
            "row_2_logid": "12",
            "row_2_evcode": "GONE",
            "row_2_fid": "98",
            "row_20_fid": "0",
        },
        "row_count",
        "row_{}_",
    )
    entries = [parsers.fsck_entry_from(row) for row in rows]
    assert [(entry.logid, entry.code, entry.fid, entry.devid) for entry in entries] == [
        (1, "MISS", 97, 2),
        (12, "GONE", 98, None),
    ]


def test_state_of_a_recorded_rebalance() -> None:
    state = (
        "sdev_current=0 time_stopped=0 time_latest_run=1795334995 empty_runs=0 fids_queued=15 "
        "completed_devs=,2 source_devs= sdev_limit=0 time_finished=1795334997 "
        "time_started=1795334993 bytes_queued=89"
    )
    status = parsers.rebalance_status_from({"state": state})
    assert (status.fids_queued, status.bytes_queued) == (15, 89)
    assert (status.completed_devs, status.source_devs) == ((2,), ())
    assert status.time_stopped is None
    assert status.state["empty_runs"] == "0"
