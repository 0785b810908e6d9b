"""Jobs that work on several items at a time, some of which take for ever."""

from __future__ import annotations

import asyncio

import pytest

from mogilefs.node.jobs.job import MOST, QueueJob

WORKERS = 2


class Held(QueueJob[int]):
    """Works on all items; those below ``held`` wait until they are let go."""

    def __init__(self, held: int, items: int) -> None:
        super().__init__(0.01, WORKERS)
        self._held, self._left = held, list(range(items))
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.let_go = asyncio.Event()

    def due(self, limit: int) -> list[int]:
        items, self._left = self._left[:limit], self._left[limit:]
        return items

    async def work(self, item: int) -> None:
        self.begun.append(item)
        if item < self._held:
            await self.let_go.wait()

    async def failed(self, item: int) -> None:
        raise AssertionError(item)

    def done(self, item: int) -> None:
        self.ended.append(item)


async def until_ended(job: Held, count: int) -> None:
    while len(job.ended) < count:
        await asyncio.sleep(0.005)


async def test_work_that_takes_for_ever_keeps_the_rest_from_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mogilefs.node.jobs.job.LONG_SECONDS", 0.05)
    job = Held(held=WORKERS, items=20)
    job.start()
    await asyncio.wait_for(until_ended(job, 18), 20)
    job.let_go.set()
    await asyncio.wait_for(until_ended(job, 20), 20)
    await job.stop()


async def test_no_more_is_begun_than_can_be_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mogilefs.node.jobs.job.LONG_SECONDS", 0.0)
    job = Held(held=100, items=100)
    job.start()
    for _ in range(50):
        await job.step()
    assert len(job.begun) <= MOST * WORKERS
    job.let_go.set()
    await asyncio.wait_for(until_ended(job, 100), 20)
    await job.stop()
