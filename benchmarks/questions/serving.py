"""How fast are files served? The view through every front, and straight from the site.

Needs wrk (Debian's package); fronts that are not installed take no part.
"""

from __future__ import annotations

import http.client
import json
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from mogilefs import Client
from tests.support.servers import PACKAGES, Addresses, running, running_front, serving_site

from .. import servers
from ..harness import Batch, Sheet, Table, compete
from ..servers import Server
from ..setting import Setting

SIZES = {"4 KiB": 4096, "64 KiB": 65536, "64 MiB": 64 * 2**20}
CONNECTIONS = 16
READERS = 32
SEARCH = "/usr/local/bin:/usr/bin:/usr/sbin:/bin"


def run(setting: Setting) -> list[Table | Sheet]:
    """Small files by wrk, large ones by one reader, memory by many readers."""
    missing = [name for name in ("wrk", "nginx") if shutil.which(name, path=SEARCH) is None]
    if missing:
        needs = f"needs {', '.join(missing)}: apt-get install {' '.join(missing)}"
        print(needs, end=", ", file=sys.stderr)
        return [Sheet("serving", "Serving", ["not measured"], [[needs]])]
    with ExitStack() as stack:
        field = _Field(stack, setting.directory)
        contestants = field.few() if setting.quick else field.few() | field.more()
        cold = {} if setting.quick else field.cold()
        for url in (contestants | cold).values():
            _first(url("4 KiB"))
        found: list[Table | Sheet] = [_small(setting, contestants | cold, "4 KiB")]
        if not setting.quick:
            found.append(_small(setting, contestants, "64 KiB"))
            found.append(_large(setting, contestants))
            found.append(_memory(contestants["view streams, uvicorn"]("64 MiB")))
    return found


Url = Callable[[str], str]


class _Field:
    """Everything that is measured, running."""

    def __init__(self, stack: ExitStack, directory: Path) -> None:
        directory.chmod(0o755)  # nginx's workers are another user
        directory.parent.chmod(0o755)
        self._stack, self._directory = stack, directory
        self._sites = 0
        self.node: Server = stack.enter_context(servers.node(directory / "node"))
        self._paths = {}
        with Client("bench", str(self.node.tracker)) as client:
            for label, size in SIZES.items():
                key = _key(label)
                client.store(key, random.Random(1).randbytes(size), mogile_class="one")
                [self._paths[label]] = client.paths(key)

    def few(self) -> dict[str, Url]:
        """The address of a file of a size, for each way of serving it that targets are about."""
        site = self._site("gunicorn", front="nginx")
        nginx = self._front("nginx", site)
        local = self._front("nginx", self._site("gunicorn", front="nginx", local=True))
        return {
            "bare view, gunicorn": lambda label: f"http://{site}/bare/x",
            "the view's headers, gunicorn": partial(_file, site),
            "bare view behind nginx": lambda label: f"http://{nginx}/bare/x",
            "view + nginx, local files": partial(_file, local),
            "view + nginx": partial(_file, nginx),
        }

    def more(self) -> dict[str, Url]:
        """The other ways."""
        uvicorn = self._site("uvicorn")
        found: dict[str, Url] = {
            "view streams, gunicorn": partial(_file, self._site("gunicorn")),
            "bare view, uvicorn": lambda label: f"http://{uvicorn}/bare/x",
            "view streams, uvicorn": partial(_file, uvicorn),
            "the node itself": lambda label: self._paths[label],
            "nginx, static file": self._static(),
        }
        for name in self._installed("perlbal", "caddy"):
            site = self._site("gunicorn", front=name)
            found[f"view + {name.capitalize()}"] = partial(_file, self._front(name, site))
        return found

    def cold(self) -> dict[str, Url]:
        """The same where nothing remembers paths: each request asks a tracker."""
        local = self._site("gunicorn", front="nginx", local=True, cache=False)
        found = {"view + nginx, local files": self._front("nginx", local)}
        for name in self._installed("nginx", "perlbal", "caddy"):
            site = self._site("gunicorn", front=name, cache=False)
            label = "nginx" if name == "nginx" else name.capitalize()
            found[f"view + {label}"] = self._front(name, site)
        for server in ("gunicorn", "uvicorn"):
            found[f"view streams, {server}"] = self._site(server, cache=False)
        return {f"{what}, no path cache": partial(_file, at) for what, at in found.items()}

    def _installed(self, *fronts: str) -> list[str]:
        return [name for name in fronts if shutil.which(PACKAGES[name][0], path=SEARCH)]

    def _site(
        self, server: str, front: str | None = None, *, local: bool = False, cache: bool = True
    ) -> str:
        settings: dict[str, Any] = {
            "MOGILEFS_DOMAIN": "bench",
            "MOGILEFS_TRACKERS": [str(self.node.tracker)],
            "MOGILEFS_FRONT": front,
        }
        if cache:
            settings["MOGILEFS_PATH_CACHE"] = "default"
        if local:
            settings["MOGILEFS_LOCAL_DIRECTORIES"] = {
                str(self.node.storage): str(self.node.directory)
            }
        self._sites += 1
        log = self._directory / f"site-{self._sites}.log"
        start = serving_site if server == "gunicorn" else _uvicorn
        return self._stack.enter_context(start(server, log, settings))

    def _front(self, name: str, site: str) -> str:
        addresses = Addresses(site, str(self.node.storage), directory=str(self.node.directory))
        directory = self._directory / f"{name}-{site.rpartition(':')[2]}"
        return self._stack.enter_context(running_front(name, directory, addresses))

    def _static(self) -> Url:
        """nginx with nothing but a directory."""
        nginx = self._stack.enter_context(servers.nginx(self._directory / "static"))
        for label in SIZES:
            path = nginx.directory / self._paths[label].split("/", 3)[3]
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.node.directory / self._paths[label].split("/", 3)[3], path)
        return lambda label: f"http://{nginx.storage}/{self._paths[label].split('/', 3)[3]}"


