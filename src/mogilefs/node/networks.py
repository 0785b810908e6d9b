"""Who may talk to the node: networks in CIDR notation, one check for every door."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from mogilefs.errors import ConfigurationError

LOOPBACK = ("127.0.0.0/8", "::1/128")
"""Who may talk where no network is given."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Networks:
    """The networks that may talk, and nobody else; without any, this machine's loopback only."""

    def __init__(self, allow: Sequence[str] = ()) -> None:
        """``allow``: ``10.0.0.0/8``, ``fd00::/8`` or single addresses; ``ConfigurationError``."""
        self.networks = tuple(map(_network, allow or LOOPBACK))
        self.allows = lru_cache(1024)(self._allows)

    def _allows(self, address: str) -> bool:
        """Whether a peer of this IP address may talk."""
        try:
            peer = _peer(address)
        except ValueError:
            return False
        return any(peer in network for network in self.networks)

    def __repr__(self) -> str:
        return f"Networks({[str(network) for network in self.networks]})"


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text.strip())
    except ValueError as error:
        raise ConfigurationError(
            f"allow: {text!r} is no network such as 10.0.0.0/8: {error}"
        ) from error


def _peer(address: str) -> _Address:
    """A peer's address; one of IPv4 that came in over IPv6 counts as IPv4."""
    peer = ipaddress.ip_address(address.partition("%")[0])
    return getattr(peer, "ipv4_mapped", None) or peer
