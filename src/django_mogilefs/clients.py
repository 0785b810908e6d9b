"""One client for each process and configuration, shared by storages and by the view."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured

from mogilefs import AsyncClient, Client, ConfigurationError


@dataclass(frozen=True)
class ClientOptions:
    """What a client is made of; equal options share one client. See ``mogilefs.Client``."""

    domain: str
    trackers: tuple[str, ...]
    connect_timeout: float
    timeout: float
    readonly: bool
    zone: str | None
    checksum: str | None
    max_spool: int

    @classmethod
    def names(cls) -> list[str]:
        """The options' names, which are also the storage's."""
        return [field.name for field in fields(cls)]


ClientT = TypeVar("ClientT", Client, AsyncClient)

_clients: dict[ClientOptions, Client] = {}
_async_clients: dict[ClientOptions, AsyncClient] = {}


def get_client(options: ClientOptions) -> Client:
    """The process's client for these options; making it opens no connection.

    Threads share it; after a fork it connects anew by itself. Raises ImproperlyConfigured where
    no client can be made of the options.
    """
    client = _clients.get(options)
    if client is None:
        # Two threads may make one at once: setdefault lets both go on with the same.
        client = _clients.setdefault(options, _make(options, Client))
    return client


def get_async_client(options: ClientOptions) -> AsyncClient:
    """The same for asyncio; in every event loop it opens connections of its own."""
    client = _async_clients.get(options)
    if client is None:
        client = _async_clients.setdefault(options, _make(options, AsyncClient))
    return client


def _make(options: ClientOptions, kind: type[ClientT]) -> ClientT:
    try:
        return kind(**asdict(options))
    except ConfigurationError as error:
        raise ImproperlyConfigured(f"MogileFS: {error}") from error
