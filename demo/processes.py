"""Child processes: ready when they show it, watched while they run, ended politely."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

READY_WITHIN = 60.0  # seconds; a cold start on a slow machine compiles every module first
ENDS_WITHIN = 15.0  # seconds between asking a process to end and ending it
POLL = 0.05  # seconds between two looks at a log, or two tries of a port nobody listens on yet

T = TypeVar("T")


class DemoError(Exception):
    """The demo cannot run; the text tells why, in one line."""


class Child:
    """A process of ours, with a name for messages and a log file for what it says."""

    def __init__(self, name: str, log: Path, process: asyncio.subprocess.Process) -> None:
        self.name, self.log, self.process = name, log, process

    async def ready(self, sign: Awaitable[T]) -> T:
        """What `sign` gives; a DemoError if the process ends or `READY_WITHIN` passes first."""
        waiting = asyncio.ensure_future(sign)
        ended = asyncio.ensure_future(self.process.wait())
        try:
            await asyncio.wait(
                {waiting, ended}, timeout=READY_WITHIN, return_when=asyncio.FIRST_COMPLETED
            )
            if ended.done():
                raise DemoError(self.obituary())
            if not waiting.done():
                raise DemoError(f"{self.name} was not ready in {READY_WITHIN:g} s; see {self.log}")
            return waiting.result()
        finally:
            waiting.cancel()
            ended.cancel()

    async def says(self, pattern: str) -> re.Match[str]:
        """The first match of `pattern` in what the process writes."""
        while not (match := re.search(pattern, self.log.read_text(errors="replace"))):
            await asyncio.sleep(POLL)
        return match

    async def must_succeed(self) -> None:
        """Wait for the end; a DemoError unless the exit code is 0."""
        if await self.process.wait() != 0:
            raise DemoError(self.obituary())

    async def must_run(self) -> None:
        """Never return; a DemoError when the process ends, which it should not do by itself."""
        await self.process.wait()
        raise DemoError(self.obituary())

    def obituary(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        last = lines[-1] if lines else "it said nothing"
        return f"{self.name} ended with code {self.process.returncode}: {last} (log: {self.log})"

    async def stop(self) -> None:
        """Ask the process to end, wait, and kill its whole group if it does not."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), ENDS_WITHIN)
        except asyncio.TimeoutError:
            os.killpg(self.process.pid, signal.SIGKILL)
            await self.process.wait()


@asynccontextmanager
async def running(
    name: str,
    command: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> AsyncIterator[Child]:
    """Run `command` until the block is left. It writes to `log`, which begins empty; `env` is
    added to the environment.

    Each child gets a session of its own: a Ctrl-C in the terminal then reaches the demo alone,
    which ends its children one after the other.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            env={**os.environ, **(env or {})},
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
    child = Child(name, log, process)
    try:
        yield child
    finally:
        await child.stop()


async def answers(host: str, port: int) -> None:
    """Return once ``GET /`` on that address is answered with 200."""
    while not await _answers_now(host, port):
        await asyncio.sleep(POLL)


async def _answers_now(host: str, port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    try:
        writer.write(b"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()
