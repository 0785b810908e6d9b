"""The embedded MogileFS: tracker, storage node and background jobs in one process."""

from __future__ import annotations

from .node import Node

__all__ = ["Node"]
