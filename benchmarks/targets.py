"""The targets, and whether a run reached them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .harness import Sheet, Table, paired

Answers = Sequence["Table | Sheet"]


@dataclass(frozen=True)
class Target:
    """What is wanted: ``measure`` finds the value in a run's answers, None where it was not asked.

    ``at_most`` or else ``at_least`` is the bound.
    """

    where: str
    text: str
    measure: Callable[[Answers], float | None]
    at_least: float | None = None
    at_most: float | None = None
    unit: str = " times"

    @property
    def wanted(self) -> str:
        """The bound in words."""
        if self.at_most is not None:
            return f"at most {self.at_most:g}{self.unit}"
        return f"at least {self.at_least:g}{self.unit}"

    def reached(self, value: float) -> bool:
        """Whether a value is within the bound."""
        if self.at_most is not None:
            return value <= self.at_most
        return self.at_least is None or value >= self.at_least


@dataclass(frozen=True)
class Verdict:
    """A target and what a run measured."""

    target: Target
    value: float | None

    @property
    def told(self) -> str:
        """The measurement in words."""
        return "not measured" if self.value is None else f"{self.value:.2f}{self.target.unit}"

    @property
    def word(self) -> str:
        """Reached or missed."""
        if self.value is None:
            return ""
        return "reached" if self.target.reached(self.value) else "**missed**"


def table(answers: Answers, question: str) -> Table | None:
    """The table that answers a question, None if it was not asked."""
    found = (one for one in answers if isinstance(one, Table) and one.question == question)
    return next(found, None)


def sheet(answers: Answers, question: str) -> Sheet | None:
    """The sheet that answers a question, None if it was not asked."""
    found = (one for one in answers if isinstance(one, Sheet) and one.question == question)
    return next(found, None)


def ratio(
    question: str, of: str, to: str, field: str = "p50_ms"
) -> Callable[[Answers], float | None]:
    """One contestant's figure over another's."""

    def measure(answers: Answers) -> float | None:
        found = table(answers, question)
        one, other = (found.of(of), found.of(to)) if found else (None, None)
        return None if one is None or other is None else paired(one, other, field)

    return measure


def figure(
    question: str, of: str, field: str, over: float = 1.0
) -> Callable[[Answers], float | None]:
    """One contestant's figure, as so many times ``over``."""

    def measure(answers: Answers) -> float | None:
        found = table(answers, question)
        one = found.of(of) if found else None
        return None if one is None else getattr(one, field) / over

    return measure


def by_peer(
    question: str, of: str, peer: str, recorded: float, recorded_peer: float
) -> Callable[[Answers], float | None]:
    """How far a contestant comes in what its peer does, as so many times what was recorded so."""
    measured = ratio(question, of, peer, "per_second")

    def measure(answers: Answers) -> float | None:
        share = measured(answers)
        return None if share is None else share / (recorded / recorded_peer)

    return measure


def cell(question: str, row: str, column: str) -> Callable[[Answers], float | None]:
    """A number of a sheet."""

    def measure(answers: Answers) -> float | None:
        found = sheet(answers, question)
        if found is None:
            return None
        at = found.columns.index(column)
        values = [each[at] for each in found.rows if each[0] == row]
        return float(str(values[0])) if values and values[0] is not None else None

    return measure


def judge(answers: Answers) -> list[Verdict]:
    """Every target beside what was measured."""
    return [Verdict(target, target.measure(answers)) for target in TARGETS]


_CLIENT = "client/node"
RECORDED = (
    ("get_paths", 1, 1326, 4),
    ("get_paths", 64, 4474, 4),
    ("create_open", 1, 490, 8),
    ("create_open", 64, 522, 8),
    ("create_close", 1, 83, 8),
    ("create_close", 64, 98, 30),
)
"""Command, connections, what MogileFS 2.73 on SQLite answered a second on a machine of this kind
on another day, and how many times that the node is to answer."""

BARE = "SQLite alone, no network"
BY_PEER = (
    ("get_paths", "tracker/get_paths/1", "SQLite", BARE, 1326, 115_000, 4),
    ("get_paths on 64", "tracker/get_paths/64", "SQLite", BARE, 4474, 115_000, 4),
    ("GET of 4 KiB", "door/GET/4 KiB", "nginx", "nginx", 5370, 75_003, 5),
    ("PUT of 4 KiB in memory", "door/PUT/4 KiB in memory", "nginx", "nginx", 5815, 40_875, 3),
)
"""What, where it is measured, beside whom, what MogileFS 2.73 and that peer did a second on one
machine on another day, and how many times the first the node is to do."""

RECORDED_NOTE = (
    "\\* recorded with MogileFS 2.73 on SQLite on a machine of this kind, two cores, on another"
    " day; by nginx and by SQLite: as shares of what these do in the same run, there and here, so"
    " that the machine matters less. `--tracker HOST:PORT` measures a real cluster in the same run."
)

