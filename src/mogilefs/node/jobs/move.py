"""The rebalance queue: files that are to leave a device for another."""

from __future__ import annotations

from . import records
from .context import JobContext
from .filequeue import FileQueueJob, Queued
from .placement import Outcome, Placer, Wish


class Move(FileQueueJob):
    """Copies files elsewhere and then removes the copy that was to go."""

    kind = records.REBALANCE_QUEUE

    def __init__(self, context: JobContext) -> None:
        super().__init__(context)
        self._placer = Placer(context)

    async def work(self, item: Queued) -> None:
        targets = None
        if item.targets:
            targets = frozenset(int(devid) for devid in item.targets.split(",") if devid.isdigit())
        settled = await self._placer.settle(Wish(item.fid, leaving=item.devid, targets=targets))
        if settled.outcome is Outcome.RETRY:
            await self.failed(item)
        else:
            await self.forget(item)
