"""How fast files are served: through each front, straight from the site, and what bounds that.

    python -m benchmarks.serving [--seconds 2] [--rounds 3]

Needs wrk, perlbal, nginx and caddy (Debian's packages of these names, and libio-aio-perl). Rounds
are interleaved and shuffled, the medians printed; all runs on this machine, so that the ratios
say more than the numbers.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import re
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mogilefs import Client
from tests.support.servers import (
    Addresses,
    free_port,
    program,
    running,
    running_front,
    serving_site,
)

SMALL, LARGE = "avatars/small.png", "films/large.bin"
LARGE_SIZE = 64 * 2**20
CONNECTIONS = 16
READERS = 32


@contextmanager
def running_node(directory: Path) -> Iterator[tuple[str, str, int]]:
    """Tracker, storage address and process number of a node of its own."""
    command = [str(Path(sysconfig.get_path("scripts")) / "mogilefs"), "node", str(directory)]
    doors = ["--tracker", "--storage", "--sidechannel"]
    options = [part for door in doors for part in (door, "127.0.0.1:0")]
    log = directory.with_suffix(".log")
    with running([*command, *options, "--devices", "2", "--domain", "demo"], log) as process:
        while not (ready := re.search(r"ready: tracker (\S+), storage (\S+),", log.read_text())):
            if process.poll() is not None:
                sys.exit(log.read_text())
            time.sleep(0.02)
        yield ready[1], ready[2], process.pid


def requests_per_second(url: str, seconds: int) -> float:
    command = [program("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        sys.exit(f"{url}: {told}")
    found = re.search(r"Requests/sec: +([0-9.]+)", told)
    assert found is not None
    return float(found[1])


def megabytes_per_second(url: str, readers: int = 1) -> float:
    """``readers`` at once, each reading the large file once."""
    began = time.perf_counter()
    threads = [threading.Thread(target=_read, args=(url,)) for _ in range(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return readers * LARGE_SIZE / (time.perf_counter() - began) / 1e6


def _read(url: str) -> None:
    _, _, address, path = url.split("/", 3)
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("GET", f"/{path}")
    response = connection.getresponse()
    buffer, count = bytearray(2**20), 0
    while got := response.readinto(buffer):
        count += got
    assert count == LARGE_SIZE, f"{url} gave {count} bytes"
    connection.close()


def resident(command: str) -> int:
    """Bytes of memory of our own child whose command line has this in it."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            if parent != os.getpid() or command not in _command_line(status.parent):
                continue
            return int((status.parent / "statm").read_text().split()[1]) * 4096
        except OSError:  # it has ended
            continue
    raise LookupError(command)


def _command_line(process: Path) -> str:
    return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()


