"""The rules in docs/fronts, one by one: what a front fetches, believes, and passes on.

The site here says what no site of ours would, and storage nodes send headers as they like.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

import pytest

from django_mogilefs.fronts import FRONTS, Handover, Perlbal, Replica
from django_mogilefs.http import format_date
from tests.support.scripted import Asked, Scripted, scripted
from tests.support.servers import Addresses, Reply, fetch, running_front

pytestmark = pytest.mark.once

FID = "/dev1/0/000/000/0000000001.fid"

CARRIED = {
    "Access-Control-Allow-Origin": "https://example.org",
    "Cache-Control": "max-age=60",
    "Content-Disposition": 'inline; filename="{env.HOME}.png"',
    "Content-Security-Policy": "sandbox",
    "Content-Type": "image/png",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-site",
    "ETag": '"site"',
    "Expires": "Sun, 06 Nov 2044 08:49:37 GMT",
    "Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=60",
    "Vary": "Cookie",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of the site's that reach the browser, whichever replica the bytes come from."""

ON_DISK = 1000000000
"""When the file on disk was written; the site says otherwise, so that one sees who is believed."""

OF_STORAGE = {
    **dict.fromkeys(CARRIED, "storage"),
    "Content-Type": "text/html",
    "Accept-Ranges": "bytes",
    "Set-Cookie": "storage=1",
}
"""The same, and two more, as a storage node sends them: none does."""

REFUSED = (301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 500, 501, 502, 503, 504)
"""What a storage node may answer that is no file."""


class Stage(NamedTuple):
    """A front, all that it could ask, and a directory that it sends files from."""

    name: str
    address: str
    site: Scripted
    first: Scripted
    second: Scripted
    foreign: Scripted
    """A node that is in no list."""

    def hand_over(
        self,
        first: str,
        second: str = "",
        *,
        local: str = "",
        span: str = "none",
        headers: dict[str, str] | None = None,
    ) -> None:
        """Have the site name these replicas, as ``host:port/path``."""
        told = [("X-Mogile-Range", span), *(headers or {}).items()]
        if self.name == "nginx":
            place = f"/_mogile_local/{local}" if local else f"/_mogile/{first}"
            told += [("X-Accel-Redirect", place), ("X-Mogile-Replica-2", second)]
        else:
            urls = f"http://{first} http://{second}" if second else f"http://{first}"
            told += [("X-Reproxy-URL", urls), *([("X-Mogile-Local", local)] if local else [])]
        self.site.script(told)

    def fetch(
        self, path: str = "/file", headers: dict[str, str] | None = None, method: str = "GET"
    ) -> Reply:
        return fetch(self.address, path, headers, method)

    def internal(self, reply: Reply) -> set[str]:
        """Which headers that are for the front have reached the browser."""
        return {name.lower() for name in FRONTS[self.name].internal_headers} & reply.headers.keys()

    @property
    def fetched(self) -> list[Asked]:
        """What storage nodes were asked."""
        return [*self.first.asked, *self.second.asked, *self.foreign.asked]


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def _stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    directory = tmp_path_factory.mktemp("rules")
    _write(directory / "disk" / "secret", b"secret")
    _write(directory / "disk" / FID[1:], b"disk")
    _unreadable(directory / "disk" / FID[1:].replace("dev1", "dev3"))
    with ExitStack() as stack:
        names = (b"site", b"first", b"second", b"foreign")
        site, first, second, foreign = (stack.enter_context(scripted(name)) for name in names)
        known = Addresses(site.address, first.address, second.address, str(directory / "disk"))
        front = running_front(request.param, directory / "front", known)
        address = stack.enter_context(front)
        yield Stage(request.param, address, site, first, second, foreign)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (ON_DISK, ON_DISK))


def _unreadable(path: Path) -> None:
    """What is there, and not even root can open: a socket that nobody listens at."""
    path.parent.mkdir(parents=True)
    os.mknod(path, stat.S_IFSOCK)


@pytest.fixture
def stage(_stage: Stage) -> Stage:
    for server in (_stage.site, _stage.first, _stage.second, _stage.foreign):
        server.script()
    return _stage


