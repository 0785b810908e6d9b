"""Logs: one line an event, as text for people or as JSON for machines."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone
from typing import TextIO

LEVELS = ("debug", "info", "warning", "error")


def configure(level: str, *, as_json: bool, stream: TextIO | None = None) -> logging.Handler:
    """Send this package's log to ``stream`` (stderr); returns the handler."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if as_json else TextLines())
    logger = logging.getLogger("mogilefs")
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    return handler


class TextLines(logging.Formatter):
    """``2026-11-22T18:00:00.000Z WARNING mogilefs.node.tracker: …``, whatever the message holds."""

    def format(self, record: logging.LogRecord) -> str:
        when = _time(record)
        text = f"{when} {record.levelname} {record.name}: {record.getMessage()}"
        if record.exc_info:
            text += " | " + self.formatException(record.exc_info)
        return " | ".join(text.splitlines())


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            event["traceback"] = self.formatException(record.exc_info)
        return json.dumps(event)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
