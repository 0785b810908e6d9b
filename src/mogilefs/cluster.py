"""What a tracker tells about its cluster, typed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

from .errors import ProtocolError
from .models import integer, named, numbers


@dataclass(frozen=True)
class MogileClass:
    """A class of files: how many replicas (``mindevcount``), where, and with which checksum.

    ``replpolicy`` is MogileFS's own notation; ``hashtype`` is ``"MD5"``, ``"SHA-1"`` or None.
    """

    name: str
    mindevcount: int
    replpolicy: str
    hashtype: str | None


@dataclass(frozen=True)
class Domain:
    """A namespace of keys, with its classes."""

    name: str
    classes: tuple[MogileClass, ...]


@dataclass(frozen=True)
class Host:
    """A storage node. ``status`` is alive, readonly, down or dead; ports are 1 to 65535."""

    hostid: int
    name: str
    status: str
    ip: str
    http_port: int
    http_get_port: int | None
    altip: str | None
    altmask: str | None


@dataclass(frozen=True)
class Device:
    """A disk of a host. ``status`` is alive, readonly, drain, down or dead.

    ``observed_state`` is what the tracker's monitor saw (writeable, readable, unreachable, or
    empty). Sizes are in MiB, ``utilization`` in per cent; None where nothing is known yet.
    """

    devid: int
    hostid: int
    status: str
    observed_state: str
    weight: int
    mb_total: int | None
    mb_used: int | None
    mb_free: int | None
    utilization: float | None


@dataclass(frozen=True)
class TrackerStats:
    """A tracker's counters since it started. ``uptime`` is in seconds.

    ``work_queue`` and ``work_sent`` count by kind of work (delete, fsck, rebalance, replicate).
    """

    tracker: str
    uptime: int
    pending_queries: int
    processing_queries: int
    bored_queryworkers: int
    queries: int
    work_queue: Mapping[str, int]
    work_sent: Mapping[str, int]


@dataclass(frozen=True)
class Job:
    """Workers of one kind in a tracker: how many there are, and how many are wanted."""

    name: str
    count: int
    desired: int
    pids: tuple[int, ...] = ()


@dataclass(frozen=True)
class FsckStatus:
    """How far the check of all files is. ``found`` counts findings by code since the reset."""

    running: bool
    policy_only: bool
    host: str
    start_time: datetime | None
    stop_time: datetime | None
    current_time: datetime | None
    max_fid_checked: int
    end_fid: int
    max_logid: int
    found: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class FsckEntry:
    """One finding: ``code`` is a word of four letters, ``devid`` None where it is about none."""

    logid: int
    time: datetime | None
    code: str
    fid: int
    devid: int | None


@dataclass(frozen=True)
class RebalancePlan:
    """The devices that a rebalance would take files from, and those it would put them on."""

    sources: tuple[int, ...]
    destinations: tuple[int, ...]


@dataclass(frozen=True)
class RebalanceStatus:
    """How far a rebalance is. ``state`` has all that the tracker says, word by word."""

    fids_queued: int
    bytes_queued: int
    sdev_current: int
    source_devs: tuple[int, ...]
    completed_devs: tuple[int, ...]
    time_started: datetime | None
    time_finished: datetime | None
    time_stopped: datetime | None
    state: Mapping[str, str]


def rows(values: Mapping[str, str], count: str, prefix: str) -> list[dict[str, str]]:
    """The numbered groups of a listing: ``prefix`` has ``{}`` where the number stands."""
    groups: dict[str, dict[str, str]] = {prefix.format(n): {} for n in numbers(values, count)}
    pattern = re.compile(f"({prefix.format('[0-9]+')})(.*)")
    for name, value in values.items():
        match = pattern.fullmatch(name)
        if match and match[1] in groups:
            groups[match[1]][match[2]] = value
    return list(groups.values())


def _counts(values: Mapping[str, str], prefix: str) -> dict[str, int]:
    names = (name for name in values if name.startswith(prefix))
    return {name.removeprefix(prefix): integer(values, name, 0) for name in names}


def domains_from(values: Mapping[str, str]) -> list[Domain]:
    """All domains, from ``get_domains``."""
    return [_domain(values, f"domain{number}") for number in numbers(values, "domains")]


def _domain(values: Mapping[str, str], name: str) -> Domain:
    groups = rows(values, f"{name}classes", name + "class{}")
    return Domain(named(values, name), tuple(map(class_from, groups)))


def settings_from(values: Mapping[str, str]) -> dict[str, str]:
    """All settings, from ``server_settings``."""
    found = numbers(values, "key_count")
    return {named(values, f"key_{n}"): values.get(f"value_{n}", "") for n in found}


def rebalance_plan_from(values: Mapping[str, str]) -> RebalancePlan:
    """A plan, from ``rebalance_test``."""
    return RebalancePlan(_devids(values, "sdevs"), _devids(values, "ddevs"))


def class_from(values: Mapping[str, str]) -> MogileClass:
    """A class, from its group in ``get_domains``."""
    hashtype = values.get("hashtype", "NONE")
    return MogileClass(
        name=named(values, "name"),
        mindevcount=integer(values, "mindevcount"),
        replpolicy=values.get("replpolicy", ""),
        hashtype=None if hashtype in ("", "NONE") else hashtype,
    )


def host_from(values: Mapping[str, str]) -> Host:
    """A host, from its group in ``get_hosts``."""
    return Host(
        hostid=integer(values, "hostid"),
        name=values.get("hostname", ""),
        status=values.get("status", ""),
        ip=values.get("hostip", ""),
        http_port=integer(values, "http_port", 0),
        http_get_port=_known(values, "http_get_port"),
        altip=values.get("altip") or None,
        altmask=values.get("altmask") or None,
    )


def device_from(values: Mapping[str, str]) -> Device:
    """A device, from its group in ``get_devices``."""
    utilization = values.get("utilization", "")
    try:
        busy = float(utilization)
    except ValueError:
        busy = None
    return Device(
        devid=integer(values, "devid"),
        hostid=integer(values, "hostid"),
        status=values.get("status", ""),
        observed_state=values.get("observed_state", ""),
        weight=integer(values, "weight", 0),
        mb_total=_known(values, "mb_total"),
        mb_used=_known(values, "mb_used"),
        mb_free=_known(values, "mb_free"),
        utilization=busy,
    )


def _known(values: Mapping[str, str], name: str) -> int | None:
    return integer(values, name) if values.get(name) else None


def _time(values: Mapping[str, str], name: str) -> datetime | None:
    seconds = integer(values, name, 0)
    try:
        return datetime.fromtimestamp(seconds, timezone.utc) if seconds else None
    except (ValueError, OverflowError, OSError) as error:
        raise ProtocolError(f"not a time in a tracker's reply: {name}={seconds}") from error


def stats_from(tracker: str, lines: list[str]) -> TrackerStats:
    """The counters, from ``!stats``."""
    values = dict(line.split(" ", 1) for line in lines if " " in line)
    return TrackerStats(
        tracker=tracker,
        uptime=integer(values, "uptime", 0),
        pending_queries=integer(values, "pending_queries", 0),
        processing_queries=integer(values, "processing_queries", 0),
        bored_queryworkers=integer(values, "bored_queryworkers", 0),
        queries=integer(values, "queries", 0),
        work_queue=_counts(values, "work_queue_for_"),
        work_sent=_counts(values, "work_sent_to_"),
    )


def jobs_from(lines: list[str]) -> list[Job]:
    """The workers, from ``!jobs``."""
    values = dict(line.rsplit(" ", 1) for line in lines if " pids" not in line and " " in line)
    pids = dict(line.split(" pids", 1) for line in lines if " pids" in line)
    names = [name.removesuffix(" count") for name in values if name.endswith(" count")]
    return [
        Job(
            name,
            integer(values, f"{name} count"),
            integer(values, f"{name} desired", 0),
            _numbers(pids.get(name, "").split()),
        )
        for name in names
    ]


def fsck_status_from(values: Mapping[str, str]) -> FsckStatus:
    """From ``fsck_status``."""
    return FsckStatus(
        running=integer(values, "running", 0) != 0,
        policy_only=integer(values, "policy_only", 0) != 0,
        host=values.get("host", ""),
        start_time=_time(values, "start_time"),
        stop_time=_time(values, "stop_time"),
        current_time=_time(values, "current_time"),
        max_fid_checked=integer(values, "max_fid_checked", 0),
        end_fid=integer(values, "end_fid", 0),
        max_logid=integer(values, "max_logid", 0),
        found=_counts(values, "num_"),
    )


def fsck_entry_from(values: Mapping[str, str]) -> FsckEntry:
    """From a group in ``fsck_getlog``."""
    return FsckEntry(
        logid=integer(values, "logid"),
        time=_time(values, "utime"),
        code=values.get("evcode", ""),
        fid=integer(values, "fid", 0),
        devid=_known(values, "devid"),
    )


def _devids(values: Mapping[str, str], name: str) -> tuple[int, ...]:
    return _numbers(word for word in values.get(name, "").split(",") if word)


def _numbers(words: Iterable[str]) -> tuple[int, ...]:
    try:
        return tuple(map(int, words))
    except ValueError as error:
        raise ProtocolError(f"not a number in a tracker's reply: {error}") from error


def rebalance_status_from(values: Mapping[str, str]) -> RebalanceStatus:
    """From ``rebalance_status``."""
    state = dict(
        word.partition("=")[::2] for word in values.get("state", "").split() if "=" in word
    )
    return RebalanceStatus(
        fids_queued=integer(state, "fids_queued", 0),
        bytes_queued=integer(state, "bytes_queued", 0),
        sdev_current=integer(state, "sdev_current", 0),
        source_devs=_devids(state, "source_devs"),
        completed_devs=_devids(state, "completed_devs"),
        time_started=_time(state, "time_started"),
        time_finished=_time(state, "time_finished"),
        time_stopped=_time(state, "time_stopped"),
        state=state,
    )