# What is fetched


FORBIDDEN = [
    "FOREIGN" + FID,
    "FIRST@FOREIGN" + FID,
    "FOREIGN/http://FIRST" + FID,
    "FOREIGN/_mogile/FIRST" + FID,
    "FOREIGN/_mogile_local/FIRST" + FID,
    "x http://FIRST" + FID,
    "FIRST/etc/passwd",
    "FIRST/x" + FID,
    "FIRST" + FID + ".txt",
    "FIRST" + FID + "/x",
    "FIRST/dev1/test-write/x",
    "FIRST/dev1/0/000/000/1.fid",
    "FIRST/dev1/../secret",
]


def _addressed(place: str, stage: Stage) -> str:
    return place.replace("FIRST", stage.first.address).replace("FOREIGN", stage.foreign.address)


@pytest.mark.parametrize("place", FORBIDDEN)
def test_nothing_but_files_of_known_nodes_is_fetched(place: str, stage: Stage) -> None:
    stage.hand_over(_addressed(place, stage))
    reply = stage.fetch()
    assert stage.fetched == []
    # nginx takes what has .. in it for no address at all.
    assert reply.status == (404 if ".." in place else 502) or reply.body == b"site"


@pytest.mark.parametrize("place", FORBIDDEN)
def test_nothing_else_is_fetched_in_a_second_attempt(place: str, stage: Stage) -> None:
    stage.hand_over(stage.second.address + FID, _addressed(place, stage))
    stage.second.script(status=404)
    stage.fetch()
    assert {asked.path for asked in stage.second.asked} <= {FID}
    assert stage.first.asked == stage.foreign.asked == []


@pytest.mark.parametrize("place", [*FORBIDDEN, "FIRST/secret"])
def test_nothing_but_files_of_nodes_that_are_here_is_read_from_disk(
    place: str, stage: Stage
) -> None:
    here = _addressed(place, stage)
    stage.hand_over(stage.second.address + FID, stage.second.address + FID, local=here)
    reply = stage.fetch()
    assert reply.status == (404 if ".." in place else 502) or reply.body == b"second"


def test_what_is_allowed_is_fetched_and_read(stage: Stage) -> None:
    """Otherwise the tests above would tell nothing."""
    here, there = (f"{node.address}{FID}" for node in (stage.first, stage.second))
    stage.hand_over(here)
    assert stage.fetch().body == b"first"
    stage.hand_over(there, here)
    assert stage.fetch().body == b"second"
    stage.second.script(status=404)
    assert stage.fetch().body == b"first"
    stage.hand_over(here, here, local=here)
    assert stage.fetch().body == b"disk"


@pytest.mark.parametrize("place", ["_mogile", "_mogile_local"])
@pytest.mark.parametrize("rest", ["FIRST" + FID, "FIRST/secret", "x"])
def test_no_browser_comes_in_by_itself(place: str, rest: str, stage: Stage) -> None:
    reply = stage.fetch(f"/{place}/{_addressed(rest, stage)}")
    assert (reply.status, reply.body) == (200, b"site") or reply.status == 404
    assert stage.fetched == []


def test_no_browser_says_where_a_file_is(stage: Stage) -> None:
    other = f"{stage.second.address}{FID}"
    forged = {
        "X-Accel-Redirect": f"/_mogile/{other}",
        "X-Mogile-Here": f"{stage.first.address}{FID}",
        "X-Mogile-Local": f"{stage.first.address}{FID}",
        "X-Mogile-Range": "bytes=0-0",
        "X-Mogile-Replica-2": other,
        "X-Mogile-Urls": f"http://{other}",
        "X-Reproxy-URL": f"http://{other}",
    }
    assert stage.fetch(headers=forged).body == b"site"
    assert stage.fetched == []
    stage.hand_over(stage.first.address + FID)
    assert stage.fetch(headers=forged).body == b"first"


def test_no_browser_says_that_a_file_could_not_be_had(stage: Stage) -> None:
    stage.fetch(headers={"X-Mogile-Again": "1", "X-Mogile-Front": "forged"})
    (asked,) = stage.site.asked
    assert not asked.headers.get("x-mogile-again")
    assert asked.headers["x-mogile-front"] == stage.name


