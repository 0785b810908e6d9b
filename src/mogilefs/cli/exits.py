"""How a command ends: exit codes that scripts can use, and errors in one line."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from enum import IntEnum

from tqdm import tqdm

from mogilefs import errors


class Exit(IntEnum):
    """The exit codes of ``mogilefs``. They are an interface: a number never changes its meaning."""

    OK = 0
    FAILED = 1
    USAGE = 2
    MISSING = 3
    NO_TRACKER = 4
    NO_STORAGE = 5
    TAKEN = 6
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


class UsageError(Exception):
    """The command line or the environment asks for what makes no sense; the text says why."""


class Failures(Exception):
    """Some of several things failed, each told already; ``codes`` are their exit codes."""

    def __init__(self, codes: set[int]) -> None:
        self.codes = codes
        super().__init__("some failed")

    @property
    def code(self) -> int:
        """The one code that all failures share, else the general one."""
        return next(iter(self.codes)) if len(self.codes) == 1 else Exit.FAILED


class Tally:
    """Does several things though some fail: each failure is told at once, and raised in the end.

    What would fail for all the rest too (no tracker answers, stdout is closed) is raised at once.
    Failures with the exit code ``ignore`` are none.
    """

    def __init__(self, ignore: Exit | None = None) -> None:
        self._codes: set[int] = set()
        self._ignored = ignore

    @contextlib.contextmanager
    def noting(self, name: str = "") -> Iterator[None]:
        """Note a failure of the block, told with ``name`` before it."""
        try:
            yield
        except (BrokenPipeError, errors.TrackersUnavailable):
            raise
        except (errors.MogileFSError, UsageError, OSError) as error:
            if code_of(error) != self._ignored:
                self._codes.add(code_of(error))
                complain(f"{printable(name)}: {line_of(error)}" if name else line_of(error))

    def settle(self) -> None:
        """Raise Failures if there was any."""
        if self._codes:
            raise Failures(self._codes)


def complain(line: str) -> None:
    """One line on stderr, in the command's name, that breaks no progress bar."""
    with contextlib.suppress(OSError):  # nobody listens: what is to be done is done all the same
        tqdm.write(f"mogilefs: {line}", file=sys.stderr)


_BY_CLASS: tuple[tuple[type[Exception], Exit], ...] = (
    (UsageError, Exit.USAGE),
    (errors.ConfigurationError, Exit.USAGE),
    (errors.InvalidKey, Exit.USAGE),
    (errors.KeyNotFound, Exit.MISSING),
    (errors.DomainNotFound, Exit.MISSING),
    (errors.ClassNotFound, Exit.MISSING),
    (errors.KeyExists, Exit.TAKEN),
    (errors.AlreadyExists, Exit.TAKEN),
    (errors.NotEmpty, Exit.TAKEN),
    (errors.TrackersUnavailable, Exit.NO_TRACKER),
    (errors.StorageUnavailable, Exit.NO_STORAGE),
    (errors.NoDevice, Exit.NO_STORAGE),
)
_MISSING_CODES = {"unknown_host", "host_not_found", "unknown_hostid", "no_device", "unknown_fid"}


def code_of(error: BaseException) -> int:
    """The exit code for an error."""
    if isinstance(error, Failures):
        return error.code
    for kind, code in _BY_CLASS:
        if isinstance(error, kind):
            return code
    missing = isinstance(error, errors.TrackerError) and error.code in _MISSING_CODES
    return Exit.MISSING if missing else Exit.FAILED


def line_of(error: BaseException) -> str:
    """What went wrong in one printable line."""
    return printable(_text_of(error))


def _text_of(error: BaseException) -> str:
    if isinstance(error, errors.KeyNotFound):
        return f"no such key: {error.key}"
    if isinstance(error, errors.MogileFSError | UsageError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}"


def printable(text: str) -> str:
    """``text`` with what would move a terminal's cursor or end a line written as escapes."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
