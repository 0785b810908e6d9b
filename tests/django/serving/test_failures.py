"""Replicas that are refused, silent, gone or break off; browsers that leave or read slowly."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import RemoteDisconnected
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import django
import pytest
from django.test import RequestFactory
from pytest_django import Settings

from django_mogilefs.views import serve_mogilefs_file
from mogilefs import Client, DomainNotFound, wire
from mogilefs.node import Node
from tests.support.misbehaving import Cluster, TinyTracker
from tests.support.proxies import StorageProxy, TrackerProxy, parse
from tests.support.servers import Addresses, Reply, fetch, running_front, serving_site

KEY = "failures/file.png"
CONTENT = bytes(range(256)) * 4096
HUGE = 64 * 2**20

HANDLERS = ["gunicorn", "uvicorn"]
FRONTS = [pytest.param(name, marks=pytest.mark.once) for name in ("nginx", "caddy", "perlbal")]


class Parts(NamedTuple):
    """A site whose first replicas lie on ``first``, the second ones on ``second``."""

    address: str
    first: StorageProxy
    second: StorageProxy
    tracker: TrackerProxy


@pytest.fixture(scope="module", autouse=True)
def _files(client: Client) -> None:
    client.store(KEY, CONTENT, mogile_class="avatar")
    _wait_for_replicas(client, KEY, 2)


def _wait_for_replicas(client: Client, key: str, count: int) -> None:
    """Replication is prompt, but the node's own doing: there is no event to wait for here."""

    deadline = time.monotonic() + 20
    while len(client.paths(key, count=9)) < count:
        assert time.monotonic() < deadline, "the node did not replicate"
        time.sleep(0.02)


@contextmanager
def parts(
    server: str, node: Node, directory: Path, *, idle_seconds: int = 30, **settings: Any
) -> Iterator[Parts]:
    with ExitStack() as stack:
        tracker = stack.enter_context(TrackerProxy(node.tracker))
        first, second = (stack.enter_context(StorageProxy(node.storage)) for _ in range(2))
        tracker.nodes = [first.address, second.address]
        values = {"MOGILEFS_DOMAIN": "demo", "MOGILEFS_TRACKERS": [tracker.address], **settings}
        handler = server if server in HANDLERS else "gunicorn"
        if handler != server:
            values["MOGILEFS_FRONT"] = server
        log = directory / "site.log"
        address = stack.enter_context(serving_site(handler, log, values))
        if handler != server:
            fetch(address, "/bare/awake")  # a front's patience is for storage, not for a cold start
            nodes = (first.address, second.address)
            known = Addresses(address, *nodes, str(node.directory), idle_seconds)
            address = stack.enter_context(running_front(server, directory / server, known))
        yield Parts(address, first, second, tracker)


@pytest.fixture(scope="module")
def site(
    request: pytest.FixtureRequest, node: Node, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Parts]:
    with parts(request.param, node, tmp_path_factory.mktemp("failures")) as found:
        yield found


