"""What both clients have in common: settings, pickling, letting go."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

from .config import Config, parse_trackers
from .operations import Operations
from .pool import Pool
from .steps import Network


def _close(*pools: Pool) -> None:
    for pool in pools:
        pool.close()


class Face:
    """A client's settings and operations; a subclass brings the driver."""

    def __init__(
        self,
        domain: str | None,
        trackers: str | Sequence[str],
        *,
        connect_timeout: float = Config.connect_timeout,
        timeout: float = Config.timeout,
        readonly: bool = False,
        zone: str | None = None,
        checksum: str | None = None,
        max_spool: int = Config.max_spool,
    ) -> None:
        self._set_up(
            Config(
                domain,
                parse_trackers(trackers),
                connect_timeout=connect_timeout,
                timeout=timeout,
                readonly=readonly,
                zone=zone,
                checksum=checksum,
                max_spool=max_spool,
            )
        )

    def _set_up(self, config: Config) -> None:
        self._operations = Operations(config, self._network(config))
        pools = self._operations.trackers.pool, self._operations.http.pool
        # Not when this goes: a stream or an admin that was made from it goes on with them.
        weakref.finalize(self._operations, _close, *pools)

    def _network(self, config: Config) -> Network:
        raise NotImplementedError

    @property
    def domain(self) -> str | None:
        """The domain that this client was made for."""
        return self._operations.config.domain

    def __getstate__(self) -> Config:
        return self._operations.config

    def __setstate__(self, config: Config) -> None:
        self._set_up(config)

    def __repr__(self) -> str:
        config = self._operations.config
        trackers = ",".join(map(str, config.trackers))
        return f"{type(self).__name__}({config.domain!r}, {trackers!r})"
