"""Coroutines that begin in the call that asks for them."""

from __future__ import annotations

import asyncio

import pytest

from mogilefs.node.eager import Begun, begin


async def double(future: asyncio.Future[int]) -> int:
    try:
        return 2 * await future
    except LookupError:
        return 2 * await asyncio.sleep(0, -1)


def begun(future: asyncio.Future[int]) -> Begun[int]:
    rest = begin(double(future))
    assert isinstance(rest, Begun)
    return rest


async def test_what_never_waits_is_done_at_once() -> None:
    done = asyncio.get_running_loop().create_future()
    done.set_result(21)
    assert begin(double(done)) == 42


async def test_an_error_at_once_is_raised_at_once() -> None:
    failed = asyncio.get_running_loop().create_future()
    failed.set_exception(ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        begin(double(failed))


async def test_the_rest_goes_on_in_a_task() -> None:
    future = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(begun(future))
    await asyncio.sleep(0)
    assert not task.done()
    future.set_result(21)
    assert await task == 42


async def test_the_coroutine_may_handle_what_its_wait_raises() -> None:
    future = asyncio.get_running_loop().create_future()
    rest = begun(future)
    future.set_exception(KeyError)
    assert await rest == -2


async def test_a_cancelled_task_cancels_what_the_coroutine_waits_for() -> None:
    future = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(begun(future))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert future.cancelled()
