"""A replica wherever it lies: on a disk of this node's, or at another storage node."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

from . import remote
from .devices import ALGORITHMS
from .registry import HASH_NAMES

if TYPE_CHECKING:
    from .node import Node

log = logging.getLogger(__name__)


class Replicas:
    """Looks at replicas by device and fid."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def length(self, devid: int, fid: int) -> int | None:
        """A replica's length in bytes; None where it is missing or its host does not answer."""
        if self._node.own_host.owns(devid):
            return self._node.devices.size(devid, fid)
        url = self._node.registry.read_url(devid, fid)
        try:
            return await remote.length(url)
        except remote.RemoteError as error:
            log.warning("cannot look at %s: %s", url, error)
            return None

    async def checksum(self, devid: int, fid: int, algorithm: str) -> str:
        """The digest of a replica's bytes in lower-case hex. OSError or RemoteError."""
        if self._node.own_host.owns(devid):
            return await self._node.devices.checksum(devid, fid, algorithm)
        digest = hashlib.new(ALGORITHMS[algorithm], usedforsecurity=False)
        url = self._node.registry.read_url(devid, fid)
        async with remote.request("GET", url) as response:
            if response.status != 200:
                raise remote.RemoteError(f"GET {url}: status {response.status}")
            async for data in response.chunks():
                digest.update(data)
        return digest.hexdigest()

    def stored_checksum(self, fid: object) -> str | None:
        """What the catalogue keeps as a file's checksum: ``MD5:hex``, None where nothing."""
        rows = self._node.catalog.read(
            "SELECT hashtype, checksum FROM checksum WHERE fid = ?", (fid,)
        )
        if not rows:
            return None
        return f"{HASH_NAMES.get(rows[0][0], rows[0][0])}:{bytes(rows[0][1]).hex()}"
