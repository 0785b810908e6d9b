"""An event loop in a thread of its own, for tests that are not coroutines themselves."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager


@contextmanager
def running_loop():
    """Yields a function that runs a coroutine in the loop and returns its result."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
