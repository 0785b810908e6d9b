"""The view inside this process: what it lets whom have, and what it says when it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.test import AsyncClient as AsyncBrowser
from django.test import Client as Browser
from django.test import RequestFactory
from pytest_django import Settings

from django_mogilefs.signing import signed_query
from django_mogilefs.storage import MogileFSStorage
from django_mogilefs.views import MogileFSView, serve_mogilefs_file
from mogilefs import Client
from mogilefs.node import Node
from tests.support.proxies import TrackerProxy
from tests.support.served_site import SIGNED

CONTENT = b"0123456789"
KEY = "views/ten.png"


@pytest.fixture(scope="module", autouse=True)
def _files(client: Client, node: Node) -> None:
    client.store(KEY, CONTENT)
    client.store("below/x.png", b"below")
    client.store("belowground.png", b"not below")
    with Client("other", node.tracker) as other:
        other.store("only/there.png", b"other")
        other.store(KEY, b"another")


@pytest.fixture(autouse=True)
def _settings(site_settings: Settings) -> None:
    pass


def body(response: HttpResponseBase) -> bytes:
    content: bytes = response.getvalue()  # type: ignore[attr-defined]  # all responses have it
    response.close()
    return content


def get(path: str, **headers: str) -> HttpResponseBase:
    environ = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    return Browser().get(path, **environ)


def ask(authorize: Any, key: str = KEY) -> HttpResponseBase:
    return serve_mogilefs_file(RequestFactory().get("/"), key, authorize=authorize)


# Who may have which


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (True, 200),
        (False, 403),
        (None, 403),
        (403, 403),
        (404, 404),
        (HttpResponse(status=402), 402),
    ],
)
def test_what_authorize_says_counts(verdict: Any, status: int) -> None:
    assert ask(lambda request, key: verdict).status_code == status

    async def wait(request: HttpRequest, key: str) -> Any:
        return verdict

    assert ask(wait).status_code == status


@pytest.mark.parametrize(("error", "status"), [(PermissionDenied, 403), (Http404, 404)])
def test_authorize_may_raise_what_django_views_raise(error: type[Exception], status: int) -> None:
    def refuse(request: HttpRequest, key: str) -> bool:
        raise error

    assert ask(refuse).status_code == status


@pytest.mark.parametrize("verdict", [1, "yes", 200, object()])
def test_an_answer_that_means_nothing_lets_nobody_in(verdict: Any) -> None:
    with pytest.raises(TypeError, match="authorize"):
        ask(lambda request, key: verdict)


@pytest.mark.parametrize("place", ["private", "private-async"])
def test_the_owner_sees_strangers_do_not_and_others_are_sent_to_the_login(place: str) -> None:
    owner = get(f"/{place}/{KEY}", x_who="owner")
    assert (owner.status_code, body(owner)) == (200, CONTENT)
    assert owner["Cache-Control"] == "private, no-cache"
    assert get(f"/{place}/{KEY}", x_who="stranger").status_code == 403
    nobody = get(f"/{place}/{KEY}")
    assert (nobody.status_code, nobody["Location"]) == (302, f"/login/?next=/{place}/{KEY}")


@pytest.mark.parametrize("place", ["private", "private-async"])
def test_authorize_under_asgi(place: str) -> None:
    async def ask(who: str) -> tuple[int, bytes]:
        answer = await AsyncBrowser().get(f"/{place}/{KEY}", headers={"X-Who": who})
        if not answer.streaming:
            return answer.status_code, answer.content
        return answer.status_code, b"".join([chunk async for chunk in answer])

    assert asyncio.run(ask("owner")) == (200, CONTENT)
    assert asyncio.run(ask("stranger")) == (403, b"403 Forbidden\n")


def test_a_subclass_decides_by_itself() -> None:
    owner = get(f"/owners/{KEY}", x_who="owner")
    assert (owner.status_code, body(owner)) == (200, CONTENT)
    assert owner["Cache-Control"] == "private, max-age=60"
    assert get(f"/owners/{KEY}", x_who="stranger").status_code == 404


@pytest.mark.parametrize("place", ["private", "signed", "owners"])
def test_nobody_learns_whether_a_private_key_exists(
    place: str, node: Node, site_settings: Settings
) -> None:
    """Not by any part of the reply, and not by the time that a question to the tracker takes."""
    with TrackerProxy(node.tracker) as tracker:
        site_settings.MOGILEFS_TRACKERS = [tracker.address]
        there, missing = (get(f"/{place}/{key}", x_who="stranger") for key in (KEY, "no/such.png"))
        assert tracker.commands == []
    assert there.status_code == missing.status_code
    assert there.headers == missing.headers
    assert body(there) == body(missing)


def test_a_private_file_that_has_not_changed_is_still_asked_for() -> None:
    answer = get(f"/private/{KEY}", x_who="stranger", if_none_match="*")
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("path", "who", "status"),
    [
        (f"/private/{KEY}", "stranger", 403),
        (f"/owners/{KEY}", "stranger", 404),
        ("/private/no/such.png", "owner", 404),
        ("/signed/no/such.png", "anybody", 404),
    ],
)
def test_no_shared_cache_keeps_a_private_refusal(path: str, who: str, status: int) -> None:
    query = f"?{urlsplit(SIGNED.url('no/such.png')).query}" if path.startswith("/signed") else ""
    answer = get(path + query, x_who=who)
    assert (answer.status_code, answer["Cache-Control"]) == (status, "private, no-store")


def test_no_shared_cache_keeps_that_a_private_file_cannot_be_had(site_settings: Settings) -> None:
    site_settings.MOGILEFS_TRACKERS = ["127.0.0.1:1"]
    answer = get(f"/private/{KEY}", x_who="owner")
    assert (answer.status_code, answer["Cache-Control"]) == (503, "private, no-store")


def test_a_front_keeps_no_private_file(site_settings: Settings) -> None:
    site_settings.MOGILEFS_FRONT = "perlbal"
    site_settings.MOGILEFS_REPROXY_CACHE_FOR = 60
    assert "X-REPROXY-CACHE-FOR" in get(f"/mogilefs/{KEY}").headers
    for answer in (get(f"/private/{KEY}", x_who="owner"), get(signed_path())):
        assert "X-REPROXY-URL" in answer.headers
        assert "X-REPROXY-CACHE-FOR" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_there_is_nothing_but_reading(method: str) -> None:
    answer = Browser().generic(method, f"/mogilefs/{KEY}")
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")


# Signed addresses


def signed_path(key: str = KEY) -> str:
    return SIGNED.url(key)


def test_a_storage_signs_its_addresses_and_the_view_believes_them() -> None:
    path = signed_path()
    assert set(parse_qs(urlsplit(path).query)) == {"expires", "signature"}
    answer = get(path)
    assert (answer.status_code, body(answer)) == (200, CONTENT)
    private, _, age = answer["Cache-Control"].partition(", max-age=")
    assert private == "private"
    assert 2700 - 1 <= int(age) <= 3600


def test_who_asks_each_time_has_no_browser_keep_what_is_signed_too() -> None:
    request = RequestFactory().get(signed_path())
    answer = serve_mogilefs_file(request, KEY, storage=SIGNED, authorize=lambda *_: True)
    assert (answer.status_code, answer["Cache-Control"]) == (200, "private, no-cache")
    answer.close()


@pytest.mark.parametrize(
    "query",
    [
        "",
        "expires=9999999999&signature=" + "0" * 64,
        "expires=x&signature=%F0",
        "signature=x",
        signed_query("demo", KEY, seconds=60, now=1000),
    ],
)
def test_no_other_address_opens_it(query: str) -> None:
    answer = get(f"/signed/{KEY}?{query}")
    assert (answer.status_code, answer["Cache-Control"]) == (403, "private, no-store")


def test_a_signature_of_another_key_or_domain_is_refused() -> None:
    query = urlsplit(signed_path("views/other.png")).query
    assert get(f"/signed/{KEY}?{query}").status_code == 403
    foreign = MogileFSStorage(domain="other", querystring_auth=True, base_url="/signed/")
    assert get(foreign.url(KEY)).status_code == 403


def test_addresses_without_signatures_stay_as_they_were() -> None:
    assert MogileFSStorage().url("a b.png") == "/mogilefs/a%20b.png"


# Domains, keys, headers


def test_each_storage_serves_its_own_domain() -> None:
    assert body(get(f"/other/{KEY}")) == b"another"
    assert body(get(f"/mogilefs/{KEY}")) == CONTENT


@pytest.mark.parametrize(
    "path",
    [
        "/mogilefs/only/there.png",
        "/mogilefs/only/there.png%26domain%3Dother",
        "/mogilefs/only/there.png%0D%0Adomain=other",
        "/mogilefs/only/there.png%00domain=other",
        "/mogilefs/only/there.png?domain=other&storage=other",
        "/mogilefs/..%2Fother%2Fonly%2Fthere.png",
        "/mogilefs/" + "x" * 300,
        "/mogilefs/%0A",
        "/mogilefs/%FF%FE",
    ],
)
def test_no_key_reaches_another_domain(path: str) -> None:
    assert get(path).status_code == 404


def test_a_storage_with_a_location_serves_nothing_else() -> None:
    assert body(get("/below/below/x.png")) == b"below"
    assert get(f"/below/{KEY}").status_code == 404
    assert get("/below/belowground.png").status_code == 404


@pytest.mark.parametrize("name", ["a\r\nX-Evil: 1.png", 'a"; filename=evil.exe', "a\nb.html"])
def test_no_key_injects_a_header(name: str, client: Client) -> None:
    client.store(name, CONTENT)
    view = MogileFSView.as_view(as_attachment=True)
    answer = view(RequestFactory().get("/"), key=name)
    assert answer.status_code == 200
    assert "X-Evil" not in answer.headers
    assert not any(set("\r\n") & set(value) for value in answer.headers.values())
    assert answer["Content-Disposition"].count("filename=") == 1 or '"a_' in str(
        answer["Content-Disposition"]
    )
    answer.close()


@pytest.mark.parametrize("front", ["perlbal", "nginx", "caddy"])
@pytest.mark.parametrize("told", ["evil.example", "127.0.0.1:1@evil.example", "127.0.0.1:1/?"])
def test_nobody_is_sent_to_an_address_that_is_no_replica(
    front: str, told: str, site_settings: Settings, client: Client
) -> None:
    """Whatever a request says: what a front is told comes from the tracker."""
    site_settings.MOGILEFS_FRONT = front
    answer = get(
        f"/mogilefs/{KEY}?url=http://{told}/",
        host=told.partition("/")[0].partition("@")[0],
        x_reproxy_url=f"http://{told}/",
        x_accel_redirect=f"/_mogile/{told}/",
        x_forwarded_host=told,
    )
    (place,) = client.paths(KEY, count=1)[:1]
    assert told not in str(answer.headers)
    assert urlsplit(place).path[5:] in str(answer.headers)


@pytest.mark.parametrize("front", ["perlbal", "nginx", "caddy"])
def test_no_front_is_sent_where_only_a_tracker_that_lies_would_send_it(
    front: str, node: Node, site_settings: Settings
) -> None:
    site_settings.MOGILEFS_FRONT = front
    with TrackerProxy(node.tracker) as tracker:
        tracker.nodes = ["evil@127.0.0.1:1"] * 3
        site_settings.MOGILEFS_TRACKERS = [tracker.address]
        answer = get(f"/mogilefs/{KEY}")
    assert answer.status_code == 503
    assert "evil" not in str(answer.headers)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/mogilefs/{KEY}", 200),
        ("/mogilefs/missing", 404),
        ("/signed/x", 403),
        ("/private/x", 302),
    ],
)
def test_nosniff_on_all_that_the_view_makes(path: str, status: int) -> None:
    answer = get(path)
    assert answer.status_code == status
    if status != 302:
        assert answer["X-Content-Type-Options"] == "nosniff"
    if status in (403, 404):
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
    answer.close()


# Options


def test_unknown_options_are_refused() -> None:
    with pytest.raises(TypeError, match="athorize"):
        serve_mogilefs_file(RequestFactory().get("/"), KEY, athorize=None)
    with pytest.raises(TypeError):
        MogileFSView.as_view(athorize=None)


def test_a_storage_of_another_kind_is_not_served() -> None:
    with pytest.raises(ImproperlyConfigured, match="staticfiles"):
        serve_mogilefs_file(RequestFactory().get("/"), KEY, storage="staticfiles")


def test_options_of_the_view_beat_the_settings(site_settings: Settings) -> None:
    site_settings.MOGILEFS_CACHE_CONTROL = "max-age=1"
    site_settings.SERVE_WITH_PERLBAL = True
    assert get(f"/mogilefs/{KEY}")["Cache-Control"] == "max-age=1"
    request = RequestFactory().get("/")
    answer = serve_mogilefs_file(request, KEY, cache_control="max-age=2", front=None)
    assert answer["Cache-Control"] == "max-age=2"
    assert body(answer) == CONTENT


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("MOGILEFS_FRONT", "apache"),
        ("MOGILEFS_ACTIVE_CONTENT", "maybe"),
        ("MOGILEFS_ACTIVE_TYPES", "text/html"),
        ("MOGILEFS_LOCAL_DIRECTORIES", {"127.0.0.1:7500": "relative"}),
        ("MOGILEFS_RETRY_AFTER", -1),
        ("MOGILEFS_PATH_CACHE", "no such"),
    ],
)
def test_a_malformed_setting_is_named(setting: str, value: Any, site_settings: Settings) -> None:
    setattr(site_settings, setting, value)
    with pytest.raises(ImproperlyConfigured, match=setting):
        get(f"/mogilefs/{KEY}")


def test_the_classic_setting_means_perlbal(site_settings: Settings) -> None:
    site_settings.SERVE_WITH_PERLBAL = True
    answer = get(f"/mogilefs/{KEY}")
    assert body(answer) == b""
    for url in answer["X-REPROXY-URL"].split(" "):
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith(".fid")


def test_a_file_to_be_saved() -> None:
    answer = get(f"/mogilefs/{KEY}?download=1")
    assert answer["Content-Disposition"] == 'attachment; filename="ten.png"'
    assert "Content-Disposition" not in get(f"/mogilefs/{KEY}")


# When a part is down


def test_no_tracker_is_a_503_that_says_when_to_come_back(site_settings: Settings) -> None:
    site_settings.MOGILEFS_TRACKERS = ["127.0.0.1:1"]
    site_settings.MOGILEFS_RETRY_AFTER = 7
    answer = get(f"/mogilefs/{KEY}")
    assert (answer.status_code, answer["Retry-After"]) == (503, "7")
    assert answer["Cache-Control"] == "no-store"
    assert b"127.0.0.1" not in body(answer)


def test_no_replica_is_a_503(node: Node, site_settings: Settings) -> None:
    with TrackerProxy(node.tracker) as tracker:
        tracker.nodes = ["127.0.0.1:1"] * 3
        site_settings.MOGILEFS_TRACKERS = [tracker.address]
        answer = get(f"/mogilefs/{KEY}")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")


# The path cache


@pytest.fixture
def counted(node: Node, site_settings: Settings) -> Iterator[TrackerProxy]:
    with TrackerProxy(node.tracker) as tracker:
        site_settings.MOGILEFS_TRACKERS = [tracker.address]
        site_settings.CACHES = {
            "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
        }
        site_settings.MOGILEFS_PATH_CACHE = "default"
        caches["default"].clear()
        yield tracker


def test_a_hot_file_asks_no_tracker(counted: TrackerProxy) -> None:
    assert body(get(f"/mogilefs/{KEY}")) == CONTENT
    first = list(counted.commands)
    assert body(get(f"/mogilefs/{KEY}")) == CONTENT
    assert get(f"/mogilefs/{KEY}", if_none_match="*").status_code == 304
    assert counted.commands == first


def test_a_file_that_is_not_there_is_asked_for_once(counted: TrackerProxy) -> None:
    assert get("/mogilefs/views/none").status_code == 404
    asked = len(counted.commands)
    assert get("/mogilefs/views/none").status_code == 404
    assert len(counted.commands) == asked


def test_domains_do_not_mix_in_the_cache(counted: TrackerProxy) -> None:
    for _ in range(2):
        assert body(get(f"/mogilefs/{KEY}")) == CONTENT
        assert body(get(f"/other/{KEY}")) == b"another"


CHANGES: dict[str, Callable[[MogileFSStorage, str], Any]] = {
    "saved over": lambda storage, name: storage.save(name, _content(b"new")),
    "written over": lambda storage, name: _write(storage, name),
    "deleted": lambda storage, name: storage.delete(name),
}


def _content(data: bytes) -> Any:
    from django.core.files.base import ContentFile

    return ContentFile(data)


def _write(storage: MogileFSStorage, name: str) -> None:
    with storage.open(name, "wb") as file:
        file.write(b"new")


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_by_the_storage_is_served_at_once(change: str, counted: TrackerProxy) -> None:
    storage = MogileFSStorage(file_overwrite=True)
    storage.save("views/changing.png", _content(b"old"))
    assert body(get("/mogilefs/views/changing.png")) == b"old"
    CHANGES[change](storage, "views/changing.png")
    answer = get("/mogilefs/views/changing.png")
    assert body(answer) == (b"404 Not Found\n" if change == "deleted" else b"new")


def test_a_new_file_is_served_although_it_was_just_missing(counted: TrackerProxy) -> None:
    MogileFSStorage().delete("views/new.png")
    caches["default"].clear()
    assert get("/mogilefs/views/new.png").status_code == 404
    MogileFSStorage().save("views/new.png", _content(b"new"))
    assert body(get("/mogilefs/views/new.png")) == b"new"


def test_a_replica_that_is_gone_makes_the_view_ask_anew(
    counted: TrackerProxy, client: Client, node: Node
) -> None:
    """Overwritten by somebody who does not know of the cache, and the old bytes deleted."""
    client.store("views/foreign.png", b"old")
    assert body(get("/mogilefs/views/foreign.png")) == b"old"
    before = client.paths("views/foreign.png", count=9)
    client.store("views/foreign.png", b"newer")
    for path in before:
        (node.directory / urlsplit(path).path.lstrip("/")).unlink(missing_ok=True)
    answer = get("/mogilefs/views/foreign.png")
    assert (answer.status_code, body(answer)) == (200, b"newer")
    assert answer["Content-Length"] == "5"


def test_a_front_that_found_no_replica_makes_the_view_send_the_file(
    counted: TrackerProxy, site_settings: Settings
) -> None:
    site_settings.MOGILEFS_FRONT = "nginx"
    assert "X-Accel-Redirect" in get(f"/mogilefs/{KEY}").headers
    asked = len(counted.commands)
    answer = get(f"/mogilefs/{KEY}", x_mogile_again="1")
    assert (answer.status_code, body(answer)) == (200, CONTENT)
    assert "X-Accel-Redirect" not in answer.headers
    assert len(counted.commands) > asked


@pytest.mark.parametrize("front", [None, "perlbal"])
def test_no_browser_makes_the_view_forget_or_send_a_file(
    front: str | None, counted: TrackerProxy, site_settings: Settings
) -> None:
    """No front of this kind says that it found no replica, nor keeps browsers from saying it."""
    site_settings.MOGILEFS_FRONT = front
    before = get(f"/mogilefs/{KEY}")
    asked = list(counted.commands)
    answer = get(f"/mogilefs/{KEY}", x_mogile_again="1")
    assert (body(answer), answer.headers) == (body(before), before.headers)
    assert counted.commands == asked
