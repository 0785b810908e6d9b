"""The ``!`` commands: for a person at a terminal, answered with lines that a dot ends."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..stats import QUEUES
from .table import number

if TYPE_CHECKING:
    from ..tracker import TrackerConnection, TrackerDoor

VERSION = "2.73"
"""The MogileFS whose protocol and schema this node keeps."""

JOB_CLASSES = ("delete", "fsck", "job_master", "monitor", "queryworker", "reaper", "replicate")
"""MogileFS's kinds of worker processes. The node has one process; the names stay for tools."""

MAX_COUNT = 10_000
"""``!stats`` counts a queue no further than this: it must not hold up the event loop."""

MAX_WANTED = 500
"""More workers of a kind are wanted by nobody."""

HELP = """Mogilefsd admin commands:

    !version    The MogileFS version whose protocol this server speaks
    !recent     The last requests and how long they took
    !queue      Requests that wait for an answer
    !stats      What the server has done since it started
    !watch      Log messages as they come, until repeated
    !jobs       The kinds of background work, how many of each are wanted and their pids
    !shutdown   Not here: the server is stopped by SIGTERM

    !to <job class> <message>
                Send a message to all workers of a kind
    !want <count> <job class>
                Change how many workers of a kind are wanted"""


def manage(door: TrackerDoor, connection: TrackerConnection, line: str) -> bytes:
    """The reply to a line that began with ``!``. Only the beginning of the word counts."""
    word, rest = [*line.split(None, 1), ""][:2]
    for name, function in _COMMANDS.items():
        if word == name or (name != "stats" and word.startswith(name)):
            lines = function(door, connection, rest.strip())
            return "".join(f"{text}\r\n" for text in [*lines, "."]).encode(
                "utf-8", "surrogateescape"
            )
    return f"{HELP}\n.\r\n".encode()


def _version(door: TrackerDoor, connection: TrackerConnection, rest: str) -> list[str]:
    return [VERSION]


def _recent(door: TrackerDoor, connection: TrackerConnection, rest: str) -> list[str]:
    return [
        f"{peer} {line.decode('utf-8', 'surrogateescape')} {seconds:.4f} {seconds:.4f}"
        for peer, line, seconds in door.stats.recent
    ]


def _nothing(door: TrackerDoor, connection: TrackerConnection, rest: str) -> list[str]:
    return []


def _stats(door: TrackerDoor, connection: TrackerConnection, rest: str) -> list[str]:
    busy = sum(1 for each in door.connections if each.running is not None)
    return [
        f"uptime {int(time.time() - door.stats.started)}",
        "pending_queries 0",
        f"processing_queries {busy}",
        "bored_queryworkers 1",
        f"queries {door.stats.queries}",
        *(f"work_queue_for_{kind} {_length(door, rows)}" for kind, rows in QUEUES.items()),
    ]


def _length(door: TrackerDoor, rows: str) -> int:
    """How many rows wait, counted no further than MAX_COUNT."""
    sql = f"SELECT count(*) FROM (SELECT 1 FROM {rows} LIMIT {MAX_COUNT})"  # noqa: S608  # our own
    return int(door.node.catalog.read(sql)[0][0])


def _jobs(door: TrackerDoor, connection: TrackerConnection, rest: str) -> list[str]:
    return [
        text
        for kind in JOB_CLASSES
        for text in (f"{kind} count 1", f"{kind} desired 1", f"{kind} pids {os.getpid()}")
    ]


def _want(door: TrackerDoor, connection: TrackerConnection, rest: str) -> list[str]:
    match = re.match(r"([0-9]+)\s+(\S+)", rest)
    if match is None:
        return ["ERROR: usage: !want <count> <jobclass>"]
    if match[2] not in JOB_CLASSES:
        kinds = ", ".join(JOB_CLASSES)
        return [f"ERROR: Invalid class '{match[2]}'.  Valid classes: {kinds}"]
    return [f"Now desiring {min(number(match[1]), MAX_WANTED)} children doing '{match[2]}'."]


def _to(door: TrackerDoor, connection: TrackerConnection, rest: str) -> list[str]:
    match = re.match(r"(\w+)\s+\S", rest)
    if match is None:
        return ["ERROR: usage: !to <jobclass> <message>"]
    return [f"Message sent to {int(match[1] in JOB_CLASSES)} children."]


def _watch(door: TrackerDoor, connection: TrackerConnection, rest: str) -> list[str]:
    began = connection.watch()
    return [f"{'Added you to' if began else 'Removed you from'} watchers list."]


def _shutdown(door: TrackerDoor, connection: TrackerConnection, rest: str) -> list[str]:
    """Refused: whoever may ask for a file's paths must not be able to stop the server."""
    return ["ERROR: send the server SIGTERM to stop it"]


_COMMANDS: dict[str, Callable[[TrackerDoor, TrackerConnection, str], list[str]]] = {
    "stats": _stats,
    "version": _version,
    "recent": _recent,
    "queue": _nothing,
    "pend": _nothing,
    "jobs": _jobs,
    "want": _want,
    "to": _to,
    "watch": _watch,
    "shutdown": _shutdown,
}
