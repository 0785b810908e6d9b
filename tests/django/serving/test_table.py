"""One table of HTTP cases, through every front and without one.

The servers are real processes; the fronts run the configurations of docs/fronts.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from django_mogilefs.fronts import FRONTS
from mogilefs import Client
from mogilefs.node import Node
from tests.django.serving.conftest import Sites
from tests.support.servers import Addresses, Reply, fetch, running_front, serving_site

CONTENT = b"0123456789"
LARGE = bytes(range(256)) * 4096
INTERNAL = {name.lower() for front in FRONTS.values() for name in front().internal_headers} | {
    "x-mogile-front",
    "x-mogile-again",
}

SERVERS = [
    "gunicorn",
    "uvicorn",
    *(
        pytest.param(front + local, marks=pytest.mark.once)
        for front in FRONTS
        for local in ("", "-local")
    ),
]


class Case(NamedTuple):
    """A request for a file of ten bytes (E is its ETag) and what comes back."""

    headers: dict[str, str]
    status: int
    body: bytes
    range: str | None = None
    method: str = "GET"
    path: str = "/mogilefs/ten.png"


CASES = {
    "whole": Case({}, 200, CONTENT),
    "head": Case({}, 200, b"", method="HEAD"),
    "first byte": Case({"Range": "bytes=0-0"}, 206, b"0", "bytes 0-0/10"),
    "middle": Case({"Range": "bytes=5-7"}, 206, b"567", "bytes 5-7/10"),
    "last byte": Case({"Range": "bytes=-1"}, 206, b"9", "bytes 9-9/10"),
    "last three": Case({"Range": "bytes=-3"}, 206, b"789", "bytes 7-9/10"),
    "suffix of all": Case({"Range": "bytes=-99"}, 206, CONTENT, "bytes 0-9/10"),
    "open end": Case({"Range": "bytes=4-"}, 206, b"456789", "bytes 4-9/10"),
    "beyond": Case({"Range": "bytes=8-30"}, 206, b"89", "bytes 8-9/10"),
    "past the end": Case({"Range": "bytes=10-"}, 416, b"", "bytes */10"),
    "empty suffix": Case({"Range": "bytes=-0"}, 416, b"", "bytes */10"),
    "several": Case({"Range": "bytes=0-1,4-5"}, 200, CONTENT),
    "backwards": Case({"Range": "bytes=5-2"}, 200, CONTENT),
    "nonsense": Case({"Range": "bytes=x"}, 200, CONTENT),
    "another unit": Case({"Range": "pages=1-2"}, 200, CONTENT),
    "head of a range": Case({"Range": "bytes=5-7"}, 200, b"", method="HEAD"),
    "if-range holds": Case({"Range": "bytes=5-7", "If-Range": "E"}, 206, b"567", "bytes 5-7/10"),
    "if-range differs": Case({"Range": "bytes=5-7", "If-Range": '"x"'}, 200, CONTENT),
    "if-range is weak": Case({"Range": "bytes=5-7", "If-Range": "W/E"}, 200, CONTENT),
    "if-range is a date": Case(
        {"Range": "bytes=5-7", "If-Range": "Sun, 06 Nov 1994 08:49:37 GMT"}, 200, CONTENT
    ),
    "if-none-match": Case({"If-None-Match": "E"}, 304, b""),
    "if-none-match any": Case({"If-None-Match": "*"}, 304, b""),
    "if-none-match list": Case({"If-None-Match": '"x", W/E'}, 304, b""),
    "if-none-match weak": Case({"If-None-Match": "W/E"}, 304, b""),
    "if-none-match of a range": Case({"If-None-Match": "E", "Range": "bytes=0-0"}, 304, b""),
    "if-none-match head": Case({"If-None-Match": "E"}, 304, b"", method="HEAD"),
    "if-none-match differs": Case({"If-None-Match": '"x"'}, 200, CONTENT),
    "if-match": Case({"If-Match": "E"}, 200, CONTENT),
    "if-match any": Case({"If-Match": "*"}, 200, CONTENT),
    "if-match of a range": Case(
        {"If-Match": "E", "Range": "bytes=5-7"}, 206, b"567", "bytes 5-7/10"
    ),
    "if-match differs": Case({"If-Match": '"x"'}, 412, b"412 Precondition Failed\n"),
    "if-match is weak": Case({"If-Match": "W/E"}, 412, b"412 Precondition Failed\n"),
    "long ago": Case({"If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}, 200, CONTENT),
    "missing": Case({}, 404, b"404 Not Found\n", path="/mogilefs/missing.png"),
    "missing head": Case({}, 404, b"", method="HEAD", path="/mogilefs/missing.png"),
    "post": Case({}, 405, b"405 Method Not Allowed\n", method="POST"),
    "delete": Case({}, 405, b"405 Method Not Allowed\n", method="DELETE"),
    "empty file": Case({}, 200, b"", path="/mogilefs/empty.png"),
    "empty file's range": Case(
        {"Range": "bytes=0-0"}, 416, b"", "bytes */0", path="/mogilefs/empty.png"
    ),
}


@pytest.fixture(scope="module", autouse=True)
def etag(client: Client) -> str:
    client.store("ten.png", CONTENT)
    client.store("empty.png", b"")
    client.store("large.png", LARGE)
    client.store("ä b%20+&=?/c;.html", CONTENT)
    info = client.info("ten.png")
    return f'"{info.fid:x}-{info.length:x}"'


def clean(reply: Reply) -> None:
    """Nothing in the reply is for anybody but the browser, and no header is there for nothing."""
    assert not reply.headers.keys() & INTERNAL
    for name, value in reply.headers.items():
        assert value, name
        assert ".fid" not in value


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_case(server: str, case: Case, sites: Sites, etag: str) -> None:
    asked = {name: value.replace("E", etag) for name, value in case.headers.items()}
    reply = fetch(sites.address(server), case.path, asked, case.method)

    clean(reply)
    assert reply.status == case.status
    if case.status != 416:
        assert reply.body == case.body
    assert reply.headers.get("content-range") == case.range
    assert reply.headers["x-content-type-options"] == "nosniff"
    if case.path == "/mogilefs/ten.png" and case.status != 405:
        assert reply.headers["etag"] == etag
    if case.status in (200, 206):
        assert reply.headers["content-type"] == "image/png"
        # A 206 says it by itself: there nginx leaves the header out.
        missing = "bytes" if case.status == 206 else None
        assert reply.headers.get("accept-ranges", missing) == "bytes"
        size = len(case.body) if case.method == "GET" else len(CONTENT)
        assert reply.headers["content-length"] == str(size)
    if case.status == 405:
        assert reply.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("server", SERVERS)
def test_a_large_file(server: str, sites: Sites) -> None:
    whole = fetch(sites.address(server), "/mogilefs/large.png")
    assert (whole.status, whole.body) == (200, LARGE)
    part = fetch(sites.address(server), "/mogilefs/large.png", {"Range": "bytes=777777-888888"})
    assert (part.status, part.body) == (206, LARGE[777777:888889])


@pytest.mark.parametrize("server", SERVERS)
def test_a_key_of_odd_characters(server: str, sites: Sites) -> None:
    path = "/mogilefs/%C3%A4%20b%2520%2B%26%3D%3F/c%3B.html?download=1"
    reply = fetch(sites.address(server), path)
    clean(reply)
    assert (reply.status, reply.body) == (200, CONTENT)
    assert reply.headers["content-type"] == "text/html"
    assert reply.headers["content-disposition"] == 'attachment; filename="c;.html"'
    assert "sandbox" in reply.headers["content-security-policy"]


@pytest.mark.once
@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_perlbal_reads_from_a_directory_of_any_name(
    server: str, node: Node, tmp_path: Path
) -> None:
    directory = tmp_path / "m\xe9dias \u65e5\u672c %20"
    directory.symlink_to(node.directory)
    settings = {
        "MOGILEFS_DOMAIN": "demo",
        "MOGILEFS_TRACKERS": [node.tracker],
        "MOGILEFS_FRONT": "perlbal",
        "MOGILEFS_LOCAL_DIRECTORIES": {node.storage: str(directory)},
    }
    with serving_site(server, tmp_path / "site.log", settings) as site:
        assert "x-reproxy-file" in fetch(site, "/mogilefs/ten.png").headers
        with running_front("perlbal", tmp_path / "front", Addresses(site, node.storage)) as front:
            reply = fetch(front, "/mogilefs/ten.png")
    clean(reply)
    assert (reply.status, reply.body) == (200, CONTENT)
