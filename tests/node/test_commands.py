"""What a command says to odd arguments: MogileFS 2.73's order of checks, and its idea of a number.

A conversation is one line of requests with what each must answer: an error's code, ``OK``, or
values of the reply.
"""

from __future__ import annotations

import asyncio
import http.client
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from mogilefs.node import Node
from tests.support.farm import until
from tests.support.recorded import Reply, Tracker

Expected = str | Mapping[str, str]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    free = {"tracker": "127.0.0.1:0", "storage": "127.0.0.1:0", "sidechannel": "127.0.0.1:0"}
    directory = tmp_path_factory.mktemp("node")
    domains = {"demo": {"one": 1}}
    options = {"domains": domains, "durability": "relaxed", "hostname": "own"}
    with Node(directory, **options, **free).in_thread() as node:
        yield node


@pytest.fixture
def tracker(node: Node) -> Iterator[Tracker]:
    with closing(Tracker(node.tracker)) as tracker:
        yield tracker


def hold(tracker: Tracker, *steps: tuple[str, Expected]) -> None:
    for request, expected in steps:
        assert_says(tracker.ask(request), expected, request)


def assert_says(reply: Reply, expected: Expected, request: str = "") -> None:
    if isinstance(expected, str):
        assert (reply.code or reply.status) == expected, request
    else:
        assert reply.status == "OK", f"{request}: {reply}"
        assert {name: reply.args.get(name) for name in expected} == expected, request


def test_classes_check_names_then_settings_then_the_domain(tracker: Tracker) -> None:
    hold(
        tracker,
        ("create_class domain=nosuch&class=c&mindevcount=0", "invalid_mindevcount"),
        ("create_class domain=nosuch&class=c&mindevcount=1&replpolicy=X", "invalid_replpolicy"),
        (
            "create_class domain=demo&class=c&mindevcount=1&replpolicy=X&hashtype=X",
            "invalid_replpolicy",
        ),
        ("create_class domain=nosuch&class=c&mindevcount=1&hashtype=X", "invalid_hashtype"),
        ("create_class domain=nosuch&mindevcount=1", "no_class"),
        ("update_class domain=nosuch&class=c&mindevcount=0", "invalid_mindevcount"),
        ("create_class domain=demo&class=one&mindevcount=0", "invalid_mindevcount"),
        ("delete_class domain=nosuch&class=default", "nodel_default_class"),
        ("delete_class class=default", "no_domain"),
    )


def test_zero_is_the_name_of_a_class_but_of_no_domain(tracker: Tracker) -> None:
    hold(
        tracker,
        ("create_domain domain=0", "no_domain"),
        ("delete_domain domain=0", "no_domain"),
        ("file_info domain=0&key=k", "unreg_domain"),
        ("create_open domain=0&key=k", "unreg_domain"),
        ("create_class domain=0&class=c&mindevcount=1", "domain_not_found"),
        ("delete_class domain=0&class=c", "domain_not_found"),
        ("create_class domain=demo&class=0&mindevcount=1", {"class": "0"}),
        ("create_open domain=demo&key=k&class=0", "OK"),
        ("delete_class domain=demo&class=0", {"class": "0"}),
    )


@pytest.mark.parametrize(
    ("sent", "echoed"), [("3", "3"), ("3x", "3"), ("+4", "4"), ("+05.50", "5.5"), ("6.0", "6")]
)
def test_a_class_echoes_the_number_of_copies(tracker: Tracker, sent: str, echoed: str) -> None:
    request = f"update_class domain=demo&class=one&mindevcount={sent}"
    hold(tracker, (request.replace("+", "%2B"), {"mindevcount": echoed}))
    hold(tracker, ("update_class domain=demo&class=one&mindevcount=1", {"mindevcount": "1"}))


def test_hosts_are_known_before_they_are_checked(tracker: Tracker) -> None:
    hold(
        tracker,
        ("create_host host=far&ip=10.0.0.1&port=7500", "OK"),
        ("create_host host=far", "host_exists"),
        ("create_host host=far&ip=10.0.0.2&port=7500&status=bogus", "host_exists"),
        ("create_host host=other&port=7500&status=bogus", "no_ip"),
        ("create_host host=other&ip=10.0.0.2&port=7500&status=bogus", "unknown_state"),
        ("update_host host=nosuch&status=bogus", "host_not_found"),
    )


