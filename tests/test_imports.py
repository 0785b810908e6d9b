"""The rooms of the house, and the arrows between them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src"
MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
}

SHARED = {"mogilefs.wire", "mogilefs.errors"}
"""What both ends of the protocol use."""

BOTH = ("mogilefs.cli.", "mogilefs.testing.", "mogilefs.__main__.")
"""What may use the client and the node."""

PLUGIN = "mogilefs.testing"
"""The pytest plugin: one of its fixtures lends a Django storage to those who have Django."""

NO_SOCKETS = {"socket", "asyncio", "django", "http", "ssl", "select"}


def imports(name: str) -> Iterator[str]:
    """The modules that a module imports, wherever in it, with relative ones written out."""
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join(parts if node.level else [])
            source = ".".join(part for part in (base, node.module) if part)
            for alias in node.names:
                full = f"{source}.{alias.name}"
                yield full if full in MODULES else source


def room(module: str) -> str:
    """Where a module belongs."""
    if module.split(".")[0] != "mogilefs":
        return module.split(".")[0]
    if module in SHARED:
        return "shared"
    if f"{module}.".startswith(BOTH):
        return "both"
    return "node" if module.startswith("mogilefs.node") else "client"


ALLOWED = {
    "shared": {"shared"},
    "node": {"node", "shared"},
    "client": {"client", "shared"},
    "both": {"both", "node", "client", "shared"},
    "django_mogilefs": {"django_mogilefs", "both", "client", "shared", "node"},
    "storages": {"storages", "django_mogilefs"},
}


@pytest.mark.parametrize("module", MODULES)
def test_imports_follow_the_arrows(module: str) -> None:
    ours = {name for name in imports(module) if name.split(".")[0] in {*ALLOWED, "mogilefs"}}
    rooms = {room(name) for name in ours if name != "mogilefs"}
    if "mogilefs" in ours:
        rooms.add("client")  # the package's own names are the client's
    if module == PLUGIN:
        rooms.discard("django_mogilefs")
    assert rooms <= ALLOWED[room(module)]


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("mogilefs")])
def test_only_the_django_face_knows_django(module: str) -> None:
    known = {"django"} if module == PLUGIN else {"django", "django_mogilefs", "storages"}
    assert not {name.split(".")[0] for name in imports(module)} & known


@pytest.mark.parametrize("module", sorted(SHARED | {"mogilefs.packets", "mogilefs.operations"}))
def test_the_protocol_does_no_io(module: str) -> None:
    assert not {name.split(".")[0] for name in imports(module)} & NO_SOCKETS


def test_mogilefs_works_without_django() -> None:
    program = (
        "import sys; sys.modules['django'] = None; "
        "import mogilefs, mogilefs.aio, mogilefs.node, mogilefs.cli; "
        "print(mogilefs.Client('d', 'host'), mogilefs.AsyncClient('d', '[::1]:7'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == "Client('d', 'host:7001') AsyncClient('d', '[::1]:7')\n", done.stderr


def test_the_blocking_client_costs_no_event_loop() -> None:
    program = "import sys, mogilefs; print('asyncio' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == "False\n", done.stderr
