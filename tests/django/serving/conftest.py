"""One node, the site under both handlers, and every front, for all tests of serving."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mogilefs import Client
from mogilefs.node import Node
from tests.support.servers import Addresses, running_front, serving_site

FRONTS = ("perlbal", "nginx", "caddy")


@pytest.fixture(autouse=True)
def database(db: None) -> None:
    """Closing a response makes Django look at its connection, which other tests have opened."""


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    everywhere = "127.0.0.1:0"
    node = Node(
        tmp_path_factory.mktemp("node"),
        devices=3,
        domains={"demo": {"avatar": 2, "thumb": 1}, "other": {}},
        tracker=everywhere,
        storage=everywhere,
        sidechannel=everywhere,
        durability="relaxed",
    )
    with node.in_thread():
        yield node


@pytest.fixture(scope="session")
def client(node: Node) -> Iterator[Client]:
    with Client("demo", node.tracker) as client:
        yield client


@pytest.fixture
def site_settings(node: Node, settings: Any) -> Any:
    """Settings of this process as those of the site."""
    settings.MOGILEFS_DOMAIN = "demo"
    settings.MOGILEFS_TRACKERS = [node.tracker]
    settings.ROOT_URLCONF = "tests.support.served_site"
    return settings


class Sites:
    """The site behind each server, started when it is first wanted."""

    def __init__(self, node: Node, directory: Path) -> None:
        self._node, self._directory = node, directory
        self._addresses: dict[str, str] = {}
        self._running = ExitStack()

    def __enter__(self) -> Sites:
        return self

    def __exit__(self, *error: object) -> None:
        self._running.close()

    def address(self, server: str) -> str:
        """``gunicorn``, ``uvicorn``, the name of a front, or that with ``-local``."""
        if server not in self._addresses:
            self._addresses[server] = self._start(server)
        return self._addresses[server]

    def _start(self, server: str) -> str:
        front, _, local = server.partition("-")
        settings: dict[str, Any] = {
            "MOGILEFS_DOMAIN": "demo",
            "MOGILEFS_TRACKERS": [self._node.tracker],
        }
        if front in FRONTS:
            settings["MOGILEFS_FRONT"] = front
        if local:
            directories = {self._node.storage: str(self._node.directory)}
            settings["MOGILEFS_LOCAL_DIRECTORIES"] = directories
        handler = "uvicorn" if server == "uvicorn" else "gunicorn"
        log = self._directory / f"{server}.log"
        site = self._running.enter_context(serving_site(handler, log, settings))
        if front not in FRONTS:
            return site
        addresses = Addresses(site, self._node.storage, directory=str(self._node.directory))
        return self._running.enter_context(
            running_front(front, self._directory / server, addresses)
        )


@pytest.fixture(scope="session")
def sites(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    with Sites(node, tmp_path_factory.mktemp("sites")) as sites:
        yield sites
