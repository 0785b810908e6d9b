"""Addresses as text: ``127.0.0.1:7001``, ``[::1]:7001``."""

from __future__ import annotations

import ipaddress

from ..errors import ConfigurationError


def parse_address(text: str, setting: str) -> tuple[str, int]:
    """Host and port (0 to 65535) of ``host:port``; ConfigurationError names the setting."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigurationError(f"{setting} must be HOST:PORT, not {text!r}")
    return host, int(port)


def format_address(host: str, port: int) -> str:
    """The text of an address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_address(host: str) -> bool:
    """Is it an IP address, not a name?"""
    return _address(host) is not None


def is_loopback(host: str) -> bool:
    """Is it an address that only this machine can reach?"""
    address = _address(host)
    return address is not None and address.is_loopback


def is_wildcard(host: str) -> bool:
    """Is it the address that stands for all of a machine's: ``0.0.0.0`` or ``::``?"""
    address = _address(host)
    return address is not None and address.is_unspecified


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