def test_a_host_may_have_any_name_but_not_any_address(tracker: Tracker) -> None:
    hold(
        tracker,
        ("create_host host=%FF&ip=10.0.0.77&port=7500", {"hostname": "\xff"}),
        ("update_host host=%FF&port=7501", {"hostname": "\xff"}),
        ("update_host host=%FF&ip=%FE", "bad_params"),
        ("update_host host=%FF&altip=%FE", "bad_params"),
        ("delete_host host=%FF", "OK"),
    )


def test_an_address_that_is_taken_is_named(tracker: Tracker) -> None:
    for name in ("first", "second"):
        alternative = f"altip=10.9.1.{name == 'first':d}&altmask=10.9.1.0/24"
        tracker.ask(f"create_host host={name}&ip=10.0.1.{len(name)}&port=7500&{alternative}")
    created = tracker.ask("create_host host=third&ip=10.0.1.5&port=7500")
    updated = tracker.ask("update_host host=second&altip=10.9.1.1")
    assert (created.code, updated.code) == ("dup", "dup")
    assert created.message == "Another host has the address 10.0.1.5"
    assert updated.message == "Another host has the address 10.9.1.1"


def test_an_empty_value_takes_a_hosts_other_address_away(tracker: Tracker) -> None:
    alternative = "getport=7501&altip=10.9.0.7&altmask=10.9.0.0/16"
    created = tracker.ask(f"create_host host=alt&ip=10.0.0.7&port=7500&{alternative}")
    given = {"host1_http_get_port": "7501", "host1_altip": "10.9.0.7"}
    taken = {"host1_http_get_port": "", "host1_altip": "", "host1_altmask": ""}
    hold(
        tracker,
        (f"get_hosts hostid={created.args['hostid']}", given),
        ("update_host host=alt&getport=&altip=&altmask=", {"hostname": "alt"}),
        (f"get_hosts hostid={created.args['hostid']}", taken),
        ("create_host host=alt2&ip=10.0.0.8&port=7500&altip=", "OK"),
        ("create_host host=alt3&ip=10.0.0.9&port=7500&altip=", "OK"),
        ("update_host host=alt&ip=&port=&status=", "OK"),
        (f"get_hosts hostid={created.args['hostid']}", {"host1_hostip": "10.0.0.7"}),
    )


def test_a_number_that_is_none_chooses_no_host_and_no_device(tracker: Tracker) -> None:
    hold(
        tracker,
        ("get_hosts hostid=1x", {"hosts": "1", "host1_hostname": "own"}),
        *((f"get_hosts hostid={text}", {"hosts": "0"}) for text in ("", "0", "x", "-1")),
        ("get_devices devid=%201", {"devices": "1", "dev1_devid": "1"}),
        *((f"get_devices devid={text}", {"devices": "0"}) for text in ("", "0", "x", "-1")),
        ("set_state host=own&device=x&state=alive", "bad_params"),
        ("set_weight host=own&device=x&weight=1", "bad_params"),
        ("set_weight host=nosuch&device=1&weight=1", "host_mismatch"),
        ("set_weight host=own&device=1x&weight=100x", "OK"),
    )


def test_a_new_device_needs_a_plain_number(tracker: Tracker) -> None:
    hold(
        tracker,
        ("create_device hostname=own&devid=9x", "invalid_devid"),
        ("create_device hostname=own&devid=%2B9", "invalid_devid"),
        ("create_device hostname=own&devid=9x&state=bogus", "invalid_state"),
        ("create_device hostid=x&devid=9", "bad_args"),
        ("create_device hostid=0&devid=9", "bad_args"),
        ("create_device hostid=x&hostname=own&devid=9", "OK"),
        ("create_device hostid=99&hostname=own&devid=10", "unknown_hostid"),
        ("get_devices devid=9", {"dev1_hostid": "1", "dev1_status": "alive"}),
    )


