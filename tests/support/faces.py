"""One way to call both clients, so that one suite of tests says how both behave.

``BlockingFace`` is a Client. ``AsyncFace`` runs each coroutine of an AsyncClient to its end and
makes its files and iterators look like the blocking ones.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from mogilefs import AsyncClient, Client

BlockingFace = Client


class Loop:
    """An event loop that runs what it is given, one thing at a time."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def run(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(awaitable)

    def close(self) -> None:
        self.run(self.loop.shutdown_asyncgens())
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()


class AsyncFace:
    """An AsyncClient, called as if it were a Client."""

    def __init__(self, loop: Loop, *args: Any, **options: Any) -> None:
        self._loop = loop
        self._client = AsyncClient(*args, **options)

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if not callable(attribute):
            return attribute
        return lambda *args, **kwargs: _blocking(self._loop, attribute(*args, **kwargs))

    @property
    def admin(self) -> Any:
        return _Plain(self._loop, self._client.admin)

    def open(self, *args: Any, **kwargs: Any) -> Any:
        return _Opened(self._loop, self._client.open(*args, **kwargs))

    def stream(self, *args: Any, **kwargs: Any) -> Any:
        return _Opened(self._loop, self._client.stream(*args, **kwargs))

    def __enter__(self) -> AsyncFace:
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.run(self._client.close())


def _blocking(loop: Loop, result: Any) -> Any:
    if inspect.isawaitable(result):
        return loop.run(result)
    if hasattr(result, "__anext__"):
        return _each(loop, result)
    return result


def _each(loop: Loop, iterator: Any) -> Iterator[Any]:
    nothing = object()
    while (item := loop.run(_following(iterator, nothing))) is not nothing:
        yield item


async def _following(iterator: Any, nothing: object) -> Any:
    return await anext(iterator, nothing)


class _Plain:
    def __init__(self, loop: Loop, thing: Any) -> None:
        self._loop, self._thing = loop, thing

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._thing, name)
        return lambda *args, **kwargs: _blocking(self._loop, attribute(*args, **kwargs))


class _Opened(_Plain):
    """A file or stream of an AsyncClient."""

    @property
    def size(self) -> int:
        size = self._thing.size
        return int(self._loop.run(size()) if callable(size) else size)

    @property
    def closed(self) -> bool:
        return bool(self._thing.closed)

    def tell(self) -> int:
        return int(self._thing.tell())

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return int(self._loop.run(self._thing.seek(offset, whence)))

    def __iter__(self) -> Iterator[bytes]:
        return _each(self._loop, aiter(self._thing))

    def __enter__(self) -> _Opened:
        self._loop.run(self._thing.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.run(self._thing.__aexit__(kind, error, traceback))
