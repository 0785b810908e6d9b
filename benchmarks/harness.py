"""How contestants are compared: they take turns in shuffled rounds, and noise is told.

A contestant is a function that does a batch of work and returns what it took, a Batch. In every
round each contestant has one turn, in an order drawn anew, so that whatever else the machine does
hits all of them alike. A figure is the median of the rounds; a ratio is the median of the rounds'
own ratios, which is steadier than the ratio of medians.
"""

from __future__ import annotations

import random
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

NOISY = 0.30
"""A figure whose rounds lie further apart than this (half the distance of the quartiles, as a
share of the median) is called noisy."""


@dataclass
class Batch:
    """What one turn took. ``latencies`` and ``cpu`` are in seconds, ``moved`` in bytes."""

    latencies: list[float]
    seconds: float
    cpu: float | None = None
    moved: int = 0
    count: int = 0

    @property
    def operations(self) -> int:
        """How many operations the turn did."""
        return self.count or len(self.latencies)


@dataclass
class Figures:
    """One contestant's medians over the rounds, and how far they lie apart."""

    contestant: str
    p50_ms: float
    p99_ms: float
    per_second: float
    mb_per_second: float
    cpu_ms: float | None
    spread: float
    ratio: float | None = None
    ratio_spread: float | None = None
    operations: int = 0
    noisy: bool = False
    by_round: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class Table:
    """The answer to one question: a line a contestant, ratios against the ``baseline``."""

    question: str
    title: str
    baseline: str
    rounds: int
    figures: list[Figures]
    notes: list[str] = field(default_factory=list)

    def of(self, contestant: str) -> Figures | None:
        """The figures of one contestant, None if it took no part."""
        return next((one for one in self.figures if one.contestant == contestant), None)

    def plain(self) -> dict[str, object]:
        """The table for JSON."""
        return asdict(self)


def timed(operation: Callable[[], object], count: int, moved: int = 0) -> Batch:
    """Do ``operation`` ``count`` times in this process; ``moved`` bytes each."""
    latencies = []
    cpu, start = _cpu(), time.perf_counter()
    for _ in range(count):
        before = time.perf_counter()
        operation()
        latencies.append(time.perf_counter() - before)
    return Batch(latencies, time.perf_counter() - start, _cpu() - cpu, moved * count)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def compete(
    question: str,
    title: str,
    contestants: Mapping[str, Callable[[], Batch]],
    *,
    rounds: int,
    baseline: str | None = None,
    seed: int = 0,
) -> Table:
    """Let the contestants take turns for ``rounds`` rounds.

    Each has one turn before the first round that does not count. Ratios compare operations a
    second with the ``baseline``'s, the first contestant's if none is named.
    """
    order = list(contestants)
    rng = random.Random(seed)
    batches: dict[str, list[Batch]] = {name: [] for name in order}
    for name in order:
        contestants[name]()
    for _ in range(rounds):
        rng.shuffle(order)
        for name in order:
            batches[name].append(contestants[name]())
    baseline = baseline or next(iter(contestants))
    figures = [_figures(name, done, batches[baseline]) for name, done in batches.items()]
    return Table(question, title, baseline, rounds, figures)


def _figures(name: str, done: Sequence[Batch], against: Sequence[Batch]) -> Figures:
    by_round = _by_round(done)
    rates = by_round["per_second"]
    ratios = [
        one / other for one, other in zip(rates, _by_round(against)["per_second"], strict=True)
    ]
    everything = sorted(latency for batch in done for latency in batch.latencies)
    return Figures(
        contestant=name,
        p50_ms=statistics.median(by_round["p50_ms"]),
        p99_ms=quantile(everything, 0.99) * 1e3,
        per_second=statistics.median(rates),
        mb_per_second=statistics.median(by_round["mb_per_second"]),
        cpu_ms=statistics.median(by_round["cpu_ms"]) if "cpu_ms" in by_round else None,
        spread=spread(rates),
        ratio=statistics.median(ratios),
        ratio_spread=spread(ratios),
        operations=sum(batch.operations for batch in done),
        noisy=spread(ratios) > NOISY,
        by_round=by_round,
    )


def _by_round(done: Sequence[Batch]) -> dict[str, list[float]]:
    found = {
        "p50_ms": [_p50(batch) * 1e3 for batch in done],
        "per_second": [batch.operations / batch.seconds for batch in done],
        "mb_per_second": [batch.moved / batch.seconds / 1e6 for batch in done],
    }
    if all(batch.cpu is not None for batch in done):
        found["cpu_ms"] = [(batch.cpu or 0.0) / batch.operations * 1e3 for batch in done]
    return found


def paired(one: Figures, other: Figures, measure: str) -> float | None:
    """The median of the rounds' own ratios of one figure (such as ``p50_ms``)."""
    pairs = zip(one.by_round.get(measure, ()), other.by_round.get(measure, ()), strict=False)
    ratios = [value / base for value, base in pairs if base]
    return statistics.median(ratios) if ratios else None


def _p50(batch: Batch) -> float:
    return statistics.median(batch.latencies) if batch.latencies else 0.0


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which ``share`` of the ``ordered`` values lie; 0 of none."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread(values: Sequence[float]) -> float:
    """Half the distance of the quartiles as a share of the median: 0.05 means about ±5 %."""
    middle = statistics.median(values)
    if len(values) < 2 or not middle:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2 / middle


@dataclass
class Sheet:
    """An answer of another shape: columns with titles, numbers as they are."""

    question: str
    title: str
    columns: list[str]
    rows: list[list[object]]
    notes: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, object]:
        """The sheet for JSON."""
        return asdict(self)
