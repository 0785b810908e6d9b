"""The command ``mogilefs``: from an argument list to an exit code."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module, metadata

from . import admin, files, jobs, options, status
from .exits import Exit, Failures, UsageError, code_of, complain, line_of
from .output import Output
from .parsing import Commands, Parser, take_literally
from .signals import Terminated, terminable

DESCRIPTION = """\
Files in MogileFS, and MogileFS itself, from the shell.

Trackers and domain come from --trackers and --domain, or from the environment:
MOGILEFS_TRACKERS=host:7001,other:7001 and MOGILEFS_DOMAIN=name."""

EPILOG = """\
exit codes: 0 done; 1 failed, or several failed for different reasons; 2 wrong usage;
3 no such key (or domain, class, host, device); 4 no tracker answered; 5 no storage node has
or takes the file; 6 the name is taken, or not empty; 130 interrupted; 141 stdout was closed.

MOGILEFS_DEBUG=1 shows where in the program an error came from."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``mogilefs`` with ``argv`` (default: the process's) and return its exit code.

    Never raises for what goes wrong: that is one line on stderr. (--help raises SystemExit.)
    """
    _fill_gaps()
    try:
        with terminable():
            return _run(list(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:
        _abandon_stdout()
        return Exit.BROKEN_PIPE
    except Terminated:
        return Exit.TERMINATED
    except KeyboardInterrupt:
        complain("interrupted")
        return Exit.INTERRUPTED
    except Failures as failures:
        return failures.code
    except Exception as error:  # noqa: BLE001 - a person at a shell gets one line, whatever it is
        return _explain(error)


def parser(argv: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The parser of the whole command line; of ``node`` it knows all only if ``argv`` has it."""
    top = Parser(prog="mogilefs", description=DESCRIPTION, epilog=EPILOG)
    top.add_argument("--version", action="version", version=metadata.version("django-mogilefs"))
    options.shared(top)
    commands = Commands(top, title="commands")
    for module in (files, status, admin, jobs):
        module.add_to(commands)
    _add_node(commands, wanted="node" in argv)
    return top


def _add_node(commands: Commands, *, wanted: bool) -> None:
    """The node is another program's worth of modules: imported only where it is asked for."""
    command = commands.add_alone("node", "run a MogileFS for this machine")
    if wanted:
        node = import_module("mogilefs.cli.node")
        node.configure(command)
        command.set_defaults(run=lambda args, out: node.run(args))


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The parsed command line; ``class KEY… CLASS`` is read as ``class set KEY… CLASS``."""
    argv = take_literally(argv)
    early = Parser(add_help=False)
    options.shared(early)
    given, rest = early.parse_known_args(argv)
    if rest[:1] == ["class"] and len(rest) > 2 and rest[1] not in admin.CLASS_VERBS:
        return parser().parse_args(["class", "set", *rest[1:]], given)
    return parser(argv).parse_args(argv)


def _run(argv: Sequence[str]) -> int:
    args = parse(argv)
    if not hasattr(args, "run"):
        raise UsageError("no command given (try: mogilefs --help)")
    _speak_utf8()
    code = args.run(args, Output(as_json=getattr(args, "json", False)))
    sys.stdout.flush()
    return code or Exit.OK


def _fill_gaps() -> None:
    """What goes to an output that the parent closed is lost; no connection gets its number."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - until the process ends


def _speak_utf8() -> None:
    """Keys are bytes, mostly UTF-8: those that are not must survive into a pipe as well."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        errors = "backslashreplace" if sys.stdout.isatty() else "surrogateescape"
        reconfigure(encoding="utf-8", errors=errors)


def _explain(error: Exception) -> int:
    if os.environ.get("MOGILEFS_DEBUG"):
        traceback.print_exception(error)
    complain(line_of(error))
    return code_of(error)


def _abandon_stdout() -> None:
    """Let the interpreter's last flush of a closed stdout go nowhere instead of failing."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
