"""Coroutines that begin in the call that asks for them, and not in the loop's next turn.

A turn of the event loop and a task take longer than many a command. What a coroutine does before
its first wait is done at once, outside of any task: so nothing there may ask for the current one,
as ``asyncio.timeout`` does.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Begun(Generic[T]):
    """The rest of a coroutine that has come to its first wait: to be awaited, once."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], waits_for: Any) -> None:
        self._coroutine, self._waits_for = coroutine, waits_for

    def __await__(self) -> Generator[Any, Any, T]:
        waits_for = self._waits_for
        try:
            while True:
                try:
                    result = yield waits_for
                except BaseException as error:  # noqa: BLE001  # it is the coroutine's to handle
                    waits_for = self._coroutine.throw(error)
                else:
                    waits_for = self._coroutine.send(result)
        except StopIteration as stop:
            value: T = stop.value
            return value


def begin(coroutine: Coroutine[Any, Any, T]) -> T | Begun[T]:
    """Run a coroutine to its first wait; its result where there is none. Raises what it raises."""
    try:
        waits_for = coroutine.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    return Begun(coroutine, waits_for)
