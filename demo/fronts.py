"""The web proxies that may stand before the site, with the configurations of docs/fronts/."""

from __future__ import annotations

import getpass
import os
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from demo.processes import Child, DemoError, answers, running

CONFIGURATIONS = Path(__file__).resolve().parent.parent / "docs" / "fronts"
# Debian keeps servers where a user's PATH does not look.
SEARCH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])


@dataclass(frozen=True)
class Front:
    """A proxy's program, Debian's packages for it, its configuration and how to run it."""

    program: str
    packages: str
    configuration: str
    """A file or directory in docs/fronts/."""
    arguments: Callable[[Path], list[str]]
    """From the directory that holds the configuration, which is also its HOME."""

    async def start(
        self, started: AsyncExitStack, data: Path, addresses: Mapping[str, str], port: int
    ) -> Child:
        """Run it on `port` until `started` is left, ready to answer.

        `addresses` says what the examples in the configuration stand for.
        """
        home = data / "front"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        for source in _files(CONFIGURATIONS / self.configuration):
            (home / source.name).write_text(_filled_in(source.read_text(), addresses))
        command = [shutil.which(self.program, path=SEARCH) or self.program, *self.arguments(home)]
        front = await started.enter_async_context(
            running(self.program, command, log=data / "logs" / "front.log", env={"HOME": str(home)})
        )
        await front.ready(answers("127.0.0.1", port))
        return front


def find(name: str) -> Front:
    """The front of that name; a DemoError that names the packages where it is not installed."""
    front = _FRONTS[name]
    if shutil.which(front.program, path=SEARCH) is None:
        raise DemoError(
            f"{front.program} is not installed: its Debian package is missing"
            f" (apt-get install {front.packages})"
        )
    return front


def _files(configuration: Path) -> list[Path]:
    return sorted(configuration.iterdir()) if configuration.is_dir() else [configuration]


def _filled_in(text: str, addresses: Mapping[str, str]) -> str:
    """Every example replaced by what it stands for, also where a pattern has its dots escaped."""
    escaped = {re.escape(old): re.escape(new) for old, new in addresses.items()}
    meant = {**addresses, **escaped}
    return re.sub("|".join(map(re.escape, meant)), lambda found: meant[found[0]], text)


def _nginx(home: Path) -> list[str]:
    # A user's nginx cannot write where Debian's does, and root's workers cannot read root's.
    uses = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    kept = [f'{use}_temp_path "{home}/{use}";' for use in uses]
    (home / "demo.conf").write_text("\n".join(kept))
    main = home / "nginx.conf"
    main.write_text(main.read_text().replace("http {\n", "http {\n    include demo.conf;\n", 1))
    user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
    return [
        *("-p", str(home), "-c", str(main), "-e", "stderr"),
        *("-g", f"daemon off; pid nginx.pid; {user}"),
    ]


_FRONTS = {
    front.program: front
    for front in (
        Front(
            "perlbal",
            "perlbal libio-aio-perl",
            "perlbal.conf",
            lambda home: ["--config", str(home / "perlbal.conf")],
        ),
        Front("nginx", "nginx", "nginx", _nginx),
        Front(
            "caddy",
            "caddy",
            "Caddyfile",
            lambda home: ["run", "--config", str(home / "Caddyfile"), "--adapter", "caddyfile"],
        ),
    )
}
NAMES = tuple(_FRONTS)
