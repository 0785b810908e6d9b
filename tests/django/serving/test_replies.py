"""What a reply says: types, names, caching, and what keeps uploads from running in a page."""

from __future__ import annotations

import pytest

from django_mogilefs.http import Span
from django_mogilefs.pathcache import Place
from django_mogilefs.replies import (
    ACTIVE_TYPES,
    PUBLIC,
    SANDBOX,
    Access,
    Policy,
    answer,
    cache_control,
    content_type,
    etag,
    is_active,
    is_for_all,
    refusal,
)

PLACE = Place(255, 10, ("http://10.0.0.1:7500/dev1/0/000/000/0000000255.fid",))
PRIVATE = Access(private=True)
PLAIN = Policy()


def headers(key: str, policy: Policy = PLAIN, access: Access = PUBLIC) -> dict[str, str]:
    return answer("GET", {}, key, PLACE, policy, access).headers


def test_a_whole_file() -> None:
    reply = answer("GET", {}, "a/cat.png", PLACE, Policy())
    assert reply.status == 200
    assert reply.span == Span(0, 10)
    assert reply.headers == {
        "ETag": '"ff-a"',
        "Accept-Ranges": "bytes",
        "Content-Type": "image/png",
        "Content-Length": "10",
        "X-Content-Type-Options": "nosniff",
    }


def test_a_part() -> None:
    reply = answer("GET", {"range": "bytes=-3"}, "a.png", PLACE, Policy())
    assert (reply.status, reply.span) == (206, Span(7, 10))
    assert reply.headers["Content-Range"] == "bytes 7-9/10"
    assert reply.headers["Content-Length"] == "3"


@pytest.mark.parametrize(
    ("method", "request_headers", "status"),
    [
        ("HEAD", {}, 200),
        ("GET", {"if-none-match": '"ff-a"'}, 304),
        ("GET", {"if-match": '"other"'}, 412),
        ("GET", {"range": "bytes=10-"}, 416),
    ],
)
def test_replies_without_the_files_bytes(
    method: str, request_headers: dict[str, str], status: int
) -> None:
    reply = answer(method, request_headers, "a.png", PLACE, Policy(), PRIVATE)
    assert (reply.status, reply.span) == (status, None)
    assert reply.headers["Cache-Control"] == "private, no-cache"
    assert reply.headers["ETag"] == '"ff-a"'
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_an_empty_file_needs_nobody_to_send_it() -> None:
    reply = answer("GET", {}, "a.png", PLACE._replace(length=0), Policy())
    assert (reply.status, reply.span, reply.headers["Content-Length"]) == (200, None, "0")


def test_the_etag_is_the_fid_and_the_length() -> None:
    assert etag(PLACE) == '"ff-a"'
    assert etag(PLACE._replace(fid=256)) != etag(PLACE)
    assert etag(PLACE._replace(length=11)) != etag(PLACE)


def test_a_date_that_is_known_is_told() -> None:
    reply = answer("GET", {}, "a.png", PLACE._replace(modified=784111777), Policy())
    assert reply.headers["Last-Modified"] == "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("cat.png", "image/png"),
        ("CAT.JPG", "image/jpeg"),
        ("a/page.html", "text/html"),
        ("a.tar.gz", "application/gzip"),
        ("drawing.svgz", "application/gzip"),
        ("none", "x/y"),
        ("a.", "x/y"),
        (".png", "x/y"),
        ("odd.unheard-of", "x/y"),
        ("data:text/html,cat", "x/y"),
        ("data:text/html,a.png", "image/png"),
        ("x.png\r\nX: y", "x/y"),
    ],
)
def test_types_come_from_the_key(key: str, kind: str) -> None:
    assert content_type(key, "x/y") == kind


@pytest.mark.parametrize("name", ["a.html", "a.svg", "a.xml", "a.xhtml", "a.rss", "A.SVG", "a.htm"])
def test_what_would_run_in_a_page_is_put_in_a_sandbox(name: str) -> None:
    assert headers(name)["Content-Security-Policy"] == SANDBOX
    assert SANDBOX.split("; ") == ["default-src 'none'", "style-src 'unsafe-inline'", "sandbox"]


@pytest.mark.parametrize(
    "kind",
    [
        "application/xhtml+xml",
        "application/xml",
        "application/xslt+xml",
        "image/svg+xml",
        "message/rfc822",
        "multipart/x-mixed-replace",
        "text/html",
        "text/xml",
        "text/xsl",
    ],
)
def test_which_types_would_run(kind: str) -> None:
    assert is_active(kind, ACTIVE_TYPES)


