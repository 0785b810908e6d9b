"""What another client has just taken away gets nothing new, and what has just come is seen."""

from __future__ import annotations

from tests.support.farm import Farm
from tests.support.recorded import Tracker


def test_a_host_that_has_just_gone_gets_no_device(farm: Farm, tracker: Tracker) -> None:
    hostid = tracker.ask("create_host host=far&ip=127.0.0.2&port=7500").args["hostid"]
    farm.rows("DELETE FROM host WHERE hostid = ?", hostid)  # the tracker has not seen it yet
    assert tracker.ask(f"create_device devid=9&hostid={hostid}").code == "unknown_hostid"
    assert farm.rows("SELECT * FROM device WHERE devid = 9") == []


def test_a_host_that_has_just_got_a_device_stays(farm: Farm, tracker: Tracker) -> None:
    hostid = tracker.ask("create_host host=far&ip=127.0.0.2&port=7500").args["hostid"]
    farm.rows("INSERT INTO device (devid, hostid, status) VALUES (9, ?, 'down')", hostid)
    assert tracker.ask("delete_host host=far").code == "host_not_empty"
    assert farm.rows("SELECT hostname FROM host WHERE hostid = ?", hostid) == [("far",)]


def test_a_domain_that_has_just_gone_gets_no_class(farm: Farm, tracker: Tracker) -> None:
    tracker.ask("create_domain domain=gone")
    farm.rows("DELETE FROM domain WHERE namespace = 'gone'")
    asked = tracker.ask("create_class domain=gone&class=ghost&mindevcount=1")
    assert asked.code == "domain_not_found"
    assert farm.rows("SELECT * FROM class WHERE classname = 'ghost'") == []