@pytest.fixture(autouse=True)
def _well(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "site" in request.fixturenames:
        found: Parts = request.getfixturevalue("site")
        for storage in (found.first, found.second):
            storage.behaviour = "forward"
            storage.released.set()


def whole(reply: Reply) -> None:
    assert (reply.status, reply.body) == (200, CONTENT)
    assert reply.headers["content-type"] == "image/png"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["etag"]


@pytest.mark.parametrize("site", [*HANDLERS, *FRONTS], indirect=True)
@pytest.mark.parametrize("failure", [404, 500, 503])
def test_the_next_replica_is_sent(failure: int, site: Parts) -> None:
    site.first.behaviour = failure
    whole(fetch(site.address, f"/mogilefs/{KEY}"))
    part = fetch(site.address, f"/mogilefs/{KEY}", {"Range": "bytes=300-309"})
    assert (part.status, part.body) == (206, CONTENT[300:310])


@pytest.mark.parametrize("site", FRONTS[:2], indirect=True)
def test_both_replicas_gone_are_looked_up_again(site: Parts) -> None:
    """The site sends the file itself then; here it meets the same nodes, so it is a clean 503."""
    site.first.behaviour = site.second.behaviour = 404
    reply = fetch(site.address, f"/mogilefs/{KEY}")
    assert reply.status == 503
    assert reply.headers["retry-after"] == "5"
    assert reply.headers["cache-control"] == "no-store"
    assert "etag" not in reply.headers
    private = fetch(site.address, f"/private/{KEY}", {"X-Who": "owner"})
    assert private.status == 503
    assert private.headers["cache-control"].endswith("private, no-store")


ODD = ("a b", "\xfc", "a+b", "100%", "a%20b", "a/b", "a%2Fb", "a%252Fb", "a?b", "a%3Fb")


@pytest.mark.parametrize("server", FRONTS[:2])
def test_the_site_sends_the_very_file_that_no_front_could_fetch(
    server: str, node: Node, client: Client, tmp_path: Path
) -> None:
    """Whatever its name: each of these is another one's, unescaped or escaped once more."""
    for name in ODD:
        client.store(f"failures/{name}.txt", name.encode())
    with parts(server, node, tmp_path) as site:
        site.tracker.nodes = [node.storage] * 3  # in no list of the front's
        for name in ODD:
            address = f"/mogilefs/failures/{quote(name)}.txt"
            reply = fetch(site.address, f"{address}?download=1")
            assert (reply.status, reply.body) == (200, name.encode())
            assert reply.headers["content-disposition"].count("attachment") == 1
            assert reply.headers["accept-ranges"] == "bytes"
            part = fetch(site.address, address, {"Range": "bytes=0-0"})
            assert (part.status, part.body) == (206, name.encode()[:1])


@pytest.mark.parametrize("server", HANDLERS)
@pytest.mark.parametrize("failure", ["refused", "silent", "half"])
def test_the_site_goes_on_with_another_replica(
    server: str, failure: str, node: Node, tmp_path: Path
) -> None:
    """In the middle of a body too: the browser notices nothing."""
    patience = {"MOGILEFS_TIMEOUT": 2.0} if failure == "silent" else {}
    with parts(server, node, tmp_path, **patience) as site:
        site.first.behaviour = failure
        if failure == "refused":
            site.first.refuse()
        whole(fetch(site.address, f"/mogilefs/{KEY}"))
        part = fetch(site.address, f"/mogilefs/{KEY}", {"Range": "bytes=300-900000"})
        assert (part.status, part.body) == (206, CONTENT[300:900001])


@pytest.mark.parametrize("server", FRONTS)
def test_a_front_goes_on_where_a_node_refuses(server: str, node: Node, tmp_path: Path) -> None:
    with parts(server, node, tmp_path) as site:
        site.first.refuse()
        whole(fetch(site.address, f"/mogilefs/{KEY}"))


@pytest.mark.parametrize("server", FRONTS[:2])
def test_where_the_only_replica_is_refused_the_site_says_so(
    server: str, client: Client, node: Node, tmp_path: Path
) -> None:
    client.store("failures/only.png", CONTENT, mogile_class="thumb")
    with parts(server, node, tmp_path) as site:
        site.first.refuse()
        reply = fetch(site.address, "/mogilefs/failures/only.png")
        assert reply.status == 503
        assert reply.headers["retry-after"] == "5"


@pytest.mark.parametrize("server", FRONTS[:2])
def test_a_front_goes_on_where_a_node_is_silent(server: str, node: Node, tmp_path: Path) -> None:
    with parts(server, node, tmp_path) as site:
        site.first.behaviour = "silent"
        whole(fetch(site.address, f"/mogilefs/{KEY}"))


@pytest.mark.parametrize("server", FRONTS[2:])
def test_perlbal_leaves_a_browser_that_waits_for_a_silent_node(
    server: str, node: Node, tmp_path: Path
) -> None:
    """After its ``idle_timeout``, without a word; it asks no other replica."""
    with parts(server, node, tmp_path, idle_seconds=1) as site:
        site.first.behaviour = "silent"
        with pytest.raises(RemoteDisconnected):
            fetch(site.address, f"/mogilefs/{KEY}")
        assert len(site.first.requests) == 1
        assert site.second.requests == []


@pytest.mark.parametrize("site", FRONTS[2:], indirect=True)
def test_perlbal_asks_nobody_again_when_both_replicas_are_gone(site: Parts) -> None:
    site.first.behaviour = site.second.behaviour = 404
    asked = site.tracker.commands.count("get_paths")
    reply = fetch(site.address, f"/mogilefs/{KEY}")
    assert reply.status == 503
    assert not {"etag", "x-reproxy-url", "x-reproxy-expected-size"} & reply.headers.keys()
    assert site.tracker.commands.count("get_paths") == asked + 1


@pytest.mark.parametrize("server", FRONTS[2:])
def test_perlbal_remembers_public_files_alone(server: str, node: Node, tmp_path: Path) -> None:
    with parts(server, node, tmp_path, MOGILEFS_REPROXY_CACHE_FOR=600) as site:
        whole(fetch(site.address, f"/mogilefs/{KEY}"))
        asked = list(site.tracker.commands)
        whole(fetch(site.address, f"/mogilefs/{KEY}"))
        part = fetch(site.address, f"/mogilefs/{KEY}", {"Range": "bytes=300-309"})
        assert (part.status, part.body) == (206, CONTENT[300:310])
        assert site.tracker.commands == asked
        private = f"/private/{KEY}"
        assert fetch(site.address, private, {"X-Who": "owner"}).status == 200
        assert fetch(site.address, private, {"X-Who": "stranger"}).status == 403


class Impatient(BaseHTTPRequestHandler):
    """A site that closes each kept connection in the moment in which the next request comes."""

    protocol_version = "HTTP/1.1"
    answered = False

    def do_GET(self) -> None:
        if self.answered:
            self.close_connection = True
            return
        self.answered = True
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.send_header("Connection", "close" if self.close_connection else "keep-alive")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.mark.parametrize("server", FRONTS)
def test_no_browser_notices_that_the_site_closes_a_kept_connection(
    server: str, tmp_path: Path
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Impatient) as site:
        Thread(target=site.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{site.server_port}"
        known = Addresses(address, "127.0.0.1:1", idle_seconds=1)
        with running_front(server, tmp_path / server, known) as front:
            for number in range(5):
                assert fetch(front, f"/{number}").body == b"ok"
        site.shutdown()


@pytest.mark.parametrize("server", FRONTS)
def test_a_local_file_that_has_gone_is_sent_from_another_replica(
    server: str, node: Node, client: Client, tmp_path: Path
) -> None:
    key = f"failures/{server}-local.png"
    client.store(key, CONTENT, mogile_class="avatar")
    _wait_for_replicas(client, key, 2)
    directories: dict[str, str] = {}
    with parts(server, node, tmp_path, MOGILEFS_LOCAL_DIRECTORIES=directories) as site:
        first = urlsplit(client.paths(key, count=9)[0]).path
        (node.directory / first.lstrip("/")).unlink()
        whole(fetch(site.address, f"/mogilefs/{key}"))


@pytest.mark.parametrize("site", FRONTS[:2], indirect=True)
def test_storage_sees_nothing_of_the_browser(site: Parts) -> None:
    headers = {"Cookie": "session=secret", "Authorization": "Basic c2VjcmV0", "X-Other": "1"}
    whole(fetch(site.address, f"/mogilefs/{KEY}?token=secret", headers))
    seen = b"".join(site.first.heads + site.second.heads).lower()
    assert b"secret" not in seen
    assert b"c2vjcmv0" not in seen


@pytest.mark.parametrize("site", [*HANDLERS, *FRONTS], indirect=True)
def test_connections_to_storage_are_kept(site: Parts) -> None:
    for _ in range(5):
        whole(fetch(site.address, f"/mogilefs/{KEY}"))
    assert len(site.first.requests) >= 5
    assert site.first.open_connections <= 2


def leave(address: str, path: str) -> None:
    """Ask for a file, read the beginning of it, go away."""
    with socket.create_connection(parse(address), 30) as browser:
        browser.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert browser.recv(1000).startswith(b"HTTP/1.1 200")


# Before 5.0 Django does not listen under ASGI for browsers that leave: it reads on to the end.
@pytest.mark.parametrize("server", HANDLERS if django.VERSION >= (5, 0) else ["gunicorn"])
def test_a_browser_that_goes_away_frees_the_replicas_connection(
    server: str, node: Node, client: Client, tmp_path: Path
) -> None:
    client.store("failures/huge", bytes(HUGE))
    with parts(server, node, tmp_path) as site:
        site.tracker.nodes = [site.first.address] * 3
        leave(site.address, "/mogilefs/failures/huge")
        assert site.first.wait_until_open(0)


def test_slow_readers_pin_no_thread_and_little_memory(
    node: Node, client: Client, tmp_path: Path
) -> None:
    """Under ASGI: forty of them, and the site still answers at once."""
    client.store("failures/huge", bytes(HUGE))
    with parts("uvicorn", node, tmp_path) as site, ExitStack() as stack:
        whole(fetch(site.address, f"/mogilefs/{KEY}"))
        for _ in range(40):
            reader = stack.enter_context(socket.create_connection(parse(site.address), 30))
            reader.sendall(b"GET /mogilefs/failures/huge HTTP/1.1\r\nHost: x\r\n\r\n")
            assert reader.recv(10) == b"HTTP/1.1 2"
        whole(fetch(site.address, f"/mogilefs/{KEY}"))


@pytest.mark.parametrize("code", ["failure", "db", "no_db"])
def test_a_tracker_in_trouble_is_a_503(site_settings: Settings, code: str) -> None:
    with tiny_tracker(site_settings) as tracker:
        tracker.answer = lambda request: wire.Err(code, "try again")  # type: ignore[method-assign]
        answer = serve_mogilefs_file(RequestFactory().get("/"), "key")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert answer["Cache-Control"] == "no-store"


def test_a_domain_that_does_not_exist_is_an_error_of_the_set_up(site_settings: Settings) -> None:
    site_settings.MOGILEFS_DOMAIN = "nowhere"
    with pytest.raises(DomainNotFound):
        serve_mogilefs_file(RequestFactory().get("/"), "key")


@contextmanager
def tiny_tracker(site_settings: Settings) -> Iterator[TinyTracker]:
    tracker = TinyTracker(Cluster())
    site_settings.MOGILEFS_TRACKERS = [tracker.address]
    try:
        yield tracker
    finally:
        tracker.stop()
