"""Raw conversations with a door of the node: bytes out, bytes in, nothing in between."""

from __future__ import annotations

import asyncio
from typing import NamedTuple


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def put(url, content, *fields):
    """A PUT of a file, whole."""
    head = [f"PUT {url} HTTP/1.1", "Host: x", f"Content-Length: {len(content)}", *fields]
    return "\r\n".join([*head, "", ""]).encode() + content


def request(method, url):
    """A request without a body."""
    return f"{method} {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


async def converse(address, *packets, pause=None):
    """Send the packets, say no more, and return all that comes back until the door closes."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        for packet in packets:
            writer.write(packet)
            await writer.drain()
            if pause:
                await pause(reader)
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()


async def read_reply(reader, *, head_only=False):
    """One HTTP reply, interim ones left out."""
    head = await reader.readuntil(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")[:-2]
    headers = dict(field.split(": ", 1) for field in fields)
    code = int(status.split(" ")[1])
    if code == 100:
        return await read_reply(reader, head_only=head_only)
    length = 0 if head_only or code in (204, 304) else int(headers["Content-Length"])
    return Reply(code, headers, await reader.readexactly(length))


async def ask(address, request, *, head_only=None):
    """Send one request as it stands and return the reply to it."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(request)
        only = request.startswith(b"HEAD") if head_only is None else head_only
        return await read_reply(reader, head_only=only)
    finally:
        writer.close()


async def read_until_closed(address, request=b""):
    """What the door says until it closes, whether by an end or by a reset."""
    reader, writer = await asyncio.open_connection(*address)
    got = b""
    try:
        writer.write(request)
        while data := await reader.read(2**16):
            got += data
    except ConnectionError:
        pass
    finally:
        writer.close()
    return got
