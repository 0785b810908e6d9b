"""Every command of the tracker protocol, in one table: name -> function.

A command is a function of the context (the node, who asks) and the request. It returns the
values of its ``OK``, or raises CommandError for an ``ERR``. Those that only read are plain
functions and run on the event loop; those that write or wait are coroutine functions.
"""

from __future__ import annotations

from importlib import import_module

from .table import COMMANDS, CommandError, Context, Values, command

for _module in ("uploads", "files", "listing", "classes", "hosts", "server", "fsck", "rebalance"):
    import_module(f"{__name__}.{_module}")

__all__ = ["COMMANDS", "CommandError", "Context", "Values", "command"]
