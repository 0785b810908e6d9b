"""What a command says on stdout: tables for people, JSON for programs, raw bytes."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from .exits import printable

Row = Mapping[str, Any]
Columns = Mapping[str, str | Callable[[Row], object]]
"""A table's columns: title -> the row's field, or what makes the cell from the row."""

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


class Output:
    """Writes a command's answer to stdout, as JSON if ``as_json``."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json

    def listing(self, items: Iterable[Any], columns: Columns) -> None:
        """Any number of things: a JSON array, or a table with a line for each.

        ``items`` are mappings or dataclasses. As JSON they are written one by one, so that any
        number takes constant memory; a table needs all of them for its widths.
        """
        rows = map(plain, items)
        if self.as_json:
            self._array(rows)
        else:
            self._table(
                [[_cell(row, column) for column in columns.values()] for row in rows], columns
            )

    def records(self, items: Iterable[Any]) -> None:
        """Several things of many fields each: a JSON array, or a line for each field."""
        if self.as_json:
            self._array(map(plain, items))
            return
        for at, item in enumerate(items):
            self._write("\n" if at else "")
            self.record(item)

    def record(self, item: Any) -> None:
        """One thing: a JSON object, or a line for each field."""
        row = plain(item)
        if self.as_json:
            self._write(_json(row, indent=2) + "\n")
            return
        width = max(map(len, row), default=0)
        for name, value in row.items():
            for text in _texts(value):
                self._write(f"{name:<{width}}  {text}".rstrip() + "\n")

    def lines(self, names: Iterable[str], field: str, *, end: str = "\n") -> None:
        """Names alone: a line for each, or a JSON array of objects with that one ``field``.

        On a terminal what is not printable is escaped; into a pipe or file goes the name itself.
        """
        if self.as_json:
            self._array({field: name} for name in names)
            return
        shown = printable if sys.stdout.isatty() else str
        for name in names:
            self._write(shown(name) + end)

    def say(self, text: str) -> None:
        """One line for people; nothing when the output is JSON."""
        if not self.as_json:
            self._write(printable(text) + "\n")

    def _array(self, rows: Iterable[Row]) -> None:
        before = "["
        for row in rows:
            self._write(f"{before}\n  {_json(row)}")
            before = ","
        self._write("[]\n" if before == "[" else "\n]\n")

    def _table(self, cells: Sequence[Sequence[str]], columns: Columns) -> None:
        lines = [list(columns), *cells]
        widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
        for line in lines:
            padded = (f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
            self._write("  ".join(padded).rstrip() + "\n")

    def _write(self, text: str) -> None:
        sys.stdout.write(text)


def plain(item: Any) -> dict[str, Any]:
    """A mapping or a dataclass as a dictionary."""
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        return dataclasses.asdict(item)
    return dict(item)


def size(count: float | None) -> str:
    """A number of bytes for people: ``1.5 GiB``; empty where it is not known."""
    if count is None:
        return ""
    for unit in UNITS:
        if abs(count) < 1024 or unit == UNITS[-1]:
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def _json(value: object, indent: int | None = None) -> str:
    return json.dumps(value, default=_text, indent=indent)


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _cell(row: Row, column: str | Callable[[Row], object]) -> str:
    value = column(row) if callable(column) else row.get(column)
    return printable("" if value is None else str(value))


def _texts(value: object) -> list[str]:
    if isinstance(value, Mapping):
        value = [f"{name} {one}" for name, one in value.items()]
    values = value if isinstance(value, list | tuple) else [value]
    return [printable("" if one is None else str(one)) for one in values]
