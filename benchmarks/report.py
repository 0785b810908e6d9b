"""What was measured as a page: tables, targets beside measurements, plots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from .harness import Figures, Sheet, Table
from .targets import RECORDED_NOTE, Verdict

Answers = Sequence["Table | Sheet"]

INTRODUCTION = """\
# Performance

What `make bench` saw on one machine in one run. Contestants take turns in shuffled rounds; figures
are medians of the rounds, "±" is half the distance of their quartiles, p99 is over all operations.
A ratio is the median of the rounds' own ratios to the line marked 1.00. A line marked *noisy* moved
by more than 30 % from round to round and says little. Absolute numbers mean little on another
machine: run `make bench` on yours.
"""


def write_json(path: Path, machine: Mapping[str, str], answers: Answers) -> None:
    """All figures, for programs."""
    data = {"machine": machine, "answers": [answer.plain() for answer in answers]}
    path.write_text(json.dumps(data, indent=1, default=str) + "\n")


def markdown(
    machine: Mapping[str, str], answers: Answers, verdicts: Sequence[Verdict],
    plots: Mapping[str, str], remarks: str,
) -> str:  # fmt: skip
    """The page."""
    parts = [INTRODUCTION, "## The machine\n", *(f"- {name}: {v}" for name, v in machine.items())]
    parts += ["", "## Targets\n", _targets(verdicts), RECORDED_NOTE, ""]
    if remarks:
        parts += [remarks]
    parts += ["## Plots\n", *(f"![{title}]({name})\n" for name, title in plots.items())]
    parts += ["## All figures\n", *(_answer(answer) for answer in answers)]
    return "\n".join(parts).rstrip() + "\n"


def _targets(verdicts: Sequence[Verdict]) -> str:
    rows = [
        [one.target.where, one.target.text, one.target.wanted, one.told, one.word]
        for one in verdicts
    ]
    return _grid(["issue", "what", "target", "measured", ""], rows)


def _answer(answer: Table | Sheet) -> str:
    parts = [f"### {answer.title}\n"]
    if isinstance(answer, Table):
        parts.append(_grid(TITLES, [_line(one, answer.baseline) for one in answer.figures]))
    else:
        parts.append(_grid(answer.columns, [[number(one) for one in row] for row in answer.rows]))
    return "\n".join([*parts, *(f"{note}\n" for note in answer.notes)])


TITLES = ["contestant", "p50 ms", "p99 ms", "a second", "MB/s", "CPU ms each", "ratio", "±", ""]


def _line(one: Figures, baseline: str) -> list[str]:
    return [
        one.contestant,
        number(one.p50_ms),
        number(one.p99_ms),
        number(one.per_second),
        number(one.mb_per_second) if one.mb_per_second else "",
        "" if one.cpu_ms is None else number(one.cpu_ms),
        "1.00" if one.contestant == baseline else f"{one.ratio:.2f}",
        f"{one.spread:.0%}",
        "*noisy*" if one.noisy else "",
    ]


def number(value: object) -> str:
    """A figure with as many digits as mean something."""
    if not isinstance(value, float):
        return "" if value is None else str(value)
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.3g}"


def _grid(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
