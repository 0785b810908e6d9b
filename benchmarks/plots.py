"""Pictures of a run: bars of operations a second, contestants side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .harness import Sheet, Table
from .report import number
from .targets import table

Answers = Sequence["Table | Sheet"]

BARS = {
    "clients-small": ("Small files through the clients, operations a second",
                      ["client/node/paths/4 KiB", "client/node/fetch/4 KiB",
                       "client/node/store/4 KiB", "client/node/fetch/64 KiB",
                       "client/node/store/64 KiB"], "per_second"),
    "clients-large": ("Large files through the clients, MB/s",
                      ["client/node/fetch/1 MiB", "client/node/store/1 MiB",
                       "client/node/fetch/64 MiB", "client/node/store/64 MiB"], "mb_per_second"),
    "tracker": ("A tracker's commands a second on 64 connections",
                [f"tracker/{what}/64" for what in
                 ("get_paths", "file_info", "create_open", "create_close")], "per_second"),
    "door": ("The storage door, requests a second",
             [f"door/{do}/{size}" for size in ("4 KiB", "64 KiB") for do in ("GET", "PUT")],
             "per_second"),
    "storage": ("MogileFSStorage beside FileSystemStorage, operations a second",
                [f"storage/{do}/{size}" for size in ("4 KiB", "1 MiB") for do in ("save", "open")],
                "per_second"),
    "growth": ("Growth: milliseconds (p50) by the number of keys",
               [f"growth/{what}" for what in
                ("get_paths", "list_keys", "listdir of the top", "create")], "p50_ms"),
    "serving": ("The view through every front, requests a second",
                ["serving/4 KiB", "serving/64 KiB"], "per_second"),
}  # fmt: skip


def draw(answers: Answers, directory: Path) -> dict[str, str]:
    """Draw what can be drawn of a run: file name -> title. Nothing where matplotlib is missing."""
    try:
        import matplotlib
    except ImportError:
        return {}
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "mogilefs"  # the same figures make the same file
    directory.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for name, (title, questions, field) in BARS.items():
        found = [one for one in (table(answers, question) for question in questions) if one]
        if found:
            _bars(directory / f"{name}.svg", title, found, field)
            drawn[f"{directory.name}/{name}.svg"] = title
    return drawn


def _bars(path: Path, title: str, tables: Sequence[Table], field: str) -> None:
    from matplotlib import pyplot

    names = list(dict.fromkeys(one.contestant for table in tables for one in table.figures))
    height = 0.8 / len(names)
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.28 * len(names) * len(tables)))
    for at, name in enumerate(names):
        values = [getattr(one.of(name), field, 0.0) if one.of(name) else 0.0 for one in tables]
        places = [row + at * height for row in range(len(tables))]
        bars = axes.barh(places, values, height, label=name)
        axes.bar_label(bars, [number(value) if value else "" for value in values], fontsize=7)
    axes.set_yticks([row + 0.4 - height / 2 for row in range(len(tables))])
    axes.set_yticklabels([one.title.partition(", on the")[0] for one in tables])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_title(title)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
