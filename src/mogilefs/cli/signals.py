"""Signals: SIGTERM ends a command as Ctrl-C does, whatever it waits for."""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Terminated(KeyboardInterrupt):
    """SIGTERM came: end as for Ctrl-C, with nothing half-done left behind."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that temporary files are removed."""
    if not _in_main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


class _Pipe(io.RawIOBase):
    """A pipe or terminal that is read only when there is something to read, or a signal to obey."""

    def __init__(self, file: BinaryIO, signals: int) -> None:
        self._file, self._signals = file.fileno(), signals

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        while True:
            ready, _, _ = select.select([self._file, self._signals], [], [])
            if self._signals in ready:
                os.read(self._signals, 64)
            else:
                return os.readv(self._file, [buffer])


@contextlib.contextmanager
def interruptible(file: BinaryIO) -> Iterator[BinaryIO]:
    """``file`` so that no signal leaves a reader waiting for who has nothing more to say.

    A signal that comes just before a blocking read would be acted on only after it.
    """
    if file.seekable() or not _in_main_thread():
        yield file
        return
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    before = signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
    try:
        yield io.BufferedReader(_Pipe(file, ours))
    finally:
        signal.set_wakeup_fd(before)
        os.close(ours)
        os.close(theirs)
