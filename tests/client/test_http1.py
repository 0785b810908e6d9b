"""The head of a storage node's answer: where its body ends, and whether the connection stays."""

from __future__ import annotations

import pytest

from mogilefs.errors import ProtocolError
from mogilefs.http1 import Head


def head(*lines: str) -> Head:
    return Head("\r\n".join([*lines, ""]).encode("latin-1"))


@pytest.mark.parametrize(
    ("lines", "keep_alive"),
    [
        (["HTTP/1.1 200 OK"], True),
        (["HTTP/1.1 200"], True),
        (["HTTP/1.1 200 OK", "Connection: close"], False),
        (["HTTP/1.1 200 OK", "connection:\tClose "], False),
        (["HTTP/1.0 200 OK"], False),
        (["HTTP/1.0 200 OK", "Connection: Keep-Alive"], True),
        (["HTTP/1.0 200 OK", "Connection: x"], False),
    ],
)
def test_whether_the_connection_stays(lines: list[str], keep_alive: bool) -> None:
    assert head(*lines).keep_alive is keep_alive


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        ([], None),
        (["Content-Length: 0"], 0),
        (["X-Content-Length: 5", "CONTENT-LENGTH:  4096\t"], 4096),
        (["Content-Length: 7", "Content-Length: 7"], 7),
    ],
)
def test_the_length_of_the_body(fields: list[str], length: int | None) -> None:
    assert head("HTTP/1.1 206 Partial Content", *fields).length == length


@pytest.mark.parametrize(
    "lines",
    [
        ["HTTP/2 200 OK"],
        ["HTTP/1.1 20 OK"],
        ["200 OK"],
        *(
            ["HTTP/1.1 200 OK", *fields]
            for fields in (
                ["Content-Length:"],
                ["Content-Length: -1"],
                ["Content-Length: 1,1"],
                ["Content-Length: " + "9" * 20],
                ["Content-Length: 1", "Content-Length: 2"],
                ["Transfer-Encoding: chunked"],
            )
        ),
    ],
)
def test_what_no_storage_node_sends_is_refused(lines: list[str]) -> None:
    with pytest.raises(ProtocolError):
        head(*lines)


def test_other_headers_are_found_by_name() -> None:
    found = head("HTTP/1.1 200 OK", "X-Last-Modified: no", "last-MODIFIED: Sun, 06 Nov 1994 ")
    assert found.header("last-modified") == "Sun, 06 Nov 1994"
    assert found.header("content-range") == ""