@contextmanager
def _uvicorn(server: str, log: Path, settings: dict[str, Any]) -> Iterator[str]:
    """The site on a port of its own: on an inherited socket asyncio leaves Nagle's algorithm on."""
    port = servers.free_port()
    command = [
        sys.executable, "-m", server, "tests.support.served_site:asgi", "--port", str(port),
        "--lifespan", "off", "--no-access-log",
    ]  # fmt: skip
    with running(command, log, SERVED_SITE=json.dumps(settings)):
        servers.wait_for(servers.Address("127.0.0.1", port))
        yield f"127.0.0.1:{port}"


def _key(label: str) -> str:
    return f"files/{label.replace(' ', '-')}.png"


def _file(address: str, label: str) -> str:
    return f"http://{address}/mogilefs/{_key(label)}"


def _small(setting: Setting, contestants: dict[str, Url], label: str) -> Table:
    seconds = 1 if setting.quick else 2
    turns = {name: partial(_wrk, url(label), seconds, SIZES[label])
             for name, url in contestants.items()}  # fmt: skip
    return compete(
        f"serving/{label}", f"{label} by {CONNECTIONS} connections, path cache warm", turns,
        rounds=1 if setting.quick else 4,
    )  # fmt: skip


def _first(url: str) -> None:
    """Wait for the first answer: a site imports Django before it gives one."""
    _, _, address, path = url.split("/", 3)
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("GET", f"/{path}")
    status = connection.getresponse().status
    connection.close()
    if status != 200:
        raise RuntimeError(f"{url} answers {status}")


def _wrk(url: str, seconds: int, size: int) -> Batch:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", url]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in told:
        raise RuntimeError(f"{url}: {told}")
    count = re.search(r"(\d+) requests in ([0-9.]+)s", told)
    assert count, told
    moved = int(count[1]) * (0 if "/bare/" in url else size)
    return Batch(_latencies(told), float(count[2]), moved=moved, count=int(count[1]))


def _latencies(told: str) -> list[float]:
    """wrk tells quantiles, no single latencies: as many of each as make these quantiles."""
    units = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
    found = re.findall(r"(50|99)%\s+([0-9.]+)(us|ms|s)", told)
    at = {share: float(number) * units[unit] for share, number, unit in found}
    return [at["50"]] * 98 + [at["99"]] * 2


def _large(setting: Setting, contestants: dict[str, Url]) -> Table:
    turns = {
        name: partial(_read_all, url("64 MiB"), 1)
        for name, url in contestants.items()
        if "bare" not in name and "headers" not in name
    }
    return compete("serving/64 MiB", "64 MiB by one reader", turns, rounds=setting.rounds,
                   baseline="the node itself")  # fmt: skip


def _read_all(url: str, readers: int) -> Batch:
    """``readers`` at once, each reading the large file once."""
    start = time.perf_counter()
    threads = [threading.Thread(target=_read, args=(url,)) for _ in range(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    return Batch([seconds], seconds, moved=readers * SIZES["64 MiB"], count=readers)


def _read(url: str) -> None:
    _, _, address, path = url.split("/", 3)
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("GET", f"/{path}")
    response = connection.getresponse()
    buffer, count = bytearray(2**20), 0
    while got := response.readinto(buffer):
        count += got
    if count != SIZES["64 MiB"]:
        raise RuntimeError(f"{url} gave {count} bytes")
    connection.close()


def _memory(url: str) -> Sheet:
    """By how much uvicorn's memory grows while many read at once."""
    _read_all(url, 1)
    before, peak, done = servers.memory_of("uvicorn"), 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, servers.memory_of("uvicorn"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    _read_all(url, READERS)
    done.set()
    watcher.join()
    rows: list[list[object]] = [[f"uvicorn, {READERS} readers", peak - before]]
    return Sheet("serving/memory", "Memory while 64 MiB is streamed", ["who", "MiB more"], rows)
