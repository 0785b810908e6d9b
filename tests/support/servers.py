"""The real servers of the tests, each a process on a free port: site servers and fronts.

Fronts run exactly the files of docs/fronts, with nothing but the addresses in them replaced.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATIONS = ROOT / "docs" / "fronts"

PACKAGES = {
    "perlbal": ("perlbal", "perlbal libio-aio-perl"),
    "nginx": ("nginx", "nginx"),
    "caddy": ("caddy", "caddy"),
    "chromium": ("chromium", "chromium"),
    "wrk": ("wrk", "wrk"),
}
"""The program that a front is, and the Debian packages it comes in."""


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    """Names in lower case; a header that came twice has both values, with a comma."""
    body: bytes


def fetch(
    address: str, path: str, headers: Mapping[str, str] | None = None, method: str = "GET"
) -> Reply:
    """One request over a connection of its own."""
    connection = http.client.HTTPConnection(address, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, headers=dict(headers or {}))
        response = connection.getresponse()
        found: dict[str, str] = {}
        for name, value in response.getheaders():
            name = name.lower()
            found[name] = f"{found[name]}, {value}" if name in found else value
        return Reply(response.status, found, response.read())


def program(name: str) -> str:
    """The path of a program, or a skip that names the package to install."""
    command, packages = PACKAGES[name]
    found = shutil.which(command, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")
    if found is None:
        pytest.skip(f"{command} is not installed: apt-get install {packages}")
    return found


@contextlib.contextmanager
def free_port() -> Iterator[int]:
    """A port that nobody else is given meanwhile; a server may listen on it."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@contextlib.contextmanager
def running(
    command: Sequence[str], log: Path, *, fds: Sequence[int] = (), **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A process with its output in ``log``; ended by SIGTERM, and waited for."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            pass_fds=fds,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def serving_site(
    server: str, log: Path, settings: Mapping[str, Any], workers: int = 1
) -> Iterator[str]:
    """The address of the site of served_site.py under ``gunicorn`` or ``uvicorn``."""
    # A socket that listens already: nobody has to wait until the server does.
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        fd, port = listener.fileno(), listener.getsockname()[1]
        threads = f"--workers {workers} --worker-class gthread --threads 8 --keep-alive 30"
        quiet = "--lifespan off --no-access-log"
        arguments = {
            "gunicorn": f"gunicorn tests.support.served_site:wsgi --bind fd://{fd} {threads}",
            "uvicorn": f"uvicorn tests.support.served_site:asgi --fd {fd} {quiet}",
        }
        command = [sys.executable, "-m", *arguments[server].split()]
        values = json.dumps(dict(settings))
        with running(command, log, fds=[fd], SERVED_SITE=values):
            listener.close()  # the server has it: if that ends, nobody waits for an answer
            yield f"127.0.0.1:{port}"


class Addresses(NamedTuple):
    """What is put in the place of the examples in the front's configurations."""

    site: str
    node: str
    second_node: str = "127.0.0.2:7500"
    directory: str = "/srv/mogile"
    idle_seconds: int = 30
    """For which Perlbal lets a browser wait."""


def rendered(source: Path, target: Path, addresses: Addresses, front: str) -> None:
    text = source.read_text()
    values = {
        "127.0.0.1:8000": addresses.site,
        "127.0.0.1:8080": front,
        "127.0.0.1:7500": addresses.node,
        "127.0.0.2:7500": addresses.second_node,
        "/srv/mogile": addresses.directory,
        "idle_timeout = 30": f"idle_timeout = {addresses.idle_seconds}",
    }
    escaped = {
        name.replace(".", r"\."): value.replace(".", r"\.") for name, value in values.items()
    }
    either = "|".join(map(re.escape, [*values, *escaped]))
    target.write_text(re.sub(either, lambda found: {**escaped, **values}[found[0]], text))


@contextlib.contextmanager
def running_front(
    name: str, directory: Path, addresses: Addresses, own: Path | None = None
) -> Iterator[str]:
    """The address of a real Perlbal, nginx or Caddy in front of a site.

    ``own`` is a file to take in the place of that of the same name in docs/fronts.
    """
    binary = program(name)
    with free_port() as port:
        address = f"127.0.0.1:{port}"
        directory.mkdir(parents=True, exist_ok=True)
        source = CONFIGURATIONS / "nginx" if name == "nginx" else CONFIGURATIONS
        for file in [*source.iterdir(), *([own] if own else [])]:
            if file.is_file():
                rendered(file, directory / file.name, addresses, address)
        yield from _running_front(name, binary, directory, address)


def _running_front(name: str, binary: str, directory: Path, address: str) -> Iterator[str]:
    with running(_command(name, binary, directory), directory / "log") as process:
        _wait_for(address, process, directory / "log")
        yield address


def _command(name: str, binary: str, directory: Path) -> list[str]:
    if name == "perlbal":
        return [binary, "--config", str(directory / "perlbal.conf")]
    if name == "caddy":
        config = str(directory / "Caddyfile")
        return [binary, "run", "--adapter", "caddyfile", "--config", config]
    extra = f"daemon off; pid {directory}/pid; user root;" if os.getuid() == 0 else "daemon off;"
    return [
        binary,
        "-c",
        str(directory / "nginx.conf"),
        "-e",
        str(directory / "error"),
        "-g",
        extra,
    ]


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until it answers. A foreign program tells nobody when it does, so it is asked."""
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection((host, int(port)), 1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{process.args!r} does not answer: {log.read_text()[-3000:]}")
            time.sleep(0.02)
        else:
            return
