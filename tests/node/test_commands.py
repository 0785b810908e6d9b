"""What a command says to odd arguments: MogileFS 2.73's order of checks, and its idea of a number.

A conversation is one line of requests with what each must answer: an error's code, ``OK``, or
values of the reply.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing

import pytest

from mogilefs.node import Node
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
