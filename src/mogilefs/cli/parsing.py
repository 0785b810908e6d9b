"""How commands are put into the parser, and how it tells an error."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from . import options
from .exits import UsageError
from .output import Output

Run = Callable[[argparse.Namespace, Output], "int | None"]
"""What carries out a command: its exit code, or None for success. What fails is raised."""


class Argument(str):
    """What stands behind ``--``: an argument, whatever it looks like, and no option's value."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        """argparse asks whether it is ``--``: it is not."""
        return other != "--" and str.__eq__(self, other)


def take_literally(argv: Sequence[str]) -> list[str]:
    """The command line without its first ``--``; what follows that are Arguments.

    argparse forgets about the ``--`` where options may stand between arguments.
    """
    if "--" not in argv:
        return list(argv)
    at = argv.index("--")
    return [*argv[:at], *map(Argument, argv[at + 1 :])]


class Parser(argparse.ArgumentParser):
    """An argument parser that tells an error in one line and takes no abbreviations."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        settings.setdefault("allow_abbrev", False)
        super().__init__(**settings)

    _mixing = False

    def parse_known_args(  # type: ignore[override]  # its overloads say nothing more here
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse's, but options may stand between arguments: ``put FILE --class NAME KEY``."""
        if self._mixing or any(action.nargs == argparse.PARSER for action in self._actions):
            return super().parse_known_args(args, namespace)
        self._mixing = True  # the call below may come back here
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixing = False

    def _parse_optional(self, arg_string: str) -> Any:
        if isinstance(arg_string, Argument):
            return None
        return super()._parse_optional(arg_string)

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        if action.option_strings and any(isinstance(value, Argument) for value in arg_strings):
            raise argparse.ArgumentError(action, "expected one argument")
        if action.option_strings and "--" in arg_strings:  # which argparse would take out
            raise argparse.ArgumentError(action, "cannot be '--'")
        return super()._get_values(action, arg_strings)

    def error(self, message: str) -> NoReturn:
        """Raise UsageError instead of printing the usage and exiting."""
        raise UsageError(f"{message} (try: {self.prog} --help)")


class Commands:
    """The commands below a parser; each takes the shared options too."""

    def __init__(self, parser: argparse.ArgumentParser, title: str) -> None:
        self._parsers = parser.add_subparsers(title=title, metavar="COMMAND")

    def add(self, name: str, run: Run, help: str, more: str = "") -> argparse.ArgumentParser:
        """A command that ``run`` carries out. ``help`` is its line, ``more`` its description."""
        parser = self._parsers.add_parser(name, help=help, description=more or f"{help}.")
        options.shared(parser)
        parser.set_defaults(run=run)
        return parser

    def add_alone(self, name: str, help: str) -> argparse.ArgumentParser:
        """A command that needs no client, and so takes none of the shared options."""
        return self._parsers.add_parser(name, help=help, description=f"{help}.")

    def group(self, name: str, run: Run, help: str, more: str = "") -> Commands:
        """A noun with verbs of its own; ``run`` is for the noun alone."""
        return Commands(self.add(name, run, help, more), title="what to do")
