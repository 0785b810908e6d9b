"""The metrics door: what the node has and does, in Prometheus's text format over HTTP.

Needs prometheus-client (the extra ``metrics``).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from ..wire import to_bytes
from .catalog import Row
from .listening import stop_listening
from .registry import DEVICE_STATES
from .stats import LATENCIES, queue_lengths

if TYPE_CHECKING:
    from .node import Node

log = logging.getLogger(__name__)

MAX_HEAD = 16 * 1024
REQUEST_SECONDS = 10.0
"""How large a request's head may be, and how long it may take."""

MAX_CONNECTIONS = 20
"""Who else comes is closed on at once: each holds an open file, which the disks need as well."""

COUNT_SECONDS = 15.0
"""Files are counted at most this often: it reads every row."""

MIB = 2**20


class _Snapshot(Collector):
    """Metric families, made once for one answer."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


class MetricsDoor:
    """Answers ``GET /metrics``."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._server: asyncio.Server | None = None
        self._connections = 0
        self._counted_at = 0.0
        self._files: list[Row] = []
        self._queues: dict[str, int] = {}

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen, on a free port for 0; returns host and port as bound. Raises OSError."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=MAX_HEAD)
        bound: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
        return bound

    async def stop(self) -> None:
        """Listen no more. May be repeated."""
        if self._server is not None:
            await stop_listening(self._server)
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = str((writer.get_extra_info("peername") or "?")[0])
        if not self._node.networks.allows(peer):
            log.warning("%s may not read the metrics: closed", peer)
            writer.transport.abort()
            return
        if self._connections >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        self._connections += 1
        try:
            await self._converse(reader, writer)
        finally:
            self._connections -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(
            OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError
        ):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_SECONDS)
            writer.write(await self._answer(head))
            await writer.drain()

    async def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method not in (b"GET", b"HEAD"):
            return _response("405 Method Not Allowed", b"", "text/plain")
        if path not in (b"/metrics", b"/"):
            return _response("404 Not Found", b"see /metrics\n", "text/plain")
        return _response("200 OK", await self.text(), CONTENT_TYPE_LATEST, method == b"HEAD")

    async def text(self) -> bytes:
        """All metrics."""
        if time.monotonic() - self._counted_at > COUNT_SECONDS or not self._queues:
            self._counted_at = time.monotonic()
            self._files, self._queues = await self._node.catalog.scan(_count)
        registry = CollectorRegistry()
        registry.register(_Snapshot(self._families()))
        return generate_latest(registry)

    def _families(self) -> Iterator[Metric]:
        yield from self._about_files()
        yield from self._about_devices()
        yield from self._about_commands()
        yield self._about_requests()
        queues = GaugeMetricFamily(
            "mogilefs_queue_length", "Files that wait for background work", labels=["queue"]
        )
        for name, length in self._queues.items():
            queues.add_metric([name], length)
        yield queues
        clients = GaugeMetricFamily("mogilefs_connections", "Clients connected", labels=["door"])
        clients.add_metric(["tracker"], len(self._node.tracker_door.connections))
        clients.add_metric(["storage"], self._node.storage_door.connections)
        yield clients
        yield GaugeMetricFamily(
            "mogilefs_start_time_seconds",
            "When the node started, in unix time",
            value=self._node.tracker_door.stats.started,
        )

    def _about_files(self) -> Iterator[Metric]:
        registry = self._node.registry
        labels = ["domain", "class"]
        files = GaugeMetricFamily("mogilefs_files", "Files stored", labels=labels)
        size = GaugeMetricFamily(
            "mogilefs_file_bytes", "Bytes of the files stored, each counted once", labels=labels
        )
        counts: Counter[tuple[str, str]] = Counter()  # files of a class that is gone are default's
        lengths: Counter[tuple[str, str]] = Counter()
        for dmid, classid, count, length in self._files:
            domain = _label(registry.domain_names.get(dmid, str(dmid)))
            names = (domain, _label(registry.file_class(dmid, classid).name))
            counts[names] += count
            lengths[names] += length
        for names, count in counts.items():
            files.add_metric(names, count)
            size.add_metric(names, lengths[names])
        yield from (files, size)

    def _about_devices(self) -> Iterator[Metric]:
        labels = ["device", "host"]
        total = GaugeMetricFamily("mogilefs_device_bytes", "Size of a device", labels=labels)
        used = GaugeMetricFamily("mogilefs_device_used_bytes", "Bytes in use", labels=labels)
        state = GaugeMetricFamily(
            "mogilefs_device_state", "1 for the state a device is in", labels=[*labels, "state"]
        )
        writable = GaugeMetricFamily(
            "mogilefs_device_writable", "1 where the monitor saw it take bytes", labels=labels
        )
        for device in self._node.registry.devices.values():
            names = [str(device.devid), _label(device.host.name)]
            if device.mb_total is not None and device.mb_used is not None:
                total.add_metric(names, device.mb_total * MIB)
                used.add_metric(names, device.mb_used * MIB)
            for each in DEVICE_STATES:
                state.add_metric([*names, each], int(device.status == each))
            writable.add_metric(names, int(self._node.registry.seen_writable(device.devid)))
        yield from (total, used, state, writable)

    def _about_commands(self) -> Iterator[Metric]:
        seconds = HistogramMetricFamily(
            "mogilefs_command_seconds", "How long commands took", labels=["command"]
        )
        errors = CounterMetricFamily(
            "mogilefs_command_errors", "Commands answered with an error", labels=["command"]
        )
        bounds = [*map(str, LATENCIES), "+Inf"]
        for name, stats in self._node.tracker_door.stats.commands.items():
            counts = accumulate(stats.buckets)
            seconds.add_metric([name], list(zip(bounds, counts, strict=True)), stats.seconds)
            errors.add_metric([name], stats.errors)
        yield from (seconds, errors)

    def _about_requests(self) -> Metric:
        requests = CounterMetricFamily(
            "mogilefs_storage_requests",
            "Requests that the storage door answered",
            labels=["method", "status"],
        )
        for (method, status), count in self._node.storage_door.answers.items():
            requests.add_metric([method.decode("ascii"), status.decode("ascii")], count)
        return requests


def _label(name: str) -> str:
    """A name as a label: what of it is no text, as escapes."""
    return to_bytes(name).decode("utf-8", "backslashreplace")


def _count(db: sqlite3.Connection) -> tuple[list[Row], dict[str, int]]:
    files = db.execute(
        "SELECT dmid, classid, count(*), sum(length) FROM file GROUP BY dmid, classid"
    ).fetchall()
    return files, queue_lengths(db)


def _response(status: str, body: bytes, kind: str, head_only: bool = False) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + (b"" if head_only else body)
