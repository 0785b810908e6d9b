"""``python -m demo``: start the node, the site and perhaps a front; end them in order."""

from __future__ import annotations

import argparse
import asyncio
import errno
import os
import secrets
import signal
import socket
import sys
import sysconfig
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from demo import fronts
from demo.processes import Child, DemoError, answers, running

ROOT = Path(__file__).resolve().parent.parent
LOOPBACK = "127.0.0.1"
NODE = (
    *("--devices", "4", "--domain", "demo", "--class", "avatar:3", "--class", "thumb:1"),
    *("--tracker", f"{LOOPBACK}:0", "--storage", f"{LOOPBACK}:0", "--sidechannel", f"{LOOPBACK}:0"),
)
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
READY = r"ready: tracker (\S+), storage (\S+), sidechannel \S+, data "


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    port: int
    front: str | None
    data: Path


@dataclass(frozen=True)
class Addresses:
    """Where the demo's node listens: HOST:PORT each."""

    tracker: str
    storage: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo until SIGINT, SIGTERM or SIGHUP; 0 after an ordered end, 1 if it cannot run."""
    try:
        asyncio.run(until_signalled(parse(arguments)))
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


def parse(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser("demo", description="A site with avatars on its own MogileFS.")
    parser.add_argument("--port", type=port_number, default=8000, help="8000; 0 picks a free one")
    parser.add_argument("--front", choices=fronts.NAMES, help="the web proxy that sends the files")
    parser.add_argument("--data", type=Path, default=ROOT / ".demo", help="where all is kept")
    return Options(**vars(parser.parse_args(arguments)))


def port_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port (0 to 65535)")
    return int(text)


async def until_signalled(options: Options) -> None:
    """Run the demo as a task that the first signal cancels; later signals change nothing."""
    demo = asyncio.ensure_future(run(options))
    signalled = asyncio.Event()

    def end() -> None:
        if not signalled.is_set():
            signalled.set()
            demo.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, end)
    with suppress(asyncio.CancelledError):
        await demo


async def run(options: Options) -> None:
    """Start node, site and front, each when the one before is ready; say the address; watch."""
    front = fronts.find(options.front) if options.front else None
    data = options.data.resolve()
    async with AsyncExitStack() as started:
        door = started.enter_context(bound(options.port))
        port = door.getsockname()[1]
        node, addresses = await start_node(started, data)
        environment = site_environment(options, data, port, addresses)
        await migrate(environment, data)
        children = [node]
        if front is None:
            children.append(await start_site(started, door, environment, data))
        else:
            behind = started.enter_context(bound(0))
            examples = what_examples_mean(port, behind.getsockname()[1], addresses)
            children.append(await start_site(started, behind, environment, data))
            # The front listens beside our own socket, which keeps others off the port until then.
            children.append(await front.start(started, data, examples, port))
        print(f"http://{LOOPBACK}:{port}/", flush=True)
        await asyncio.gather(*(child.must_run() for child in children))


def what_examples_mean(port: int, site: int, node: Addresses) -> dict[str, str]:
    """The addresses in docs/fronts/, and ours that take their places."""
    return {
        "127.0.0.1:8000": f"{LOOPBACK}:{site}",
        "127.0.0.1:8080": f"{LOOPBACK}:{port}",
        "127.0.0.1:7500": node.storage,
    }


def bound(port: int) -> socket.socket:
    """A socket on that port, not listening yet: the port is ours before anything is started."""
    door = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((LOOPBACK, port))
    except OSError as error:
        door.close()
        if error.errno == errno.EADDRINUSE:
            raise DemoError(f"port {port} is in use; take another: make demo PORT=…") from error
        raise DemoError(f"port {port} cannot be opened: {error.strerror}") from error
    return door


async def start_node(started: AsyncExitStack, data: Path) -> tuple[Child, Addresses]:
    program = Path(sysconfig.get_path("scripts")) / "mogilefs"
    command = [str(program), "node", str(data), *NODE]
    log = data / "logs" / "node.log"
    node = await started.enter_async_context(running("the node", command, log=log))
    ready = await node.ready(node.says(READY))
    return node, Addresses(tracker=ready[1], storage=ready[2])


def site_environment(
    options: Options, data: Path, port: int, addresses: Addresses
) -> dict[str, str]:
    """What demo/settings.py reads."""
    return {
        "DJANGO_SETTINGS_MODULE": "demo.settings",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        "DEMO_DATA": str(data),
        "DEMO_PORT": str(port),
        "DEMO_TRACKER": addresses.tracker,
        "DEMO_FRONT": options.front or "",
        "DEMO_SECRET_KEY": secret_key(data / "secret-key"),
    }


def secret_key(path: Path) -> str:
    """The key in that file, made at the first start, readable by its owner alone."""
    with suppress(FileExistsError), open(os.open(path, NEW_FILE, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(50))
    return path.read_text()


async def migrate(environment: dict[str, str], data: Path) -> None:
    command = [sys.executable, "-m", "django", "migrate", "--verbosity=0", "--no-input"]
    log = data / "logs" / "migrate.log"
    async with running("the site's database", command, log=log, env=environment) as migration:
        await migration.must_succeed()


async def start_site(
    started: AsyncExitStack, door: socket.socket, environment: dict[str, str], data: Path
) -> Child:
    """Gunicorn on the given socket; ours is closed once it answers, so that it ends with it."""
    logs = data / "logs"
    command = [
        *(sys.executable, "-m", "gunicorn", "demo.wsgi", "--bind", f"fd://{door.fileno()}"),
        *("--worker-class", "gthread", "--threads", "8", "--graceful-timeout", "5"),
        *("--access-logfile", str(logs / "access.log"), "--no-control-socket"),
    ]
    site = await started.enter_async_context(
        running(
            *("the site", command),
            log=logs / "site.log",
            env=environment,
            pass_fds=[door.fileno()],
        )
    )
    await site.ready(answers(*door.getsockname()))
    door.close()
    return site


if __name__ == "__main__":
    sys.exit(main())
