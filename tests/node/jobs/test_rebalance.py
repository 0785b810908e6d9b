"""Rebalance moves files by policy."""

from __future__ import annotations

import pytest

from mogilefs.errors import TrackerError
from mogilefs.node.jobs.rebalancepolicy import PolicyError, RebalanceState, parse
from mogilefs.node.registry import Device, Host
from tests.support.farm import Farm, until

HOSTS = {n: Host(n, f"h{n}", "alive", f"10.0.0.{n}", 7500) for n in (1, 2)}
DEVICES = [
    Device(1, HOSTS[1], "alive", 100, mb_total=1000, mb_used=900),
    Device(2, HOSTS[1], "alive", 100, mb_total=1000, mb_used=100),
    Device(3, HOSTS[2], "alive", 100, mb_total=4000, mb_used=2000),
    Device(4, HOSTS[2], "readonly", 100, mb_total=1000, mb_used=0),
]


@pytest.mark.parametrize(
    ("policy", "sources", "targets"),
    [
        ("from_all_devs=1", [1, 2, 3], []),
        ("from_devices=1,2", [1, 2], [3]),
        ("from_devices=1 to_devices=2,3", [1], [2, 3]),
        ("from_hosts=1", [1, 2], [3]),
        ("from_percent_used=80", [1], [2, 3]),
        ("from_percent_free=20 to_percent_free=60", [1], [2]),
        ("from_space_used=1500", [3], [1, 2]),
        ("from_space_free=950 to_space_free=1500", [1, 2], [3]),
        ("from_devices=1 not_to_devices=2", [1], [3]),
        ("from_devices=1 not_to_hosts=2", [1], [2]),
        ("from_devices=4", [], [1, 2, 3]),
        ("from_devices=1 to_percent_used=20 to_space_used=150", [1], [2]),
    ],
)
def test_a_policy_chooses_devices(policy: str, sources: list[int], targets: list[int]) -> None:
    parsed = parse(policy)
    assert parsed.sources(DEVICES) == sources
    assert parsed.targets(DEVICES) == targets


@pytest.mark.parametrize(
    "text",
    ["nosuch=1", "from_devices", "from_devices=a", "limit_by=much", "fid_age=1", "limit=-1",
     "from_all_devs=yes"],
)  # fmt: skip
def test_what_is_no_policy_is_refused_by_name(text: str) -> None:
    with pytest.raises(PolicyError, match=text.partition("=")[0]):
        parse(text)


def test_a_limit_may_have_a_unit() -> None:
    assert parse("limit_by=size limit=5m").limit == 5 * 2**20
    assert parse("limit_by=count limit=5").limit == 5


def test_a_state_survives_its_text() -> None:
    state = RebalanceState(completed_devs=[1], source_devs=[2, 3], fids_queued=7, time_started=9)
    assert RebalanceState.parse(str(state)) == state
    assert RebalanceState.parse("nonsense=1 fids_queued=x completed_devs=,2").completed_devs == [2]


def run(farm: Farm, policy: str) -> None:
    admin = farm.client.admin
    admin.rebalance_reset()
    admin.set_rebalance_policy(policy)
    admin.rebalance_start()
    until(lambda: (status := admin.rebalance_status()) and status.time_finished)
    until(farm.idle)


def on_device(farm: Farm, devid: int) -> int:
    [(count,)] = farm.rows("SELECT count(*) FROM file_on WHERE devid = ?", devid)
    return int(count)


@pytest.fixture
def full(farm: Farm) -> Farm:
    """Twelve pairs on devices 1 and 2."""
    for devid in (3, 4):
        farm.set_state(devid, "down")
    for number in range(12):
        farm.client.store(f"k{number}", b"bytes", mogile_class="pair")
    until(lambda: on_device(farm, 1) == on_device(farm, 2) == 12 and farm.idle())
    for devid in (3, 4):
        farm.set_state(devid, "alive")
    until(lambda: farm.observed(3) == farm.observed(4) == "writeable")
    return farm


def test_it_moves_everything_to_where_the_policy_says(full: Farm) -> None:
    run(full, "from_devices=1 to_devices=4")
    assert [on_device(full, devid) for devid in (1, 2, 3, 4)] == [0, 12, 0, 12]
    assert all(full.client.read(f"k{number}") == b"bytes" for number in range(12))
    assert full.fsck() == {}
    assert [device.status for device in full.client.admin.devices()] == ["alive"] * 4