class Field:
    """Everything that is measured, running."""

    def __init__(self, stack: ExitStack, directory: Path) -> None:
        self._stack, self._directory = stack, directory
        self.tracker, self.storage, _ = stack.enter_context(running_node(directory / "node"))
        with Client("demo", self.tracker) as client:
            client.store(SMALL, random.randbytes(4096))
            client.store(LARGE, random.randbytes(LARGE_SIZE))
            self.small, self.large = client.paths(SMALL)[0], client.paths(LARGE)[0]

    def site(self, handler: str, front: str | None = None, local: bool = False) -> str:
        settings: dict[str, Any] = {
            "MOGILEFS_DOMAIN": "demo",
            "MOGILEFS_TRACKERS": [self.tracker],
            "MOGILEFS_PATH_CACHE": "default",
            "MOGILEFS_FRONT": front,
        }
        if local:
            directories = {self.storage: str(self._directory / "node")}
            settings["MOGILEFS_LOCAL_DIRECTORIES"] = directories
        name = f"{handler}-{front}-{local}"
        log = self._directory / f"{name}.log"
        return self._stack.enter_context(serving_site(handler, log, settings))

    def front(self, name: str, site: str, label: str) -> str:
        addresses = Addresses(site, self.storage, directory=str(self._directory / "node"))
        return self._stack.enter_context(running_front(name, self._directory / label, addresses))

    def urls(self) -> dict[str, str]:
        """What is asked for, by the name of the row."""
        file = f"/mogilefs/{SMALL}"
        gunicorn, uvicorn = self.site("gunicorn"), self.site("uvicorn")
        handing = self.site("gunicorn", "nginx")
        local = self.site("gunicorn", "nginx", local=True)
        nginx, nginx_local = self.front("nginx", handing, "n"), self.front("nginx", local, "nl")
        perlbal = self.front("perlbal", self.site("gunicorn", "perlbal"), "p")
        caddy = self.front("caddy", self.site("gunicorn", "caddy"), "c")
        return {
            "bare view, gunicorn": f"http://{gunicorn}/bare/x",
            "the view's headers, gunicorn": f"http://{handing}{file}",
            "bare view behind nginx": f"http://{nginx}/bare/x",
            "view + nginx, local files": f"http://{nginx_local}{file}",
            "view + nginx": f"http://{nginx}{file}",
            "view + Perlbal": f"http://{perlbal}{file}",
            "view + Caddy": f"http://{caddy}{file}",
            "view streams, gunicorn": f"http://{gunicorn}{file}",
            "bare view, uvicorn": f"http://{uvicorn}/bare/x",
            "view streams, uvicorn": f"http://{uvicorn}{file}",
            "the node itself": self.small,
            "nginx, static file": f"http://{self._static()}{self.small.split('/', 3)[3]}",
        }

    def _static(self) -> str:
        """nginx with nothing but the directory."""
        port = free_port()
        config = self._directory / "static.conf"
        config.write_text(
            f"events {{}} http {{ access_log off; sendfile on; server {{"
            f" listen 127.0.0.1:{port}; root {self._directory / 'node'}; }} }}"
        )
        extra = f"daemon off; pid {self._directory}/static.pid; user root;"
        command = [program("nginx"), "-c", str(config), "-e", "stderr", "-g", extra]
        self._stack.enter_context(running(command, self._directory / "static.log"))
        return f"127.0.0.1:{port}/"


def medians(rows: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Each row's median over rounds in which all of them run, in another order each time."""
    seen: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name in random.sample(list(rows), len(rows)):
            seen[name].append(rows[name]())
    return {name: statistics.median(values) for name, values in seen.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        Path(name).chmod(0o755)
        field = Field(stack, Path(name))
        urls = field.urls()
        for url in urls.values():
            requests_per_second(url, 1)
        small = medians(
            {
                row: lambda url=url: requests_per_second(url, options.seconds)
                for row, url in urls.items()
            },
            options.rounds,
        )
        streams = {
            f"64 MiB, {row}": url.replace(SMALL, LARGE)
            for row, url in urls.items()
            if row.startswith("view")
        }
        streams["64 MiB, the node itself"] = field.large
        large = medians(
            {row: lambda url=url: megabytes_per_second(url) for row, url in streams.items()},
            options.rounds,
        )
        report(small, large, growth(streams["64 MiB, view streams, uvicorn"]))


def growth(url: str) -> int:
    """Bytes by which uvicorn's memory grows while many read at once."""
    megabytes_per_second(url)
    before, peak, reading = resident("uvicorn tests.support"), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not reading.wait(0.02):
            peak = max(peak, resident("uvicorn tests.support"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    megabytes_per_second(url, READERS)
    reading.set()
    watcher.join()
    return peak - before


def report(small: dict[str, float], large: dict[str, float], grown: int) -> None:
    print(f"\n4 KiB, {CONNECTIONS} connections, path cache warm    requests/s    ms/request")
    for row, rate in small.items():
        print(f"{row:45}{rate:14,.0f}{1000 / rate:14.3f}")
    print("\nlarge file, one reader                                 MB/s")
    for row, rate in large.items():
        print(f"{row:45}{rate:14,.0f}")
    goals = {
        "view's time / bare view's time (at most 1.5)": small["bare view, gunicorn"]
        / small["the view's headers, gunicorn"],
        "nginx, local files / bare view behind nginx (at least 0.7)": small[
            "view + nginx, local files"
        ]
        / small["bare view behind nginx"],
        "uvicorn's stream / the node itself (at least 0.6)": large["64 MiB, view streams, uvicorn"]
        / large["64 MiB, the node itself"],
        f"MiB more with {READERS} readers under uvicorn (below 16)": grown / 2**20,
    }
    print()
    for goal, value in goals.items():
        print(f"{goal:62}{value:8.2f}")


if __name__ == "__main__":
    main()
