"""A node for the project: ``mogilefs_node``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from django_mogilefs.management.commands import mogilefs_node
from django_mogilefs.project import storage_uses
from django_mogilefs.storage import MogileFSStorage
from mogilefs import Client
from mogilefs.node import Node


@pytest.mark.parametrize(
    ("tracker", "listens"),
    [
        ("127.0.0.1:7009", "127.0.0.1:7009"),
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("127.0.0.1", "127.0.0.1:7001"),
        ("[::1]", "[::1]:7001"),
    ],
)
def test_the_projects_node_listens_where_the_first_tracker_is(tracker, listens, settings):
    settings.MOGILEFS_TRACKERS = [tracker, "10.9.8.7:7001"]
    parser = mogilefs_node.Command().create_parser("manage.py", "mogilefs_node")
    assert parser.parse_args([]).tracker == listens


def test_the_projects_node_leaves_a_class_that_is_there_as_it_is(tmp_path):
    doors = dict.fromkeys(["tracker", "storage", "sidechannel"], "127.0.0.1:0")
    with Node(tmp_path, domains={"test": {"avatar": 3}}, **doors).in_thread():
        pass
    with (
        Node(tmp_path, domains=mogilefs_node.project_domains(), **doors).in_thread() as node,
        Client("test", [node.tracker]) as client,
    ):
        classes = {each.name: each.mindevcount for each in client.admin.classes("test")}
    assert (classes["avatar"], classes["thumb"]) == (3, 2)


class StorageOfNobody(MogileFSStorage):
    """Its domain cannot be told without a tenant."""

    mogile_class = "tenants"

    @property
    def domain(self):
        raise LookupError("no tenant")


class StorageOfOne(MogileFSStorage):
    @property
    def domain(self):
        return "one"


def test_the_projects_node_has_what_properties_tell_or_else_the_settings(settings):
    backends = {"default": StorageOfNobody, "one": StorageOfOne}
    settings.STORAGES = {
        alias: {"BACKEND": f"{__name__}.{backend.__name__}"} for alias, backend in backends.items()
    }
    domains = mogilefs_node.project_domains()
    assert domains.keys() == {"test", "one"}
    assert "tenants" in domains["test"]


def test_the_projects_node_leaves_out_what_nobody_can_name(settings, monkeypatch):
    settings.STORAGES = {"default": {"BACKEND": f"{__name__}.StorageOfNobody"}}
    [nobodys] = [use for use in storage_uses() if use.alias]
    monkeypatch.setattr(mogilefs_node, "storage_uses", lambda: [nobodys])
    settings.MOGILEFS_DOMAIN = None
    assert mogilefs_node.project_domains() == {}


def test_the_projects_node_has_what_its_storages_name_and_stops_when_told(tmp_path):
    ports = ["--tracker=127.0.0.1:0", "--storage=127.0.0.1:0", "--sidechannel=127.0.0.1:0"]
    command = [sys.executable, "-m", "django", "mogilefs_node", str(tmp_path / "data"), *ports]
    process = subprocess.Popen(
        [*command, "--class=extra:1"],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.django.settings"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process, process.stdout as output:
        try:
            ready = output.readline()
            assert ready.startswith("ready: tracker 127.0.0.1:")
            tracker = ready.removeprefix("ready: tracker ").partition(",")[0]
            with Client("test", [tracker]) as client:
                classes = {each.name: each.mindevcount for each in client.admin.classes("test")}
        finally:
            process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
    assert {"default", "avatar", "thumb", "extra"} == classes.keys()
    assert classes["extra"] == 1