TARGETS = [
    Target("client", "paths p50, to the floor",
           ratio(f"{_CLIENT}/paths/4 KiB", "Client", "floor"), at_most=1.15),
    Target("client", "fetch of 4 KiB p50, to the floor",
           ratio(f"{_CLIENT}/fetch/4 KiB", "Client", "floor"), at_most=1.3),
    Target("client", "overwriting store of 4 KiB p50, to the floor",
           ratio(f"{_CLIENT}/store/4 KiB", "Client", "floor"), at_most=1.15),
    Target("client", "stores of 4 KiB a second, to pymogilefs",
           ratio(f"{_CLIENT}/store/4 KiB", "Client", "pymogilefs", "per_second"), at_least=3),
    Target("client", "the same on a node in memory",
           ratio("client/node in memory/store/4 KiB", "Client", "pymogilefs", "per_second"),
           at_least=3),
    Target("client", "fetches of 4 KiB a second, to pymogilefs",
           ratio(f"{_CLIENT}/fetch/4 KiB", "Client", "pymogilefs", "per_second"), at_least=3),
    Target("client", "CPU for a fetch, to pymogilefs",
           ratio(f"{_CLIENT}/fetch/4 KiB", "Client", "pymogilefs", "cpu_ms"), at_most=0.5),
    Target("client", "CPU for a store, to pymogilefs",
           ratio(f"{_CLIENT}/store/4 KiB", "Client", "pymogilefs", "cpu_ms"), at_most=0.5),
    Target("client", "CPU for paths, to pymogilefs",
           ratio(f"{_CLIENT}/paths/4 KiB", "Client", "pymogilefs", "cpu_ms"), at_most=0.5),
    Target("client", "fetch of 64 MiB, rate to the floor's",
           ratio(f"{_CLIENT}/fetch/64 MiB", "Client", "floor", "mb_per_second"), at_least=0.9),
    Target("client", "store of 64 MiB, rate to the floor's",
           ratio(f"{_CLIENT}/store/64 MiB", "Client", "floor", "mb_per_second"), at_least=0.9),
    Target("client", "AsyncClient's fetches a second with 64 tasks, to one Client's",
           ratio(f"{_CLIENT}/fetch/4 KiB", "AsyncClient, 64 tasks", "Client", "per_second"),
           at_least=2),
    Target("client", "memory added by 1 GiB up",
           cell("client/memory", "Client", "store: MiB more"), at_most=16, unit=" MiB"),
    Target("client", "memory added by 1 GiB down",
           cell("client/memory", "Client", "fetch: MiB more"), at_most=16, unit=" MiB"),
    Target("client", "fetches of 4 KiB a second on a real cluster, to pymogilefs",
           ratio("client/cluster/fetch/4 KiB", "Client", "pymogilefs", "per_second"),
           at_least=1.9),
    *[Target("node", f"{what} a second on {connections} connection(s), to MogileFS 2.73's {known}*",
             figure(f"tracker/{what}/{connections}", "node", "per_second", known), at_least=times)
      for what, connections, known, times in RECORDED],
    Target("node", "GET of 4 KiB a second, to nginx",
           ratio("door/GET/4 KiB", "node", "nginx", "per_second"), at_least=0.4),
    Target("node", "GET of 4 KiB a second, to MogileFS 2.73's 5,400*",
           figure("door/GET/4 KiB", "node", "per_second", 5400), at_least=5),
    Target("node", "PUT of 4 KiB a second, to MogileFS 2.73's 2,115 on a disk*",
           figure("door/PUT/4 KiB", "node", "per_second", 2115), at_least=3),
    Target("node", "PUT of 4 KiB a second in memory, to MogileFS 2.73's 5,815 there*",
           figure("door/PUT/4 KiB in memory", "node", "per_second", 5815), at_least=3),
    *[Target("node", f"{do} of {size}, rate to nginx's",
             ratio(f"door/{do}/{size}", "node", "nginx", "mb_per_second"), at_least=0.8)
      for size in ("1 MiB", "64 MiB") for do in ("GET", "PUT")],
    *[Target("node", f"{what}, by {name}, to MogileFS 2.73's {recorded:,} by {known:,}*",
             by_peer(question, "node", peer, recorded, known), at_least=times)
      for what, question, name, peer, recorded, known, times in BY_PEER],
    Target("node", "whole stores of 4 KiB a second through the client, to MogileFS 2.73's 84*",
           figure("client/node/store/4 KiB", "Client", "per_second", 84), at_least=8),
    Target("node", "whole fetches of 4 KiB a second through the client, to MogileFS 2.73's 558*",
           figure("client/node/fetch/4 KiB", "Client", "per_second", 558), at_least=4),
    Target("node", "get_paths p50 with 1,000,000 keys, to that with 1,000",
           ratio("growth/get_paths", "1,000,000 keys", "1,000 keys"), at_most=1.3),
    Target("node", "list_keys p50 with 1,000,000 keys, to that with 1,000",
           ratio("growth/list_keys", "1,000,000 keys", "1,000 keys"), at_most=1.3),
    Target("node", "memory with 1,000,000 keys",
           cell("growth", "1,000,000", "memory after the questions, MiB"), at_most=200,
           unit=" MiB"),
    Target("node", "start with 1,000,000 keys",
           cell("growth", "1,000,000", "start, s"), at_most=2, unit=" s"),
    Target("serving", "a bare view's requests a second, to those of the view with a warm cache",
           ratio("serving/4 KiB", "bare view, gunicorn", "the view's headers, gunicorn",
                 "per_second"), at_most=1.5),
    Target("serving", "nginx with local files, to nginx before a bare view",
           ratio("serving/4 KiB", "view + nginx, local files", "bare view behind nginx",
                 "per_second"), at_least=0.7),
    Target("serving", "64 MiB streamed by uvicorn, rate to the node's own",
           ratio("serving/64 MiB", "view streams, uvicorn", "the node itself", "mb_per_second"),
           at_least=0.6),
    Target("serving", "memory added by 32 readers of 64 MiB under uvicorn",
           cell("serving/memory", "uvicorn, 32 readers", "MiB more"), at_most=16, unit=" MiB"),
]  # fmt: skip
