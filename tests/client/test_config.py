"""What a client may be told, and what is refused when it is made."""

from __future__ import annotations

from typing import Any

import pytest

from mogilefs import AsyncClient, Client, ConfigurationError
from mogilefs.config import Address, parse_trackers


@pytest.mark.parametrize(
    ("trackers", "expected"),
    [
        ("host", [("host", 7001)]),
        ("host:7002", [("host", 7002)]),
        ("a:1, b:2,[::1]:3", [("a", 1), ("b", 2), ("::1", 3)]),
        (["10.0.0.1:7001", "10.0.0.2"], [("10.0.0.1", 7001), ("10.0.0.2", 7001)]),
        ("[fe80::1]", [("fe80::1", 7001)]),
        ("a:1,a:1", [("a", 1)]),
    ],
)
def test_trackers_are_written_in_many_ways(trackers: Any, expected: Any) -> None:
    assert list(parse_trackers(trackers)) == expected


def test_addresses_are_told_as_they_are_written() -> None:
    assert str(Address("::1", 7001)) == "[::1]:7001"
    assert str(Address("host", 7001)) == "host:7001"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    "trackers",
    ["", [], "host:", "host:0", "host:99999", "::1:7001", "http://host", "a b", [7001], None, 7],
)
def test_what_is_no_address_is_refused(kind: Any, trackers: Any) -> None:
    with pytest.raises(ConfigurationError, match="tracker"):
        kind("d", trackers)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("timeout", 0), ("timeout", -1), ("timeout", "10"), ("connect_timeout", None)),
        *(
            ("timeout", True),
            ("timeout", float("nan")),
            ("timeout", float("inf")),
            ("timeout", 1e7),
            ("checksum", "SHA-256"),
        ),
        *(("max_spool", -1), ("max_spool", 1.5), ("zone", 7)),
    ],
)
def test_what_can_never_work_is_refused_by_name(kind: Any, name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        kind("d", "host", **{name: value})


@pytest.mark.parametrize("domain", ["", 7])
def test_a_domain_is_a_name(domain: Any) -> None:
    with pytest.raises(ConfigurationError, match="domain"):
        Client(domain, "host")


def test_unknown_options_are_refused() -> None:
    with pytest.raises(TypeError, match="retries"):
        Client("d", "host", retries=3)  # type: ignore[call-arg] # that is the test


def test_a_bad_option_is_a_value_error_too() -> None:
    with pytest.raises(ValueError, match="timeout"):
        Client("d", "host", timeout=0)