def fill(node: Node, table: str, columns: str, rows: list[tuple[object, ...]]) -> None:
    """Rows written straight into the catalogue, as another program would."""
    marks = ", ".join("?" * len(columns.split(",")))
    sql = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # the test's own
    asyncio.run(node.catalog.write(lambda db: db.executemany(sql, rows)))


def test_list_keys_takes_zero_for_a_prefix_and_minds_the_case_of_after(
    node: Node, tracker: Tracker
) -> None:
    hold(tracker, ("create_domain domain=listed", "OK"))
    ((dmid,),) = node.catalog.read("SELECT dmid FROM domain WHERE namespace = 'listed'")
    columns = "fid, dmid, dkey, length, classid, devcount"
    keys = ["0", "0a", "Fruit/fig", "fruit/apple"]
    fill(node, "file", columns, [(1000 + n, dmid, key, 0, 0, 0) for n, key in enumerate(keys)])
    hold(
        tracker,
        ("list_keys domain=listed&prefix=0", {"key_count": "2", "key_2": "0a"}),
        ("list_keys domain=listed&prefix=0&after=0", {"key_count": "1", "key_1": "0a"}),
        ("list_keys domain=listed&prefix=F&after=0", {"key_1": "Fruit/fig", "key_count": "2"}),
        ("list_keys domain=listed&prefix=FRUIT/", {"key_count": "2"}),
        ("list_keys domain=listed&prefix=fruit/&after=Fruit/fig", "after_mismatch"),
        ("list_keys domain=listed&prefix=Fruit/&after=Fruit/fig", {"key_1": "fruit/apple"}),
        ("list_keys domain=listed&limit=-1", {"key_count": "4"}),
    )


def test_list_fids_below_zero_is_as_many_as_there_may_be(node: Node, tracker: Tracker) -> None:
    columns = "fid, dmid, dkey, length, classid, devcount"
    fill(node, "file", columns, [(2000 + n, 1, f"fid{n}", 0, 0, 0) for n in range(501)])
    hold(
        tracker,
        ("list_fids from=1999&to=-1", {"fid_count": "500"}),
        ("list_fids from=1999&to=501", {"fid_count": "500"}),
        ("list_fids from=1999&to=x", {"fid_count": "100"}),
        ("list_fids from=x&to=1", {"fid_count": "1"}),
    )


def test_file_debug_tells_the_two_queues_apart(node: Node, tracker: Tracker) -> None:
    never = 2147483647
    columns = "fid, devid, type, nexttry, arg"
    fill(node, "file_to_queue", columns, [(7000, 2, 2, never, "3"), (7000, None, 1, never, None)])
    moved = {"rebqueue_type": "2", "rebqueue_devid": "2", "rebqueue_arg": "3"}
    checked = {"fsckqueue_type": "1", "fsckqueue_devid": "", "fsckqueue_nexttry": str(never)}
    hold(tracker, ("file_debug fid=7000", moved | checked | {"checksum": "NONE"}))


def open_upload(tracker: Tracker, key: str = "k", more: str = "") -> dict[str, str]:
    reply = tracker.ask(f"create_open domain=demo&key={key}&class=one{more}")
    assert reply.status == "OK", reply
    return reply.args


def put(path: str, body: bytes) -> None:
    url = urlsplit(path)
    with closing(http.client.HTTPConnection(url.netloc, timeout=20)) as connection:
        connection.request("PUT", url.path, body)
        assert connection.getresponse().status // 100 == 2


def closing_line(opened: Mapping[str, str], more: str = "") -> str:
    where = "&".join(f"{name}={opened[name]}" for name in ("fid", "devid", "path"))
    return f"create_close domain=demo&key=k&{where}{more}"


def test_a_chosen_fid_is_the_number_that_it_begins_with(tracker: Tracker) -> None:
    fid = int(open_upload(tracker)["fid"]) + 10_000
    hold(
        tracker,
        (f"create_open domain=demo&fid={fid}x", {"fid": str(fid)}),
        (f"create_open domain=demo&fid={fid}", "fid_in_use"),
        ("create_open domain=demo&fid=-5", "fid_in_use"),
        ("create_open domain=demo&fid=x", "db"),
        ("create_open domain=demo&fid=" + "9" * 30, "db"),
    )


