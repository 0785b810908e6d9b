"""The ``mogilefs`` command: a table from subcommand to the module that has it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from ..errors import MogileFSError

SUBCOMMANDS = {
    "node": "run a MogileFS for this machine",
}
"""Each is a module of this package with ``configure(parser)`` and ``run(options) -> exit code``."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mogilefs", description="MogileFS from the command line")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in SUBCOMMANDS.items():
        module = import_module(f"{__name__}.{name}")
        subparser = commands.add_parser(name, help=summary, description=module.__doc__)
        module.configure(subparser)
        subparser.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done, 1 failed (told on stderr), 2 misused."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except MogileFSError as error:
        print(f"mogilefs {options.command}: {error}", file=sys.stderr)
        return 1
