"""One line an event, as text or JSON."""

from __future__ import annotations

import io
import json
import logging

import pytest

from mogilefs.node.logs import configure


def logged(*, as_json: bool) -> list[str]:
    stream = io.StringIO()
    logger = logging.getLogger("mogilefs")
    level = logger.level
    handler = configure("info", as_json=as_json, stream=stream)
    try:
        logging.getLogger("mogilefs.test").debug("not this")
        logging.getLogger("mogilefs.test").warning("key %r\nis odd", "a\nb")
        try:
            int("two\nlines")
        except ValueError:
            logging.getLogger("mogilefs.test").exception("it broke")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    return stream.getvalue().splitlines()


def test_text_is_one_line_an_event_whatever_it_holds() -> None:
    first, second = logged(as_json=False)
    assert " WARNING mogilefs.test: key 'a\\nb' | is odd" in first
    assert " ERROR mogilefs.test: it broke | Traceback" in second


def test_json_has_the_same_and_the_traceback_apart() -> None:
    first, second = map(json.loads, logged(as_json=True))
    assert first["level"] == "warning"
    assert first["message"] == "key 'a\\nb'\nis odd"
    assert first["time"].endswith("Z")
    assert "ValueError" in second["traceback"]
    assert second["message"] == "it broke"


@pytest.mark.parametrize("level", ["chatty", ""])
def test_an_unknown_level_is_refused(level: str) -> None:
    with pytest.raises(ValueError, match="Unknown level"):
        configure(level, as_json=False)
