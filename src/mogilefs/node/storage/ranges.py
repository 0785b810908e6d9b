"""Which bytes a ``Range`` header asks for."""

from __future__ import annotations

import re

_RANGE = re.compile(rb"\s*bytes\s*=\s*([0-9]{0,20})\s*-\s*([0-9]{0,20})\s*", re.IGNORECASE)


class Unsatisfiable(ValueError):
    """A range that has no byte of the file: answered with 416."""


def parse_range(header: bytes, size: int) -> tuple[int, int] | None:
    """The first byte and the one after the last; None where the whole file is to be sent.

    Several ranges, other units and what is no range at all are ignored, as the original does. A
    range that ends before it begins, or begins behind the end, is ``Unsatisfiable``.
    """
    found = _RANGE.fullmatch(header)
    if not found or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, stop = max(0, size - int(found[2])), size
    else:
        start = int(found[1])
        stop = min(size, int(found[2]) + 1) if found[2] else size
    if start >= stop:
        raise Unsatisfiable(header.decode("latin-1"))
    return start, stop
