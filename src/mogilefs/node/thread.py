"""A node beside a program that has no event loop: in a thread and a loop of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .node import Node

log = logging.getLogger(__name__)


class NodeThread:
    """Runs a node beside the caller. ``with`` gives the node, ready; ``stop`` may be repeated."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="mogilefs-node", daemon=True)

    def __enter__(self) -> Node:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> Node:
        """Start the node; returns when it answers, raises what its start raised."""
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error
        return self._node

    def stop(self) -> None:
        """Stop the node and wait until it has stopped."""
        if self._loop is not None and self._thread.is_alive():
            try:
                self._loop.call_soon_threadsafe(self._stop.set)
            except RuntimeError:  # the loop ended by itself in this moment
                log.debug("the node had stopped already")
            self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # raised again in start()
            if self._ready.is_set():
                log.exception("the node's thread ended")
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        async with self._node:
            self._loop = asyncio.get_running_loop()
            self._ready.set()
            await self._stop.wait()
