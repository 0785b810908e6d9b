"""The servers that are measured, each a process of its own on loopback, on a free port."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

START_TIMEOUT = 60.0
"""Seconds a server may take to start (a node with a million keys is measured, too)."""

SETTLE_TIMEOUT = 30.0

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Address:
    """Where something listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """From ``host:port``."""
        host, _, port = text.rpartition(":")
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass
class Server:
    """A running server: its process and where it answers."""

    process: subprocess.Popen[bytes]
    tracker: Address
    storage: Address
    directory: Path

    def cpu(self) -> float:
        """Seconds of CPU that it and its children have used."""
        return sum(_cpu_of(pid) for pid in _family(self.process.pid))

    def settle(self) -> None:
        """Wait until a node has deleted what was replaced; TimeoutError after SETTLE_TIMEOUT."""
        deadline = time.monotonic() + SETTLE_TIMEOUT
        with contextlib.closing(sqlite3.connect(self.directory / "mogilefs.sqlite")) as catalogue:
            while catalogue.execute("SELECT 1 FROM file_to_delete2").fetchone():
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{self.directory} has files to delete for ever")
                time.sleep(0.02)

    def memory(self) -> float:
        """MiB that it holds in memory now."""
        return sum(_status(pid, "VmRSS") for pid in _family(self.process.pid)) / 1024


def memory_of(word: str) -> float:
    """MiB that the children of this process with ``word`` in their command line hold now."""
    named = (
        pid
        for pid in _family(os.getpid())[1:]
        if word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    return sum(_status(pid, "VmRSS") for pid in named) / 1024


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(int(child) for child in children)]


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _status(pid: int, name: str) -> int:
    match = re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(match[1]) if match else 0


@contextlib.contextmanager
def node(directory: Path, *options: str, devices: int = 3) -> Iterator[Server]:
    """A node with domain ``bench`` and class ``one`` (a single replica)."""
    command = [
        sys.executable, "-m", "mogilefs", "node", str(directory), "--devices", str(devices),
        "--tracker", "127.0.0.1:0", "--storage", "127.0.0.1:0", "--sidechannel", "127.0.0.1:0",
        "--domain", "bench", "--class", "one:1", *options,
    ]  # fmt: skip
    log = (directory.parent / f"{directory.name}.log").open("wb")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
    try:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        match = re.search(r"tracker (\S+), storage (\S+),", line)
        if match is None:
            raise RuntimeError(f"the node did not start: {line!r}; see {log.name}")
        yield Server(process, Address.parse(match[1]), Address.parse(match[2]), directory)
    finally:
        stop(process)
        log.close()


def keep_on_core(pid: int, which: int) -> None:
    """Keep a process on one of the cores, 0 the first and -1 the last.

    Where client and server may share a core or not as the scheduler likes, a round trip takes a
    third or three times as long, and a ratio says nothing of either.
    """
    cores = sorted(os.sched_getaffinity(0))
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), {cores[which]})


NGINX = """\
daemon off; master_process off; worker_processes 1; error_log {root}/error.log; pid {root}/pid;
events {{ worker_connections 512; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 1000000000;
  client_max_body_size 0; client_body_temp_path {root}/tmp; proxy_temp_path {root}/tmp2;
  fastcgi_temp_path {root}/tmp3; uwsgi_temp_path {root}/tmp4; scgi_temp_path {root}/tmp5;
  server {{ listen 127.0.0.1:{port}; root {root}/files;
    location / {{ dav_methods PUT DELETE MKCOL; create_full_put_path on; }} }}
}}
"""


@contextlib.contextmanager
def nginx(root: Path) -> Iterator[Server]:
    """Debian's nginx with DAV, one worker, serving ``root/files``."""
    port = free_port()
    (root / "files").mkdir(parents=True)
    config = root / "nginx.conf"
    config.write_text(NGINX.format(root=root, port=port))
    command = [nginx_binary() or "nginx", "-p", str(root), "-c", str(config)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        address = Address("127.0.0.1", port)
        wait_for(address)
        yield Server(process, address, address, root / "files")
    finally:
        stop(process)


def nginx_binary() -> str | None:
    """The path of nginx, None where it is not installed."""
    return shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def wait_for(address: Address) -> None:
    """Return when somebody listens at ``address``; TimeoutError after START_TIMEOUT."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection((address.host, address.port), timeout=1).close()
            return
        time.sleep(0.02)
    raise TimeoutError(f"nobody listens at {address}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server that was started here, by SIGTERM, or SIGKILL when that takes too long."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()