@pytest.mark.parametrize(
    ("size", "expected"),
    [("x", "size_mismatch"), ("00", "size_mismatch"), ("-5", "OK"), ("3x", "OK")],
)
def test_a_size_is_compared_unless_it_is_none(tracker: Tracker, size: str, expected: str) -> None:
    opened = open_upload(tracker)
    put(opened["path"], b"abc")
    hold(tracker, (closing_line(opened, f"&size={size}"), expected))


def test_a_device_that_was_not_offered_ends_the_upload(node: Node, tracker: Tracker) -> None:
    opened = open_upload(tracker)
    other = "2" if opened["devid"] == "1" else "1"
    path = opened["path"].replace(f"/dev{opened['devid']}/", f"/dev{other}/")
    put(path, b"abc")
    moved = {**opened, "devid": other, "path": path}
    hold(
        tracker,
        (closing_line(opened | {"devid": other}), "bogus_args"),
        (closing_line(opened | {"fid": "abc"}), "bogus_args"),
        (
            closing_line(moved, "&checksum=x"),
            "invalid_checksum_format",
        ),
        (closing_line(moved), "invalid_destdev"),
        (closing_line(opened), "no_temp_file"),
    )
    until(lambda: node.devices.size(int(other), int(opened["fid"])) is None)


def test_a_client_of_the_other_network_uploads_to_the_other_address(
    node: Node, tracker: Tracker
) -> None:
    hold(tracker, ("update_host host=own&altip=127.0.0.9&altmask=10.0.0.0/8", "OK"))
    opened = open_upload(tracker, more="&zone=alt")
    assert opened["path"].startswith("http://127.0.0.9:")
    several = open_upload(tracker, more="&zone=alt&multi_dest=1")
    assert several["path_1"].startswith("http://127.0.0.9:")
    put(opened["path"].replace("127.0.0.9", "127.0.0.1"), b"abc")
    hold(
        tracker,
        (closing_line(opened), "bogus_args"),
        (closing_line(opened, "&zone=alt"), "OK"),
        ("get_paths domain=demo&key=k&zone=alt", {"path1": opened["path"]}),
        ("update_host host=own&altip=&altmask=", "OK"),
    )


def test_a_file_on_no_device_changes_no_class(node: Node, tracker: Tracker) -> None:
    fill(node, "file", "fid, dmid, dkey, length, classid, devcount", [(3000, 1, "lost", 1, 0, 0)])
    hold(
        tracker,
        ("updateclass domain=demo&key=lost&class=one", "no_devices"),
        ("updateclass domain=demo&key=lost&class=nosuch", "class_not_found"),
    )


def test_what_cannot_be_read_is_a_path_only_where_no_other_is(node: Node, tracker: Tracker) -> None:
    columns = "fid, dmid, dkey, length, classid, devcount"
    fill(node, "file", columns, [(4000, 1, "half", 3, 0, 2)])
    hold(tracker, ("create_device hostname=own&devid=40&state=down", "OK"))
    fill(node, "file_on", "fid, devid", [(4000, 1), (4000, 40)])
    good, down = (f"/dev{devid}/0/000/004/0000004000.fid" for devid in (1, 40))
    base = tracker.ask("get_paths domain=demo&key=half&noverify=1").args["path1"].removesuffix(good)
    hold(
        tracker,
        ("get_paths domain=demo&key=half&noverify=1", {"paths": "1", "path1": base + good}),
        ("get_paths domain=demo&key=half", {"paths": "1", "path1": base + down}),
    )
    put(base + good, b"abc")
    hold(tracker, ("get_paths domain=demo&key=half", {"paths": "1", "path1": base + good}))


