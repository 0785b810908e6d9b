"""What each front is told, and what is kept from it (docs/serving.md says why)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_mogilefs.fronts import (
    Caddy,
    Front,
    Handover,
    LocalDirectories,
    LocalFile,
    Nginx,
    Perlbal,
    Replica,
    make_front,
)
from django_mogilefs.http import Span

FID = "/0/000/000/0000000007.fid"
ONE = Replica("10.0.0.1:7500", f"/dev1{FID}")
TWO = Replica("10.0.0.2:7500", f"/dev2{FID}")
THREE = Replica("10.0.0.3:7500", f"/dev3{FID}")
WHOLE = Handover([ONE, TWO, THREE], None, 10, None, {}, public=True)
PART = WHOLE._replace(span=Span(5, 10), request={"range": "bytes=5-9"})
SUFFIX = WHOLE._replace(span=Span(7, 10), request={"range": "bytes=-3"})
OUTDATED = WHOLE._replace(request={"range": "bytes=5-9", "if-range": '"other"'})
SEVERAL = WHOLE._replace(request={"range": "bytes=0-1,3-4"})
HERE = LocalFile(TWO, f"/srv/mogile/dev2{FID}", 0)


class Own(Front):
    """A front of one's own."""


@pytest.mark.parametrize(
    ("url", "replica"),
    [
        (f"http://10.0.0.1:7500/dev1{FID}", ONE),
        (f"http://node-1.example:80/dev12{FID}", Replica("node-1.example:80", f"/dev12{FID}")),
        (f"http://[::1]:7500/dev1{FID}", Replica("[::1]:7500", f"/dev1{FID}")),
        (
            "http://10.0.0.1:7500/dev1/1/234/567/12345678901.fid",
            Replica("10.0.0.1:7500", "/dev1/1/234/567/12345678901.fid"),
        ),
        (f"https://10.0.0.1:7500/dev1{FID}", None),
        (f"http://user@10.0.0.1:7500/dev1{FID}", None),
        (f"http://10.0.0.1:7500/dev1/..{FID}", None),
        (f"http://10.0.0.1:7500/dev1{FID}?x", None),
        (f"http://10.0.0.1:7500/dev1{FID}\n", None),
        (f"http://10.0.0.1:7500/dev1{FID} http://evil/", None),
        ("http://10.0.0.1:7500/etc/passwd", None),
        ("", None),
    ],
)
def test_only_files_of_storage_nodes_are_replicas(url: str, replica: Replica | None) -> None:
    assert Replica.parse(url) == replica


def test_perlbal_gets_every_replica_and_the_size() -> None:
    assert Perlbal().hand_over(WHOLE) == {
        "X-REPROXY-URL": f"{ONE.url} {TWO.url} {THREE.url}",
        "X-REPROXY-EXPECTED-SIZE": "10",
    }


def test_perlbal_gets_no_replica_that_it_could_not_reach() -> None:
    sixth = Replica("[::1]:7500", f"/dev4{FID}")
    found = Perlbal().hand_over(WHOLE._replace(replicas=[sixth, ONE]))
    assert found is not None
    assert found["X-REPROXY-URL"] == ONE.url
    assert Perlbal().hand_over(WHOLE._replace(replicas=[sixth])) is None


def test_perlbal_gets_no_size_with_a_range() -> None:
    assert Perlbal().hand_over(PART) == {"X-REPROXY-URL": f"{ONE.url} {TWO.url} {THREE.url}"}


@pytest.mark.parametrize("file", [SUFFIX, OUTDATED, SEVERAL])
def test_what_perlbal_gets_wrong_is_kept_from_it(file: Handover) -> None:
    assert Perlbal().hand_over(file) is None
    assert Perlbal().hand_over(file._replace(local=HERE)) is None


@pytest.mark.parametrize("file", [WHOLE, PART])
def test_perlbal_gets_a_file_on_disk_and_no_header_beside_it(file: Handover) -> None:
    assert Perlbal(cache_for=60).hand_over(file._replace(local=HERE)) == {
        "X-REPROXY-FILE": HERE.path
    }


def test_perlbal_gets_the_very_bytes_of_a_path() -> None:
    for name in (b"m\xc3\xa9dias", b"\xe6\x97\xa5", b"m\xe9dias"):
        local = HERE._replace(path=os.fsdecode(name))
        told = Perlbal().hand_over(WHOLE._replace(local=local)) or {}
        assert str(told["X-REPROXY-FILE"]).encode("latin-1") == name


