"""Rebalance policies and the state of a run: MogileFS's words ``name=value``, blank separated."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields

from ..registry import Device

_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


class PolicyError(ValueError):
    """A text that is no rebalance policy."""


def _number(text: str) -> int:
    match = re.fullmatch(r"([0-9]+)%?", text)
    if match is None:
        raise ValueError("must be a number")
    return int(match[1])


def _size(text: str) -> int:
    match = re.fullmatch(r"([0-9]+)([bkmgt]?)", text.lower())
    if match is None:
        raise ValueError("must be a number, or one with b, k, m, g or t")
    return int(match[1]) * _UNITS[match[2]]


def _numbers(text: str) -> frozenset[int]:
    return frozenset(_number(part) for part in text.split(",") if part)


def _truth(text: str) -> bool:
    if text not in ("0", "1", ""):
        raise ValueError("must be 0 or 1")
    return text == "1"


def _one_of(*words: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return check


_SELECTION: dict[str, Callable[[str], object]] = {
    "all_devs": _truth,
    "hosts": _numbers,
    "devices": _numbers,
    "percent_used": _number,
    "percent_free": _number,
    "space_used": _number,
    "space_free": _number,
}
_WORDS: dict[str, Callable[[str], object]] = {
    **{f"from_{name}": check for name, check in _SELECTION.items()},
    **{f"to_{name}": check for name, check in _SELECTION.items()},
    "not_to_hosts": _numbers,
    "not_to_devices": _numbers,
    "fid_age": _one_of("old", "new"),
    "limit_type": _one_of("device", "global"),
    "limit_by": _one_of("none", "count", "size"),
    "limit": _size,
    "use_dest_devs": _truth,
    "leave_in_drain_mode": _truth,
}


@dataclass(frozen=True)
class Selection:
    """Which devices a policy means. Numbers given restrict; nothing given means all devices.

    Sizes are in MiB. ``full`` tells which end is meant: a source must be at least so used and at
    most so free, a destination the other way round.
    """

    full: bool
    hosts: frozenset[int] = frozenset()
    devices: frozenset[int] = frozenset()
    percent_used: int | None = None
    percent_free: int | None = None
    space_used: int | None = None
    space_free: int | None = None

    def takes(self, device: Device) -> bool:
        """Is the device meant?"""
        if self.hosts and device.host.hostid not in self.hosts:
            return False
        if self.devices and device.devid not in self.devices:
            return False
        total, used = device.mb_total or 0, device.mb_used or 0
        free = max(0, total - used)
        percent = 100 * used / total if total else 0.0
        return (
            self._reaches(percent, self.percent_used, more=self.full)
            and self._reaches(100 - percent, self.percent_free, more=not self.full)
            and self._reaches(used, self.space_used, more=self.full)
            and self._reaches(free, self.space_free, more=not self.full)
        )

    @staticmethod
    def _reaches(value: float, mark: int | None, *, more: bool) -> bool:
        return mark is None or (value >= mark if more else value <= mark)


@dataclass(frozen=True)
class RebalancePolicy:
    """What is to be moved where, and how much of it."""

    source: Selection
    target: Selection
    not_to_hosts: frozenset[int] = frozenset()
    not_to_devices: frozenset[int] = frozenset()
    newest_first: bool = False
    limit_global: bool = False
    limit_by: str = "none"
    limit: int = 0
    """Files or bytes; 0 is no limit."""
    use_dest_devs: bool = False
    """Accepted, and without effect: what ``to_…`` says always restricts where files may go."""
    leave_in_drain_mode: bool = False

    @property
    def restricted(self) -> bool:
        """Does it say where files may go, or may not?"""
        anywhere = self.target == Selection(full=False)
        return bool(not anywhere or self.not_to_hosts or self.not_to_devices)

    def sources(self, devices: Iterable[Device]) -> list[int]:
        """The devices that files are moved from."""
        return [d.devid for d in devices if d.deletable and d.readable and self.source.takes(d)]

    def targets(self, devices: Iterable[Device]) -> list[int]:
        """The devices that files may be moved to: none that they are moved from."""
        known = list(devices)
        excluded = set(self.sources(known)) | self.not_to_devices
        return [
            device.devid
            for device in known
            if device.takes_files
            and device.devid not in excluded
            and device.host.hostid not in self.not_to_hosts
            and self.target.takes(device)
        ]


def parse(text: str) -> RebalancePolicy:
    """The policy that ``text`` means. Raises PolicyError, which names the word that is wrong."""
    given: dict[str, object] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if name not in _WORDS or not equals:
            raise PolicyError(f"no such rebalance setting: {word[:80]!r}")
        try:
            given[name] = _WORDS[name](value)
        except ValueError as error:
            raise PolicyError(f"rebalance setting {name}: {error}") from error
    return RebalancePolicy(
        source=_selection(given, "from_", full=True),
        target=_selection(given, "to_", full=False),
        newest_first=given.pop("fid_age", "old") == "new",
        limit_global=given.pop("limit_type", "device") == "global",
        **given,  # type: ignore[arg-type]  # each was made by its own check above
    )


def _selection(given: dict[str, object], prefix: str, *, full: bool) -> Selection:
    chosen = {name: given.pop(prefix + name) for name in _SELECTION if prefix + name in given}
    chosen.pop("all_devs", None)
    return Selection(full, **chosen)  # type: ignore[arg-type]  # as above


@dataclass
class RebalanceState:
    """How far a run is; as text it is what ``rebalance_status`` shows and the catalogue keeps."""

    completed_devs: list[int] = field(default_factory=list)
    source_devs: list[int] = field(default_factory=list)
    sdev_current: int = 0
    sdev_lastfid: int = 0
    sdev_limit: int = 0
    limit: int = 0
    fids_queued: int = 0
    bytes_queued: int = 0
    time_started: int = 0
    time_finished: int = 0
    time_stopped: int = 0
    time_latest_run: int = 0
    time_latest_empty_run: int = 0
    empty_runs: int = 0

    def __str__(self) -> str:
        words = []
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, list):
                value = ",".join(map(str, value))
            words.append(f"{item.name}={value}")
        return " ".join(words)

    @classmethod
    def parse(cls, text: str) -> RebalanceState:
        """The state from its text; words that are not known are left out, bad numbers are 0."""
        state = cls()
        for word in text.split():
            name, _, value = word.partition("=")
            current = getattr(state, name, None)
            if isinstance(current, list):
                setattr(state, name, [int(part) for part in value.split(",") if part.isdigit()])
            elif isinstance(current, int):
                setattr(state, name, int(value) if value.isdigit() else 0)
        return state
