"""Whatever a tracker or storage node says, the client raises nothing but its own errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mogilefs import MogileFSError, cluster, wire
from mogilefs.models import FileInfo, paths_of
from mogilefs.upload import destinations
from tests.client.conftest import MakeClient, Tiny
from tests.support.misbehaving import Connection

# A node that another test keeps running in a thread draws random numbers meanwhile.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")

BODY = b"body"

READERS: dict[str, Callable[[Mapping[str, str]], object]] = {
    "paths path1 path2": paths_of,
    "dev_count devid_1 path_1 devid path": lambda values: destinations(dict(values)),
    "fid length class devcount checksum": lambda values: FileInfo.from_values("k", "d", values),
    "domains domain1 domain1classes domain1class1name domain1class1mindevcount domain2":
        cluster.domains_from,
    "key_count key_1 value_1 key_2": cluster.settings_from,
    "hostid hostname status hostip http_port http_get_port": cluster.host_from,
    "devid hostid status weight mb_total mb_used utilization": cluster.device_from,
    "running start_time stop_time current_time end_fid num_POVI": cluster.fsck_status_from,
    "logid utime evcode fid devid": cluster.fsck_entry_from,
    "state": cluster.rebalance_status_from,
    "sdevs ddevs": cluster.rebalance_plan_from,
}  # fmt: skip
"""What reads a reply, by the names that stand in it."""

ODD = [
    "",
    "0",
    "1",
    "2",
    "-1",
    "1.5",
    "x",
    "nan",
    "1,2",
    ",",
    "10000000000000",
    "9" * 30,
    "9" * 5000,
]
STATES = [f"source_devs={odd} time_started={odd}" for odd in ODD[:-1]]


@given(st.data())
@pytest.mark.parametrize("names", READERS)
def test_no_values_raise_anything_else(names: str, data: st.DataObject) -> None:
    odd = st.sampled_from(STATES if names == "state" else ODD)
    values = data.draw(st.dictionaries(st.sampled_from(names.split()), odd))
    try:
        READERS[names](values)
    except MogileFSError:
        return


@pytest.mark.parametrize("lines", [["a pids 1 x", "a count 1"], ["a count x"], ["uptime x"], [""]])
def test_no_lines_raise_anything_else(lines: list[str]) -> None:
    for read in (cluster.jobs_from, lambda lines: cluster.stats_from("tracker", lines)):
        try:
            read(lines)
        except MogileFSError:
            continue


@pytest.mark.parametrize(
    ("command", "values", "ask"),
    [
        ("list_keys", {"key_count": "2", "key_1": "a"}, lambda client: list(client.keys())),
        ("list_keys", {"key_count": "9" * 12}, lambda client: list(client.keys())),
        ("get_paths", {"paths": "9" * 12}, lambda client: client.paths("key")),
        ("create_open", {"fid": "1", "dev_count": "9" * 12}, lambda c: c.store("key", b"")),
        ("list_fids", {"fid_count": "1"}, lambda client: client.admin.fids()),
    ],
)
def test_a_tracker_that_counts_wrong(
    face: MakeClient,
    tiny: Tiny,
    command: str,
    values: dict[str, str],
    ask: Callable[[Any], object],
) -> None:
    def answer(connection: Connection, request: Any, proper: bytes) -> None:
        connection.send(wire.encode_reply(wire.Ok(values, request.args["callid"])))

    tiny.tracker.on[command] = answer
    with pytest.raises(MogileFSError, match="tracker's reply"):
        ask(face("domain", tiny.addresses))


LONG = "9" * 5000


@pytest.mark.parametrize(
    "head",
    [
        f"HTTP/1.1 200 OK\r\nContent-Length: {LONG}",
        f"HTTP/1.1 206 Partial\r\nContent-Range: bytes 1-3/{LONG}",
        f"HTTP/1.1 206 Partial\r\nContent-Range: bytes {LONG}-3/4",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nLast-Modified: Fri, 31 Dec 9999 23:59:59 -2300",
        f"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nLast-Modified: Fri, 31 Dec {LONG} 23:59:59 GMT",
    ],
)
def test_a_storage_node_with_odd_headers_is_passed_over(
    face: MakeClient, tiny: Tiny, head: str
) -> None:
    def answer(connection: Connection, request: Any, proper: bytes) -> None:
        connection.send(f"{head}\r\n\r\n".encode())
        connection.close()

    stored = tiny.cluster.add("key", BODY)
    stored.urls.insert(0, f"http://127.0.0.1:{LONG}/dev1/x.fid")
    tiny.storages[0].on["GET"] = tiny.storages[0].on["HEAD"] = answer
    client = face("domain", tiny.addresses)
    assert b"".join(client.stream("key", start=1)) == BODY[1:]
    assert client.modified("key").year == 2026
