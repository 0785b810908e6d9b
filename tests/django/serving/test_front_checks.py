"""``check`` finds malformed settings, and a front that is configured but not in place."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import Client as Browser
from pytest_django import Settings

from django_mogilefs import views
from mogilefs import Client
from mogilefs.node import Node
from tests.django.serving.conftest import Sites
from tests.support.servers import serving_site


@pytest.fixture(autouse=True)
def _settings(site_settings: Settings, client: Client) -> None:
    site_settings.DEBUG = False
    client.store("probe.txt", b"here")
    client.store("médias/a b.txt", b"here")


def found(**options: Any) -> list[str | None]:
    messages = run_checks(tags=["mogilefs"], **options)
    assert all(message.hint for message in messages)
    return [message.id for message in messages]


def probed() -> str:
    """What the look from outside tells."""
    messages = run_checks(tags=["mogilefs"], include_deployment_checks=True)
    (told,) = (message.msg for message in messages if message.id == "mogilefs.E104")
    return told


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("MOGILEFS_FRONT", "apache"),
        ("MOGILEFS_FRONT", 5),
        ("SERVE_WITH_PERLBAL", "False"),
        ("MOGILEFS_LOCAL_DIRECTORIES", ["/srv"]),
        ("MOGILEFS_LOCAL_DIRECTORIES", {"127.0.0.1:7500": 7}),
        ("MOGILEFS_LOCAL_DIRECTORIES", {"127.0.0.1:7500": b"/srv"}),
        ("MOGILEFS_CACHE_CONTROL", "public\n"),
        ("MOGILEFS_DEFAULT_CONTENT_TYPE", "text/plain; name=ä"),
        ("MOGILEFS_ACTIVE_CONTENT", "perhaps"),
        ("MOGILEFS_CACHE_CONTROL", 60),
        ("MOGILEFS_FRONT_PROBE", "www.example.org"),
        ("MOGILEFS_FRONT_PROBE", "httpx://www.example.org/"),
        ("MOGILEFS_FRONT_PROBE", "http:///probe.txt"),
        ("MOGILEFS_FRONT_PROBE", "http://www..example.org/"),
        ("MOGILEFS_FRONT_PROBE", "http://www.example.org:http/"),
    ],
)
def test_a_malformed_setting(setting: str, value: Any, site_settings: Settings) -> None:
    setattr(site_settings, setting, value)
    (message,) = run_checks(tags=["mogilefs"])
    assert message.id == "mogilefs.E003"
    assert setting in message.msg
    assert "mogilefs.E003" in found(include_deployment_checks=True)


def test_a_local_directory_without_devices(
    site_settings: Settings, node: Node, tmp_path: Path
) -> None:
    site_settings.MOGILEFS_LOCAL_DIRECTORIES = {node.storage: str(node.directory)}
    assert found() == []
    for directory in (tmp_path, tmp_path / "none"):
        site_settings.MOGILEFS_LOCAL_DIRECTORIES = {node.storage: str(directory)}
        assert found() == ["mogilefs.W004"]


@pytest.mark.parametrize("name", ["MOGILEFS_FRONT", "SERVE_WITH_PERLBAL"])
def test_a_front_in_development(name: str, site_settings: Settings) -> None:
    setattr(site_settings, name, "nginx" if name == "MOGILEFS_FRONT" else True)
    assert found() == []
    site_settings.DEBUG = True
    assert found() == ["mogilefs.W005"]


def test_nobody_looks_whether_the_front_is_there(site_settings: Settings) -> None:
    site_settings.MOGILEFS_FRONT = "nginx"
    assert "mogilefs.W006" in found(include_deployment_checks=True)


@pytest.mark.parametrize("front", ["perlbal", "nginx", "caddy"])
def test_a_front_that_is_not_in_place(
    front: str, node: Node, site_settings: Settings, tmp_path: Path
) -> None:
    values = {
        "MOGILEFS_DOMAIN": "demo",
        "MOGILEFS_TRACKERS": [node.tracker],
        "MOGILEFS_FRONT": front,
    }
    site_settings.MOGILEFS_FRONT = front
    with serving_site("gunicorn", tmp_path / "log", values) as bare:
        for path, trouble in [
            ("bare/x", "is an empty file"),
            ("mogilefs/no/such", "answers 404"),
            ("mogilefs/probe.txt", "shows browsers the internal header"),
            ("mogilefs/médias/a b.txt?ü", "shows browsers the internal header"),
        ]:
            site_settings.MOGILEFS_FRONT_PROBE = f"http://{bare}/{path}"
            assert trouble in probed()
    assert "does not answer" in probed()


@pytest.mark.once
@pytest.mark.parametrize("front", ["perlbal", "nginx", "caddy"])
def test_a_front_that_is_in_place(front: str, site_settings: Settings, sites: Sites) -> None:
    site_settings.MOGILEFS_FRONT = front
    site_settings.MOGILEFS_FRONT_PROBE = f"http://{sites.address(front)}/mogilefs/probe.txt"
    assert found(include_deployment_checks=True) == []


def test_the_log_tells_once_of_a_request_past_the_front(
    site_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    site_settings.MOGILEFS_FRONT = "nginx"
    views._warn_of_no_front.cache_clear()
    with caplog.at_level(logging.WARNING, "django_mogilefs"):
        Browser().get("/mogilefs/probe.txt", HTTP_X_MOGILE_FRONT="nginx")
        assert caplog.records == []
        for _ in range(2):
            Browser().get("/mogilefs/probe.txt")
    assert len(caplog.records) == 1