def test_a_disk_that_is_gone_is_left_out_also_unverified(node: Node, tracker: Tracker) -> None:
    hold(tracker, ("create_device hostname=own&devid=50", "OK"))
    until(lambda: node.registry.seen_writable(50))
    fill(node, "file", "fid, dmid, dkey, length, classid, devcount", [(5000, 1, "two", 3, 0, 2)])
    fill(node, "file_on", "fid, devid", [(5000, 1), (5000, 50)])
    hold(tracker, ("get_paths domain=demo&key=two&noverify=1", {"paths": "2"}))
    shutil.rmtree(node.devices.directory(50))
    until(lambda: 50 not in node.registry.sources())
    hold(tracker, ("get_paths domain=demo&key=two&noverify=1", {"paths": "1"}))
    hold(tracker, ("set_state host=own&device=50&state=dead", "OK"))


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        ("skip_devcount", "Yes,please", "1"),
        ("skip_devcount", "nonsense", "0"),
        ("enable_rebalance", "t", "1"),
        ("queue_size_for_fsck", "a+word", "a word"),
        ("queue_anything", "1", "1"),
        ("slave_%FF", "%FE", "\xfe"),
        ("slave_keys", "a,b", "a,b"),
        ("slave_keys", "", ""),
        ("memcache_servers", "nowhere", "nowhere"),
        ("zone_far", "10.0.0.0/8+192.168.0.0/16", "10.0.0.0/8 192.168.0.0/16"),
        ("zone_far", "", ""),
        ("rebalance_policy", "DrainDevices", "DrainDevices"),
    ],
)
def test_a_setting_is_kept(tracker: Tracker, key: str, value: str, kept: str) -> None:
    hold(
        tracker,
        (f"set_server_setting key={key}&value={value}", "OK"),
        (f"server_setting key={key}", {"value": kept}),
        (f"set_server_setting key={key}", "OK"),
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("fsck_checksum", ""),
        ("enable_rebalance", "2"),
        ("zone_far", "10.0.0.0/8+x"),
        ("rebalance_policy", "a+b"),
        ("memcache_ttl", "-1"),
    ],
)
def test_a_setting_is_refused(tracker: Tracker, key: str, value: str) -> None:
    hold(tracker, (f"set_server_setting key={key}&value={value}", "invalid_format"))


def test_a_setting_of_any_bytes_is_empty(tracker: Tracker) -> None:
    hold(tracker, ("server_setting key=%AA", {"key": "\xaa", "value": ""}))


def test_trackers_see_that_the_read_replicas_have_changed(tracker: Tracker) -> None:
    before = int(tracker.ask("server_setting key=slave_version").args["value"] or "0")
    hold(
        tracker,
        ("set_server_setting key=slave_one&value=x", "OK"),
        ("set_server_setting key=slave_one", "OK"),
        ("server_setting key=slave_version", {"value": str(before + 2)}),
    )


def test_server_settings_leave_out_the_state_of_fsck(tracker: Tracker) -> None:
    hold(
        tracker,
        ("fsck_reset", "OK"),
        ("set_server_setting key=fsck_checksum&value=MD5", "OK"),
        ("set_server_setting key=network_zones&value=far", "OK"),
        ("set_server_setting key=network_zones", "OK"),
    )
    listed = tracker.ask("server_settings").args
    names = {value for name, value in listed.items() if name.startswith("key_")}
    assert {name for name in names if name.startswith("fsck")} == {"fsck_checksum"}
    assert "network_zones" not in names
    assert "schema_version" in names
    hold(tracker, ("set_server_setting key=fsck_checksum&value=class", "OK"))


def test_a_request_sleeps_and_the_next_one_waits_for_it(tracker: Tracker) -> None:
    began = time.monotonic()
    hold(tracker, ("sleep duration=1", "OK"))
    assert time.monotonic() - began > 0.9
    hold(tracker, ("sleep duration=x", "OK"), ("sleep duration=-1", "OK"))


@pytest.mark.parametrize("line", ["\v noop\fcallid=7", "noop \r callid=7", "\tnoop\v\tcallid=7"])
def test_blanks_of_every_kind_may_stand_around_a_command(tracker: Tracker, line: str) -> None:
    hold(tracker, (line, {"callid": "7"}))