def test_the_site_is_asked_again_for_what_may_not_be_fetched(stage: Stage) -> None:
    """What it sends then is sent on, and no address that it names is believed."""
    bad = stage.foreign.address + FID
    stage.hand_over(bad, bad, headers={"X-Mogile-Local": bad})
    reply = stage.fetch("/file?a=b", {"Cookie": "a=b"})
    assert (reply.status, reply.body) == (200, b"site")
    first, again = stage.site.asked
    assert first.path == again.path == "/file?a=b"
    assert "x-mogile-again" not in first.headers
    assert again.headers["x-mogile-again"] == "1"
    assert again.headers["x-mogile-front"] == stage.name
    for asked in (first, again):
        assert asked.headers["x-forwarded-for"] == "127.0.0.1"
        assert asked.headers["x-forwarded-proto"] == "http"
        assert asked.headers["host"] == stage.address
        assert asked.headers["cookie"] == "a=b"
    assert stage.internal(reply) == set()


OWN = """
events {}
http {
    access_log off;
    include mogilefs-http.conf;
    server {
        listen 127.0.0.1:8080;
        location / {
            proxy_pass http://127.0.0.1:8000;
            include mogilefs-app.conf;
        }
        include mogilefs-locations.conf;
    }
}
"""
"""What nginx.conf says may be put into a configuration of one's own, in one that has no more."""


def test_in_a_configuration_of_ones_own_the_site_is_asked_again_too(tmp_path: Path) -> None:
    own = tmp_path / "nginx.conf"
    own.write_text(OWN)
    with scripted(b"site") as site:
        site.script([("X-Accel-Redirect", f"/_mogile/127.0.0.3:7500{FID}")])
        known = Addresses(site.address, "127.0.0.1:1")
        with running_front("nginx", tmp_path / "front", known, own) as front:
            reply = fetch(front, "/file")
    assert (reply.status, reply.body) == (200, b"site")
    assert [asked.headers.get("x-mogile-again") for asked in site.asked] == [None, "1"]


ODD = (
    "/a%20b.txt?download=1&of=%20y",
    "/%C3%BC.txt",
    "/a+b.txt?a+b=c+d",
    "/100%25.txt",
    "/a%2Fb.txt",
    "/a%252Fb.txt?download=1",
    "/a%3Fb.txt?a=b",
    "/a//b/./%7Bhttp.request.host%7D.txt",
)
"""Addresses that are others once they are unescaped, or escaped once more."""


@pytest.mark.parametrize("path", ODD)
def test_the_address_stays_as_it_was_until_the_site_is_asked_again(path: str, stage: Stage) -> None:
    first, second = (f"{node.address}{FID}" for node in (stage.first, stage.second))
    bad = stage.foreign.address + FID

    def asked_again() -> bool:
        assert stage.fetch(path).body == b"site"
        asked, again = stage.site.asked[-2:]
        assert asked.path == again.path == path
        return again.headers["x-mogile-again"] == "1"

    stage.hand_over(bad, bad)
    assert asked_again()
    stage.hand_over(bad, bad, local=bad)
    assert asked_again()
    stage.first.script(status=404)
    stage.second.script(status=404)
    stage.hand_over(first, second)
    assert asked_again()
    for local in ("dev2", "dev3"):  # there is none, or none that could be opened
        stage.hand_over(first, second, local=first.replace("dev1", local))
        assert asked_again()
    assert {asked.path for asked in stage.fetched} == {FID}


@pytest.mark.parametrize("path", ODD)
def test_a_file_is_fetched_by_its_own_address_whatever_the_browsers(
    path: str, stage: Stage
) -> None:
    for sender in ("first", "second", "disk"):
        _replicas(stage, sender, {})
        assert stage.fetch(path).body == sender.encode()
    gone = f"{stage.first.address}{FID}".replace("dev1", "dev2")
    stage.hand_over(f"{stage.second.address}{FID}", f"{stage.second.address}{FID}", local=gone)
    assert stage.fetch(path).body == b"second"
    assert {asked.path for asked in stage.site.asked} == {path}
    assert {asked.path for asked in stage.fetched} == {FID}


