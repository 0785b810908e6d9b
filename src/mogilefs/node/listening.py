"""How a door stops listening without losing whom it has just let in."""

from __future__ import annotations

import asyncio

TURNS = 3
"""Turns of the event loop from a connection's acceptance until its protocol knows of it."""


async def stop_listening(server: asyncio.Server) -> None:
    """Close the listener; every connection accepted by then has reached its protocol.

    ``Server.close`` alone forgets a connection that was accepted in the loop's last turn: its
    socket stays open, and asyncio logs a failed assertion.
    """
    loop = asyncio.get_running_loop()
    for listener in server.sockets:
        loop.remove_reader(listener.fileno())
    for _ in range(TURNS):
        await asyncio.sleep(0)
    server.close()
