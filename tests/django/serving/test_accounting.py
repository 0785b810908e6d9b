"""What each kind of reply costs: questions to trackers, and requests to storage nodes.

Counted on the wire, between the parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from django.core.cache import caches
from django.test import Client as Browser
from pytest_django import Settings

from mogilefs import Client
from mogilefs.node import Node
from tests.support.proxies import StorageProxy, TrackerProxy
from tests.support.served_site import SIGNED

KEY = "accounting/large.png"
CONTENT = bytes(range(256)) * 1024
LOOKED_UP = {"file_info": 1, "get_paths": 1}


class Counters(NamedTuple):
    tracker: TrackerProxy
    storage: StorageProxy

    def read(self) -> tuple[dict[str, int], list[str]]:
        """What was asked since the last time."""
        commands = {name: self.tracker.commands.count(name) for name in self.tracker.commands}
        requests = [line.split(" ")[0] for line in self.storage.requests]
        self.tracker.commands.clear()
        self.storage.requests.clear()
        return commands, requests


@pytest.fixture
def counters(node: Node, client: Client, site_settings: Settings) -> Iterator[Counters]:
    client.store(KEY, CONTENT)
    client.store("accounting/empty.png", b"")
    with TrackerProxy(node.tracker) as tracker, StorageProxy(node.storage) as storage:
        tracker.nodes = [storage.address] * 3
        site_settings.MOGILEFS_TRACKERS = [tracker.address]
        yield Counters(tracker, storage)


def ask(path: str, method: str = "GET", **headers: str) -> int:
    environ = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    answer = Browser().generic(method, path, **environ)
    b"".join(answer) if answer.streaming else answer.content
    answer.close()
    return answer.status_code


@pytest.mark.parametrize(
    ("request_", "status", "storage"),
    [
        ({}, 200, ["GET"]),
        ({"range": "bytes=5-9"}, 206, ["GET"]),
        ({"method": "HEAD"}, 200, []),
        ({"if_none_match": "*"}, 304, []),
        ({"if_match": '"x"'}, 412, []),
        ({"range": "bytes=9999999-"}, 416, []),
        ({"path": "/mogilefs/accounting/empty.png"}, 200, []),
        ({"path": "/mogilefs/accounting/none.png"}, 404, []),
    ],
)
def test_one_look_up_and_only_what_is_sent_is_fetched(
    request_: dict[str, str], status: int, storage: list[str], counters: Counters
) -> None:
    assert ask(**{"path": f"/mogilefs/{KEY}", **request_}) == status
    assert counters.read() == (LOOKED_UP, storage)


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        (f"/mogilefs/{KEY}", "POST", 405),
        (f"/private/{KEY}", "GET", 302),
        (f"/signed/{KEY}", "GET", 403),
        ("/signed/none", "GET", 403),
    ],
)
def test_what_is_refused_costs_nothing(
    path: str, method: str, status: int, counters: Counters
) -> None:
    assert ask(path, method) == status
    assert counters.read() == ({}, [])


@pytest.mark.parametrize("front", ["perlbal", "nginx", "caddy"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 200), ({"range": "bytes=5-9"}, 200), ({"if_none_match": "*"}, 304)],
)
def test_with_a_front_the_site_fetches_nothing(
    front: str, headers: dict[str, str], status: int, counters: Counters, site_settings: Settings
) -> None:
    site_settings.MOGILEFS_FRONT = front
    assert ask(f"/mogilefs/{KEY}", **headers) == status
    assert counters.read() == (LOOKED_UP, [])


@pytest.mark.parametrize("front", [None, "perlbal", "nginx", "caddy"])
def test_with_a_warm_path_cache_no_tracker_is_asked(
    front: str | None, counters: Counters, site_settings: Settings
) -> None:
    backend = "django.core.cache.backends.locmem.LocMemCache"
    site_settings.CACHES = {"default": {"BACKEND": backend}}
    site_settings.MOGILEFS_PATH_CACHE = "default"
    site_settings.MOGILEFS_FRONT = front
    caches["default"].clear()
    ask(f"/mogilefs/{KEY}")
    assert counters.read()[0] == LOOKED_UP
    for headers in ({}, {"range": "bytes=5-9"}, {"if_none_match": "*"}):
        ask(f"/mogilefs/{KEY}", **headers)
    assert counters.read() == ({}, [] if front else ["GET", "GET"])


def test_a_signed_address_costs_no_more_than_an_open_one(counters: Counters) -> None:
    path = SIGNED.url(KEY)
    assert counters.read() == ({}, [])
    assert ask(path) == 200
    assert counters.read() == (LOOKED_UP, ["GET"])
