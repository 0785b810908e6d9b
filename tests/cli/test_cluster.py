from __future__ import annotations

import re

import pytest

from mogilefs import Client
from mogilefs.node.node import Node

from .conftest import Run


def test_status_shows_hosts_devices_and_queues(run: Run, node: Node):
    found = run("status", "--json").json
    assert [tracker["tracker"] for tracker in found["trackers"]] == [node.tracker]
    assert [host["name"] for host in found["hosts"]] == ["node"]
    assert {1, 2, 3} <= {device["devid"] for device in found["devices"]}
    assert all(device["host"] for device in found["devices"])
    assert all(device["mb_used"] is not None for device in found["devices"][:3])
    assert all(isinstance(count, int) for count in found["queues"].values())
    text = run("status").out
    for word in (node.tracker, "alive", "GiB", "%", "queue"):
        assert word in text


def test_status_tells_a_tracker_that_does_not_answer(run: Run, node: Node):
    found = run("status", "--json", "--trackers", f"127.0.0.1:1,{node.tracker}").json
    dead, alive = found["trackers"]
    assert dead["error"]
    assert alive["error"] is None


def test_domains_are_made_listed_and_deleted(run: Run):
    assert run("domain", "add", "fresh").code == 0
    assert run("domain", "add", "fresh").code == 6
    assert "fresh" in [domain["name"] for domain in run("domain", "list", "--json").json]
    assert "fresh" in run("domain").out
    assert run("domain", "delete", "fresh").code == 0
    assert run("domain", "delete", "fresh").code == 3


def test_a_domain_with_files_is_not_deleted(run: Run, client: Client, domain: str):
    client.store("k", b"x")
    assert run("domain", "delete", domain).code == 6


def test_classes_are_made_changed_listed_and_deleted(run: Run, client: Client, domain: str):
    assert run("class", "add", "new", "--mindevcount", "3", "--hashtype", "MD5").code == 0
    assert run("class", "modify", domain, "new", "--mindevcount", "2").code == 0
    found = {each["name"]: each for each in run("class", "list", domain, "--json").json}
    assert found["new"]["mindevcount"] == 2
    assert found["new"]["domain"] == domain
    assert "new" in run("class", "list").out
    assert run("class", "delete", "new").code == 0
    assert run("class", "delete", "new").code == 3
    assert run("class", "list", "nosuchdomain").code == 3


def test_all_classes_are_listed_where_no_domain_is_named(run: Run, monkeypatch):
    monkeypatch.delenv("MOGILEFS_DOMAIN")
    assert "demo" in {each["domain"] for each in run("class", "list", "--json").json}
    assert run("class", "add", "x").code == 2


def test_hosts_are_made_changed_listed_and_deleted(run: Run):
    assert run("host", "add", "far", "--ip", "127.9.9.9", "--status", "down").code == 0
    assert run("host", "modify", "far", "--port", "7600").code == 0
    assert run("host", "mark", "far", "readonly").code == 0
    found = {host["name"]: host for host in run("host", "list", "--json").json}
    assert (found["far"]["http_port"], found["far"]["status"]) == (7600, "readonly")
    assert "far" in run("host").out
    assert run("host", "mark", "far", "sleepy").code == 2
    assert run("host", "modify", "far", "--ip", "::9").code == 0
    assert "[::9]:7600" in run("host").out
    assert run("host", "delete", "far").code == 0
    assert run("host", "delete", "far").code == 3
    assert run("host", "mark", "far", "down").code == 3


def test_devices_are_made_marked_weighed_and_listed(run: Run):
    assert run("host", "add", "shelf", "--ip", "127.9.9.8", "--status", "down").code == 0
    assert run("device", "add", "shelf", "901", "--status", "down").code == 0
    assert run("device", "add", "shelf", "901").code == 6
    assert run("device", "weight", "shelf", "901", "50").code == 0
    assert run("device", "mark", "shelf", "901", "readonly").code == 0
    found = {device["devid"]: device for device in run("device", "list", "--json").json}
    assert found[901]["host"] == "shelf"
    assert (found[901]["status"], found[901]["weight"]) == ("readonly", 50)
    assert "shelf" in run("device").out
    assert run("device", "mark", "shelf", "902", "down").code == 3
    assert run("device", "mark", "shelf", "901", "dead").code == 0


def test_settings_are_set_shown_and_listed(run: Run):
    assert run("settings", "set", "memcache_ttl", "1800").code == 0
    assert run("settings", "get", "memcache_ttl").out == "1800\n"
    assert run("settings", "get", "memcache_ttl", "--json").json["value"] == "1800"
    assert {"name": "memcache_ttl", "value": "1800"} in run("settings", "list", "--json").json
    assert "memcache_ttl" in run("settings").out
    assert run("settings", "set", "schema_version", "1").code == 1
    assert run("settings", "get", "nosuch").out == ""


def test_fsck_is_started_watched_and_reset(run: Run):
    assert run("fsck", "reset", "--startpos", "0").code == 0
    assert run("fsck", "start").code == 0
    assert run("fsck", "status", "--json").json["running"] in (True, False)
    assert "max_fid_checked" in run("fsck").out
    assert run("fsck", "stop").code == 0
    assert isinstance(run("fsck", "log", "--json").json, list)
    assert run("fsck", "clearlog").code == 0


def test_what_fsck_found_is_told_line_by_line(run: Run, client: Client, node: Node):
    client.store("k", b"x", mogile_class="one")
    fid = client.info("k").fid
    (path,) = node.directory.glob(f"dev*/**/{fid:010}.fid")
    path.unlink()
    assert run("fsck", "reset", "--startpos", str(fid - 1)).code == 0
    assert run("fsck", "start").code == 0
    while not re.search("^found +MISS 1$", run("fsck", "status").out, re.MULTILINE):
        pass  # what is queued is still checked when it has ended
    client.delete("k")


def test_rebalance_needs_a_policy(run: Run):
    assert run("rebalance", "policy", "").code == 0
    assert run("rebalance", "start").code == 1
    assert run("rebalance").out == "no rebalance was started\n"
    assert run("rebalance", "status", "--json").json == {}
    assert run("rebalance", "policy", "from_devices=1 to_devices=2").code == 0
    assert run("rebalance", "policy").out == "from_devices=1 to_devices=2\n"
    assert run("rebalance", "test", "--json").json == {"sources": [1], "destinations": [2]}
    assert run("rebalance", "policy", "").code == 0


@pytest.mark.parametrize(
    "noun", ["domain", "class", "host", "device", "fsck", "rebalance", "settings", "status"]
)
def test_every_listing_speaks_json(run: Run, noun: str):
    ended = run(noun, "--json")
    assert ended.code == 0
    assert isinstance(ended.json, list | dict)