@pytest.mark.parametrize("status", REFUSED)
def test_what_is_no_file_leads_to_the_next_replica(status: int, stage: Stage) -> None:
    places = [f"{node.address}{FID}" for node in (stage.first, stage.second)]
    stage.hand_over(*places)
    stage.first.script([("Location", f"http://{stage.foreign.address}{FID}")], status)
    reply = stage.fetch()
    assert (reply.status, reply.body) == (200, b"second")
    assert "location" not in reply.headers
    stage.second.script(stage.first.headers, status)
    assert (stage.fetch().status, stage.foreign.asked) == (200, [])
    again = stage.site.asked[-1]
    assert (again.path, again.headers["x-mogile-again"]) == ("/file", "1")


def test_what_the_site_drops_is_not_sent_to_it_twice(stage: Stage) -> None:
    """For it may have been done. (nginx does send a GET again, over another connection.)"""
    stage.site.script(status=0)
    assert stage.fetch(method="POST").status == 502
    assert len(stage.site.asked) == 1


# What passes to the browser


def _replicas(stage: Stage, sender: str, headers: dict[str, str]) -> None:
    """Have the bytes come from the first or the second node, or from disk."""
    first, second = (f"{node.address}{FID}" for node in (stage.first, stage.second))
    stage.hand_over(first, second, local=first if sender == "disk" else "", headers=headers)
    told = [*OF_STORAGE.items(), ("Server", "storage")]
    stage.first.script(told, 404 if sender == "second" else 200)
    stage.second.script(told)


@pytest.mark.parametrize("sender", ["first", "second", "disk"])
def test_the_sites_headers_reach_the_browser(sender: str, stage: Stage) -> None:
    _replicas(stage, sender, CARRIED)
    reply = stage.fetch()
    assert (reply.status, reply.body) == (200, sender.encode())
    assert {name: reply.headers.get(name.lower()) for name in CARRIED} == CARRIED
    assert stage.internal(reply) == set()


def test_the_sites_headers_reach_the_browser_from_perlbals_cache_too(tmp_path: Path) -> None:
    with scripted(b"site") as site, scripted(b"first") as first:
        replica = Replica(first.address, FID)
        file = Handover([replica], None, len(b"first"), None, {}, public=True)
        told = Perlbal(cache_for=600).hand_over(file) or {}
        site.script([*CARRIED.items(), ("Set-Cookie", "a=b"), *told.items()])
        first.script([*OF_STORAGE.items()])
        with running_front("perlbal", tmp_path, Addresses(site.address, first.address)) as front:
            asked, remembered = (fetch(front, "/file") for _ in range(2))
    for reply in (asked, remembered):
        assert (reply.status, reply.body) == (200, b"first")
        assert {name: reply.headers.get(name.lower()) for name in CARRIED} == CARRIED
    assert len(site.asked) == 1
    assert asked.headers["set-cookie"] == "a=b"
    assert "set-cookie" not in remembered.headers


def test_what_the_site_says_again_comes_to_the_browser_once(stage: Stage) -> None:
    bad = stage.foreign.address + FID
    said = {**CARRIED, "Accept-Ranges": "bytes"}
    stage.hand_over(bad, bad, headers=said)
    reply = stage.fetch()
    assert reply.body == b"site"
    assert {name: reply.headers.get(name.lower()) for name in said} == said
    stage.hand_over(bad, bad, headers={"Content-Type": "image/png"})
    reply = stage.fetch()
    assert reply.body == b"site"
    assert {name.lower() for name in said} & reply.headers.keys() == {"content-type"}


@pytest.mark.parametrize("sender", ["first", "second"])
def test_no_header_of_a_storage_nodes_reaches_the_browser(sender: str, stage: Stage) -> None:
    """Nor does an empty one come in the place of those that the site did not send."""
    _replicas(stage, sender, {"Content-Type": "image/png"})
    reply = stage.fetch()
    assert reply.body == sender.encode()
    found = {name.lower() for name in OF_STORAGE} & reply.headers.keys()
    assert found == {"content-type"}
    assert reply.headers["content-type"] == "image/png"
    assert "storage" not in reply.headers["server"]


