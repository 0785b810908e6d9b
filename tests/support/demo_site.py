"""The demo site as a process, and what lies in its directory."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo import fronts
from demo.processes import DemoError

ROOT = Path(__file__).resolve().parents[2]
MODULE = (sys.executable, "-m", "demo")


@dataclass
class Demo:
    """A running demo: where it answers, and the directory of its node."""

    address: str
    data: Path
    process: subprocess.Popen[str]

    def url(self, path: str) -> str:
        return self.address.rstrip("/") + path

    def replicas(self, content: bytes) -> list[str]:
        """On which devices a file with these bytes lies, by SHA-256: ``["dev1", "dev3"]``."""
        wanted = hashlib.sha256(content).digest()
        files = self.data.glob("dev*/**/*.fid")
        return sorted(
            file.relative_to(self.data).parts[0]
            for file in files
            if hashlib.sha256(file.read_bytes()).digest() == wanted
        )

    def requests_seen(self, path: str) -> list[AccessLine]:
        """What the site itself logged for this path, whoever stood before it."""
        log = (self.data / "logs" / "access.log").read_text()
        lines = [line for line in log.splitlines() if f'"GET {path} ' in line]
        return [AccessLine(*line.partition("HTTP/1.")[2].split()[1:3]) for line in lines]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal the process, wait for its end, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)

    def press_ctrl_c(self) -> int:
        """Do what a terminal does: interrupt the whole foreground group. Returns the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(60)

    def processes(self) -> list[str]:
        """The command lines, anywhere on the machine, that name this demo's directory."""
        lines = (_command_line(path) for path in Path("/proc").glob("[0-9]*/cmdline"))
        return [line for line in lines if str(self.data) in line]


def _command_line(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:  # it has ended in the meantime
        return ""


@dataclass(frozen=True)
class AccessLine:
    """One line of the site's access log: the status, and the body's length or ``-``."""

    status: str
    length: str


def behind(front: str | None) -> tuple[str, ...]:
    """The demo's arguments for a front; the test skips where its Debian package is missing."""
    if front is None:
        return ()
    try:
        fronts.find(front)
    except DemoError as error:
        pytest.skip(str(error))
    return ("--front", front)


@contextmanager
def demo_running(
    data: Path,
    *arguments: str,
    command: Sequence[str] = (*MODULE, "--port", "0"),
    cwd: Path = ROOT,
) -> Iterator[Demo]:
    """Start the demo, wait for its one line, and end it with SIGTERM when the block is left."""
    process = subprocess.Popen(
        [*command, *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    address = process.stdout.readline().strip()
    demo = Demo(address, data, process)
    try:
        assert address.startswith("http://127.0.0.1:"), (address, process.stderr.read())
        yield demo
    finally:
        demo.stop()
        process.stdout.close()
        process.stderr.close()


def environment() -> dict[str, str]:
    """The surroundings of a user: none of what pytest or make put into the environment."""
    ours = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "DJANGO_SETTINGS_MODULE", "PYTHONDEVMODE")
    return {name: value for name, value in os.environ.items() if name not in ours}
