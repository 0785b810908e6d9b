"""A node for all of these tests, and the command run in this process against it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mogilefs import Client
from mogilefs.cli import main
from mogilefs.node.node import Node

CLASSES = {"three": 3, "one": 1}


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ended]


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node(
        tmp_path_factory.mktemp("node"),
        devices=3,
        domains={"demo": CLASSES},
        tracker="127.0.0.1:0",
        storage="127.0.0.1:0",
        sidechannel="127.0.0.1:0",
        durability="relaxed",
    )
    with node.in_thread():
        yield node


@pytest.fixture
def domain(node: Node, request: pytest.FixtureRequest) -> str:
    """A fresh domain for each test."""
    name = f"d{abs(hash(request.node.nodeid)):x}"
    with Client(None, node.tracker) as client:
        client.admin.create_domain(name)
        for each, mindevcount in CLASSES.items():
            client.admin.create_class(name, each, mindevcount)
    return name


@pytest.fixture
def client(node: Node, domain: str) -> Iterator[Client]:
    with Client(domain, node.tracker) as client:
        yield client


@pytest.fixture
def environment(node: Node, domain: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a user exports once; and a directory of the test's own to be in."""
    monkeypatch.setenv("MOGILEFS_TRACKERS", node.tracker)
    monkeypatch.setenv("MOGILEFS_DOMAIN", domain)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(environment: None, capsys: pytest.CaptureFixture[str]) -> Run:
    """``run("ls", "-l")`` is ``mogilefs ls -l`` in this process."""

    def run(*argv: str) -> Ended:
        capsys.readouterr()
        code = main(argv)
        return Ended(code, *capsys.readouterr())

    return run