@pytest.mark.parametrize("sender", ["first", "second", "disk"])
def test_each_cookie_of_the_sites_stays_one(sender: str, stage: Stage) -> None:
    _replicas(stage, sender, {})
    cookies = ["a=1; Path=/", "b=2; expires=Sun, 06 Nov 2044 08:49:37 GMT"]
    stage.site.headers = [*stage.site.headers, *(("Set-Cookie", cookie) for cookie in cookies)]
    connection = HTTPConnection(stage.address, timeout=30)
    connection.request("GET", "/file")
    response = connection.getresponse()
    assert response.read() == sender.encode()
    assert response.headers.get_all("Set-Cookie") == cookies
    connection.close()


def test_headers_for_a_front_are_hidden_on_a_page_too(stage: Stage) -> None:
    starts = {"X-Accel-Redirect", "X-Reproxy-URL"}
    stage.site.script([(name, "x") for name in {*FRONTS[stage.name].internal_headers} - starts])
    reply = stage.fetch()
    assert reply.body == b"site"
    assert stage.internal(reply) == set()


def test_a_storage_node_gives_no_orders(stage: Stage) -> None:
    stage.hand_over(stage.first.address + FID)
    orders = {
        "X-Accel-Redirect": f"/_mogile/{stage.second.address}{FID}",
        "X-Accel-Limit-Rate": "1",
        "X-Reproxy-URL": f"http://{stage.second.address}{FID}",
    }
    stage.first.script([*orders.items()])
    assert stage.fetch().body == b"first"
    assert stage.second.asked == []


# What a storage node hears


SECRETS = {
    "Authorization": "Basic c2VjcmV0",
    "Cookie": "session=secret",
    "If-Match": "*",
    "If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT",
    "If-None-Match": '"x"',
    "If-Range": '"x"',
    "If-Unmodified-Since": "Sun, 06 Nov 1994 08:49:37 GMT",
}


@pytest.mark.parametrize("span", ["none", "bytes=1-2"])
@pytest.mark.parametrize("sender", ["first", "second"])
def test_a_storage_node_hears_of_the_file_and_its_range_alone(
    span: str, sender: str, stage: Stage
) -> None:
    _replicas(stage, sender, {})
    stage.site.headers = [*stage.site.headers[1:], ("X-Mogile-Range", span)]
    stage.fetch("/file?secret=1", {**SECRETS, "Range": "bytes=3-4"})
    (asked,) = (stage.first if sender == "first" else stage.second).asked
    assert (asked.method, asked.path) == ("GET", FID)
    assert asked.headers.get("range") == (None if span == "none" else span)
    assert not {name.lower() for name in SECRETS} & asked.headers.keys()
    assert not [name for name in asked.headers if name.startswith("x-mogile-")]


def test_what_a_browser_sends_does_not_reach_a_storage_node(stage: Stage) -> None:
    stage.hand_over(stage.first.address + FID)
    connection = HTTPConnection(stage.address, timeout=30)
    connection.request("POST", "/file", b"secret")
    connection.getresponse().read()
    connection.close()
    assert stage.site.asked[0].body == b"secret"
    assert {(asked.method, asked.body) for asked in stage.fetched} <= {("GET", b"")}
    assert not any(asked.headers.get("content-length") for asked in stage.fetched)


# From disk


UNMODIFIED = {"If-Modified-Since": format_date(ON_DISK)}
JUDGED = {
    "nginx": [UNMODIFIED, {"Range": "bytes=0-0,2-2"}],
    "caddy": [UNMODIFIED, {"If-None-Match": "*"}],
}
"""Conditions that each front would judge by the file on disk; others the site keeps from it."""


def test_of_a_file_on_disk_the_site_has_judged_the_conditions(stage: Stage) -> None:
    _replicas(stage, "disk", CARRIED)
    for headers in JUDGED[stage.name]:
        reply = stage.fetch(headers=headers)
        assert (reply.status, reply.body) == (200, b"disk")
