"""One client for each process and configuration, shared by storages and by the view."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from django.core.exceptions import ImproperlyConfigured

from mogilefs import Client, ConfigurationError


@dataclass(frozen=True)
class ClientOptions:
    """What a client is made of; equal options share one client. See ``mogilefs.Client``."""

    domain: str
    trackers: tuple[str, ...]
    connect_timeout: float = 2.0
    timeout: float = 10.0
    readonly: bool = False
    zone: str | None = None
    checksum: str | None = None
    max_spool: int = 8 * 2**20

    @classmethod
    def names(cls) -> list[str]:
        """The options' names, which are also the storage's."""
        return [field.name for field in fields(cls)]


_clients: dict[ClientOptions, Client] = {}


def get_client(options: ClientOptions) -> Client:
    """The process's client for these options; making it opens no connection.

    Threads share it; after a fork it connects anew by itself. Raises ImproperlyConfigured where
    no client can be made of the options.
    """
    client = _clients.get(options)
    if client is None:
        # Two threads may make one at once: setdefault lets both go on with the same.
        client = _clients.setdefault(options, _make(options))
    return client


def _make(options: ClientOptions) -> Client:
    try:
        return Client(**asdict(options))
    except ConfigurationError as error:
        raise ImproperlyConfigured(f"MogileFS: {error}") from error
