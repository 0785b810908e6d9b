"""The management door of a storage node: sizes and checksums of files, and how busy disks are.

Lines in, lines out, as recorded from MogileFS's own: ``size /devN/…``, ``MD5 /devN/…``,
``SHA-1 /devN/…``, ``version``, ``show service mogstored`` and ``watch``. Nothing but the names of
MogileFS's layout is looked at.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time

from mogilefs.node import layout
from mogilefs.node.devices import Devices
from mogilefs.node.listening import stop_listening
from mogilefs.node.networks import Networks
from mogilefs.node.utilisation import Utilisation

MAX_LINE = 4096
"""Bytes of a line. The longest that makes sense is a path and a word."""

MAX_CONNECTIONS = 200
"""Clients at the same time; each tracker keeps one for itself and one that watches."""

IDLE_SECONDS = 600.0
"""How long a client may take for a line and for reading the answer. Trackers connect anew."""

WATCH_SECONDS = 1.0
"""How often ``watch`` tells how busy the disks are."""

MAX_UNREAD = 64 * 1024
"""How many bytes one who watches may leave unread."""

VERSION = "1.0"

CR_LF = "\r\n"

_COMMAND = re.compile(r"(size|MD5|SHA-1)\s+(\S+)(?:\s+(?:fsck|replicate))?\s*")
_WORD = re.compile(r"\s*(\w*)", re.ASCII)

log = logging.getLogger(__name__)


class Sidechannel:
    """Answers for the files of ``devices``, on a port beside the storage door."""

    def __init__(self, devices: Devices, *, networks: Networks | None = None) -> None:
        """Without ``networks`` only this machine may talk."""
        self._devices = devices
        self._networks = networks or Networks()
        self._clients: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._started = int(time.time())
        self._bound = ("", 0)

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen, on a free port for 0; returns host and port as bound. Raises ``OSError``."""
        self._server = await asyncio.start_server(self._enter, host, port, limit=MAX_LINE)
        self._bound = self._server.sockets[0].getsockname()[:2]
        return self._bound

    async def stop(self) -> None:
        """Listen no more and close every connection. May be repeated."""
        if self._server is None:
            return
        server, self._server = self._server, None
        await stop_listening(server)
        clients = list(self._clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        await server.wait_closed()

    def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = str((writer.get_extra_info("peername") or "?")[0])
        if not self._networks.allows(peer) or len(self._clients) >= MAX_CONNECTIONS:
            log.warning("%s may not talk to the sidechannel, or is one too many: closed", peer)
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(peer, reader, writer))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _serve(
        self, peer: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while await self._answer_line(reader, writer):
                pass
        except (OSError, ValueError) as error:  # ValueError: a line without end
            log.info("%s left the sidechannel: %s", peer, error)
        finally:
            writer.close()

    async def _answer_line(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one line, in time; False where there is none any more."""
        timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, writer.transport.abort)
        try:
            line = (await reader.readline()).decode("latin-1")
            if line.strip(CR_LF) == "watch":
                timer.cancel()
                await self._watch(writer)
            elif line:
                writer.write(f"{await self._reply(line.strip(CR_LF))}\r\n".encode("latin-1"))
                await writer.drain()
            return bool(line)
        finally:
            timer.cancel()

    async def _reply(self, line: str) -> str:
        if asked := _COMMAND.fullmatch(line):
            return await self._look_at_file(asked[1], asked[2])
        if line == "version":
            up = int(time.time()) - self._started
            return f"starttime {self._started}\r\nuptime {up}\r\nversion {VERSION}\r\n."
        if line == "show service mogstored":
            return self._service()
        found = _WORD.match(line)
        word = found[1].lower() if found else ""
        return f"ERROR: unknown command: {word}" if line else ""

    def _service(self) -> str:
        host, port = self._bound
        return (
            f"SERVICE mogstored\r\n     listening: {host}:{port}\r\n          role: web_server\r\n"
            f"  pend clients: 0\r\n  pend backend: 0\r\n        docroot: {self._devices.root}\r\n."
        )

    async def _look_at_file(self, command: str, url: str) -> str:
        if ".." in url:
            return "ERROR: uri invalid (contains ..)"
        place = layout.parse(url) or layout.parse_directory(url)
        if command == "size":
            return f"{url} {await self._size(place) if place else -1}"
        return await self._digest(command, url, place)

    async def _size(self, place: layout.Place) -> int:
        try:
            path = f"{self._devices.base(place.devid)}/{place.path}"
            return (await self._devices.run(place.devid, os.lstat, path)).st_size
        except OSError:
            return -1

    async def _digest(self, command: str, url: str, place: layout.Place | None) -> str:
        if place is None:
            return f"{url} {command}=-1"
        try:
            return f"{url} {command}={await self._devices.digest(place, command)}"
        except FileNotFoundError:
            return f"{url} {command}=-1"
        except OSError as error:
            log.warning("%s %s: %s", command, url, error)
            return f"ERR read {url} at 0 failed"

    async def _watch(self, writer: asyncio.StreamWriter) -> None:
        """Tell how busy the disks are until the client goes; it is not listened to any more."""
        busy = Utilisation(self._devices)
        while not writer.is_closing() and writer.transport.get_write_buffer_size() < MAX_UNREAD:
            await asyncio.sleep(WATCH_SECONDS)
            lines = [f"{devid}\t{percent}\n" for devid, percent in busy.look()]
            writer.write("".join([*lines, ".\n"]).encode())