def test_perlbal_remembers_public_files_where_that_is_asked_for() -> None:
    cached = Perlbal(cache_for=60).hand_over(WHOLE) or {}
    seconds, _, kept = str(cached["X-REPROXY-CACHE-FOR"]).partition("; ")
    assert seconds == "60"
    assert set(kept.split()) >= {
        "Cache-Control",
        "Content-Disposition",
        "Content-Security-Policy",
        "Content-Type",
        "X-Content-Type-Options",
    }
    for file in (WHOLE._replace(public=False), PART):
        assert "X-REPROXY-CACHE-FOR" not in (Perlbal(cache_for=60).hand_over(file) or {})


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (WHOLE, "none"),
        (PART, "bytes=5-9"),
        (SUFFIX, "bytes=7-9"),
        (OUTDATED, "none"),
        (SEVERAL, "none"),
    ],
)
def test_nginx_is_told_which_range(file: Handover, told: str) -> None:
    assert Nginx().hand_over(file) == {
        "X-Accel-Redirect": f"/_mogile/10.0.0.1:7500/dev1{FID}",
        "X-Mogile-Replica-2": f"10.0.0.2:7500/dev2{FID}",
        "X-Mogile-Range": told,
    }


def test_nginx_gets_a_file_on_disk_and_another_replica_in_case_it_goes() -> None:
    headers = Nginx().hand_over(WHOLE._replace(local=HERE)) or {}
    assert headers["X-Accel-Redirect"] == f"/_mogile_local/10.0.0.2:7500/dev2{FID}"
    assert headers["X-Mogile-Replica-2"] == f"10.0.0.1:7500/dev1{FID}"


@pytest.mark.parametrize(
    "request_headers",
    [
        {"range": "bytes=-3"},
        {"range": "bytes=0-1,3-4"},
        {"if-match": '"7-a"'},
        {"if-unmodified-since": "Sun, 06 Nov 1994 08:49:37 GMT"},
        {"range": "bytes=5-9", "if-range": '"7-a"'},
    ],
)
@pytest.mark.parametrize("front", [Nginx(), Caddy()])
def test_a_condition_is_not_left_to_whoever_reads_the_disk(
    front: Front, request_headers: dict[str, str]
) -> None:
    file = WHOLE._replace(local=HERE, request=request_headers)
    headers = front.hand_over(file) or {}
    assert "X-Mogile-Local" not in headers
    assert "local" not in (headers.get("X-Accel-Redirect") or "")


def test_caddy_gets_two_replicas_the_range_and_the_file_on_disk() -> None:
    assert Caddy().hand_over(SUFFIX) == {
        "X-Reproxy-URL": f"{ONE.url} {TWO.url}",
        "X-Mogile-Range": "bytes=7-9",
    }
    here = Caddy().hand_over(WHOLE._replace(local=HERE)) or {}
    assert here["X-Mogile-Local"] == f"10.0.0.2:7500/dev2{FID}"


@pytest.mark.parametrize("front", [Perlbal(cache_for=9), Nginx(), Caddy()])
def test_every_header_for_a_front_is_among_its_internal_ones(front: Front) -> None:
    for file in (WHOLE, PART, WHOLE._replace(local=HERE)):
        told = front.hand_over(file) or {}
        assert {name for name in told if told[name]} <= set(front.internal_headers)


def disk(directory: Path, content: bytes = b"0123456789") -> LocalDirectories:
    file = directory / f"dev2{FID}"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    os.utime(file, (784111777, 784111777))
    return LocalDirectories({"10.0.0.2:7500": directory})


def test_a_file_on_disk_is_found_by_its_nodes_address(tmp_path: Path) -> None:
    found = disk(tmp_path).find([ONE, TWO], 10)
    assert found == LocalFile(TWO, f"{tmp_path}/dev2{FID}", 784111777)
    assert disk(tmp_path / "other").find([ONE, THREE], 10) is None


@pytest.mark.parametrize("content", [b"", b"short"])
def test_a_file_that_is_not_whole_is_not_taken_from_disk(tmp_path: Path, content: bytes) -> None:
    directories = disk(tmp_path, content)
    assert directories.find([TWO], 10) is None
    assert directories.find([TWO], 0) is None


def test_a_file_that_is_gone_is_not_taken_from_disk(tmp_path: Path) -> None:
    directories = disk(tmp_path)
    (tmp_path / f"dev2{FID}").unlink()
    assert directories.find([TWO], 10) is None
    (tmp_path / f"dev2{FID}").mkdir()
    assert directories.find([TWO], os.stat(tmp_path / f"dev2{FID}").st_size) is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("perlbal", Perlbal),
        ("nginx", Nginx),
        ("caddy", Caddy),
        (f"{__name__}.Own", Own),
        (None, type(None)),
    ],
)
def test_fronts_by_name(name: str | None, kind: type) -> None:
    assert type(make_front(name)) is kind


@pytest.mark.parametrize("name", ["apache", "no.such.Front", "pathlib.Path", "", ".", ".."])
def test_what_is_no_front_is_refused_by_name(name: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="MOGILEFS_FRONT"):
        make_front(name)