@pytest.mark.parametrize(
    ("limit", "left"),
    [
        ("limit_type=device limit_by=count limit=5", [7, 7]),
        ("limit_type=global limit_by=count limit=5", [7, 12]),
        ("limit_type=device limit_by=size limit=20b", [8, 8]),
    ],
)
def test_it_keeps_to_its_limit(full: Farm, limit: str, left: list[int]) -> None:
    run(full, f"from_devices=1,2 to_devices=3,4 {limit}")
    assert [on_device(full, devid) for devid in (1, 2)] == left


def test_new_files_first_if_so_wanted(full: Farm) -> None:
    run(full, "from_devices=1 to_devices=3 fid_age=new limit_by=count limit=2")
    assert {key for key in ("k10", "k11") if 3 in full.locations(key)} == {"k10", "k11"}


def test_a_device_may_be_left_in_drain(full: Farm) -> None:
    run(full, "from_devices=1 to_devices=3 leave_in_drain_mode=1")
    assert full.client.admin.devices()[0].status == "drain"
    run(full, "from_devices=2 to_devices=4")
    assert [device.status for device in full.client.admin.devices()] == ["drain"] + ["alive"] * 3


def test_an_operators_drain_is_left_alone(full: Farm) -> None:
    full.set_state(1, "drain")
    run(full, "from_devices=1 to_devices=3")
    assert [device.status for device in full.client.admin.devices()] == ["drain"] + ["alive"] * 3
    assert on_device(full, 1) == 0


def test_a_drain_that_an_operator_asks_for_meanwhile_is_left_alone(full: Farm) -> None:
    admin = full.client.admin
    admin.set_rebalance_policy("from_devices=1 to_devices=3")
    admin.rebalance_start()
    until(lambda: admin.devices()[0].status == "drain")
    full.set_state(1, "drain")
    until(lambda: (status := admin.rebalance_status()) and status.time_finished)
    assert admin.devices()[0].status == "drain"


def test_it_does_not_run_beside_an_fsck(full: Farm) -> None:
    admin = full.client.admin
    admin.set_rebalance_policy("from_devices=1 to_devices=3")
    for queue in ("fsck", "rebal"):  # full queues: neither run comes to an end
        full.rows("INSERT INTO server_settings VALUES (?, '1')", f"queue_size_for_{queue}")
    rows = "(998, 1, 1, 2147483647), (999, 1, 2, 2147483647)"
    full.rows(f"INSERT INTO file_to_queue (fid, devid, type, nexttry) VALUES {rows}")
    admin.fsck_start()
    with pytest.raises(TrackerError, match="fsck_running"):
        admin.rebalance_start()
    admin.fsck_stop()
    admin.rebalance_start()
    with pytest.raises(TrackerError, match="rebal_running"):
        admin.fsck_start()


def test_another_policy_begins_another_run(full: Farm) -> None:
    run(full, "from_devices=1 to_devices=3")
    admin = full.client.admin
    assert admin.rebalance_status()
    admin.set_rebalance_policy("from_devices=2 to_devices=3")
    assert not admin.rebalance_status()


def test_it_can_be_stopped_and_says_so(full: Farm) -> None:
    admin = full.client.admin
    admin.set_rebalance_policy("from_devices=1 to_devices=3")
    with pytest.raises(TrackerError, match="rebal_not_started"):
        admin.rebalance_stop()
    full.node.jobs.context.claims.take(full.fid("k0"))  # holds it up
    admin.rebalance_start()
    for refused in (admin.rebalance_reset, admin.rebalance_start):
        with pytest.raises(TrackerError, match="rebal_running"):
            refused()
    with pytest.raises(TrackerError, match="no_set_rebal"):
        admin.set_rebalance_policy("from_devices=2")
    admin.rebalance_stop()
    status = admin.rebalance_status()
    assert status is not None
    assert status.time_stopped
    assert admin.devices()[0].status == "alive"


def test_a_device_can_be_drained_though_a_rebalance_was_stopped_on_it(full: Farm) -> None:
    admin = full.client.admin
    admin.set_rebalance_policy("from_devices=1 to_devices=3")
    full.rows("INSERT INTO server_settings VALUES ('queue_size_for_rebal', '1')")
    row = "(998, 1, 2, 2147483647)"  # a full queue
    full.rows(f"INSERT INTO file_to_queue (fid, devid, type, nexttry) VALUES {row}")
    admin.rebalance_start()
    until(lambda: admin.devices()[0].status == "drain")
    admin.rebalance_stop()
    full.rows("DELETE FROM file_to_queue")
    full.set_state(1, "drain")
    until(lambda: on_device(full, 1) == 0)