@pytest.mark.parametrize("name", ["a.png", "a.mp4", "a.pdf", "a.txt"])
def test_other_types_are_left_alone(name: str) -> None:
    assert "Content-Security-Policy" not in headers(name)


def test_what_would_run_can_be_made_an_attachment() -> None:
    found = headers("a/page.html", Policy(active_content="attachment"))
    assert found["Content-Disposition"] == 'attachment; filename="page.html"'
    assert "Content-Disposition" not in headers("a.png", Policy(active_content="attachment"))


def test_trusted_files_may_run() -> None:
    found = headers("a.html", Policy(active_content="inline"))
    assert not found.keys() & {"Content-Disposition", "Content-Security-Policy"}


def test_further_types_can_be_kept_from_running() -> None:
    policy = Policy(active_types={"application/pdf"})
    assert headers("a.pdf", policy)["Content-Security-Policy"] == SANDBOX


def test_a_file_to_be_saved_has_a_name() -> None:
    found = headers("a/käse.png", access=Access(download=True))
    assert found["Content-Disposition"].startswith("attachment; filename=")
    assert found["Content-Disposition"].endswith("filename*=utf-8''k%C3%A4se.png")
    named = headers("a/b.png", access=Access(filename="x.png"))
    assert named["Content-Disposition"] == 'inline; filename="x.png"'


@pytest.mark.parametrize(
    ("policy", "access", "key", "header"),
    [
        (Policy(), Access(), "a.png", None),
        (Policy("public, max-age=60"), Access(), "a.png", "public, max-age=60"),
        (Policy(), PRIVATE, "a.png", "private, no-cache"),
        (Policy("public, max-age=60, s-maxage=99"), PRIVATE, "a.png", "private, max-age=60"),
        (Policy("Public, S-MaxAge=9, max-age=60"), PRIVATE, "a.png", "private, max-age=60"),
        (Policy("max-age=60"), PRIVATE, "a.png", "private, max-age=60"),
        (Policy("private"), PRIVATE, "a.png", "private"),
        (Policy("max-age=60"), Access(private=True, expires=5), "a.png", "private, max-age=5"),
        (Policy("No-Store"), Access(private=True, expires=5), "a.png", "private, No-Store"),
        (Policy("no-cache"), Access(private=True, expires=5), "a.png", "private, no-cache"),
        (
            Policy(hashed_keys=True),
            Access(private=True, expires=5),
            "a.0123456789ab.css",
            "private, max-age=5",
        ),
        (Policy(hashed_keys=True), Access(), "a.png", None),
        (Policy(hashed_keys=True), Access(), "css/a.0123456789ab.css", "IMMUTABLE"),
        (Policy(hashed_keys=True), Access(), "a.0123456789ab", "IMMUTABLE"),
        (Policy(hashed_keys=True), PRIVATE, "a.0123456789ab.css", "PRIVATE"),
        (
            Policy(hashed_keys=True),
            Access(private=True, each_time=True),
            "a.0123456789ab.css",
            "private, no-cache",
        ),
        (Policy("no-store", hashed_keys=True), Access(), "a.0123456789ab.css", "no-store"),
        (Policy(hashed_keys=True), Access(), "0123456789ab/a.css", None),
        (Policy(), Access(), "a.0123456789ab.css", None),
    ],
)
def test_how_long_caches_may_keep_a_file(
    policy: Policy, access: Access, key: str, header: str | None
) -> None:
    names = {
        "IMMUTABLE": "public, max-age=31536000, immutable",
        "PRIVATE": "private, max-age=31536000, immutable",
    }
    assert cache_control(key, policy, access) == names.get(header or "", header)


def test_a_refusal_is_not_remembered() -> None:
    assert refusal(404).headers["Cache-Control"] == "no-store"
    assert refusal(403, PRIVATE).headers["Cache-Control"] == "private, no-store"
    assert refusal(503, Retry_After="5").headers["Retry-After"] == "5"
    assert refusal(405).headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("cache_control", "for_all"),
    [
        (None, True),
        ("public, max-age=60", True),
        ("Private", False),
        ("max-age=60, no-store", False),
        ("no-cache", False),
        ("max-age=0", False),
        ("public,s-maxage=0", False),
    ],
)
def test_what_a_shared_cache_may_keep(cache_control: str | None, for_all: bool) -> None:
    assert is_for_all(cache_control) is for_all


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "Text/HTML", "image/svg+xml;x=y"])
def test_a_type_is_active_whatever_stands_behind_it(kind: str) -> None:
    assert headers("key", Policy(default_content_type=kind))["Content-Security-Policy"] == SANDBOX
