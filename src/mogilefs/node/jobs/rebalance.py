"""Rebalancing: queues files to be moved off devices, by policy, one device after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable
from sqlite3 import Connection

from ..catalog import Catalog
from ..registry import number_setting, setting
from . import records
from .context import JobContext
from .evacuate import queue_moves
from .job import Job
from .rebalancepolicy import RebalancePolicy, RebalanceState, parse
from .records import get_setting, set_setting

log = logging.getLogger(__name__)

POLICY = "rebal_policy"
STATE = "rebal_state"
HOST = "rebal_host"
"""The server settings that MogileFS keeps a rebalance in."""

DRAINED = "rebal_drained_dev"
"""The node's own: the device that was alive before the rebalance put it into drain."""

BATCH = 100
"""Files queued in one go. A limit is kept within a batch, too."""


def running(catalog: Catalog) -> bool:
    """Is a rebalance under way?"""
    return bool(setting(catalog, HOST))


def devices_in_work(catalog: Catalog) -> set[int]:
    """Devices that a rebalance holds in state drain, with limits of its own."""
    state = setting(catalog, STATE) if running(catalog) else ""
    return {RebalanceState.parse(state).sdev_current} - {0} if state else set()


class Rebalance(Job):
    """Works while the setting ``rebal_host`` is there, so that a restart goes on by itself."""

    def __init__(self, context: JobContext, move: Callable[[], None]) -> None:
        super().__init__(context.timings.poll)
        self._context = context
        self._move = move

    async def step(self) -> bool:
        catalog = self._context.catalog
        if not running(catalog):
            return False
        state = RebalanceState.parse(setting(catalog, STATE))
        policy = parse(setting(catalog, POLICY))
        if not state.sdev_current:
            await self._next_device(state)
            return running(catalog)
        if self._waiting(state.sdev_current) >= self._room():
            return False
        files = [] if _exhausted(policy, state) else await self._files(policy, state)
        if not files:
            return await self._leave_device(policy, state)
        return await self._queue(policy, state, files)

    def _waiting(self, devid: int) -> int:
        """Files of a device that are queued and have not failed to move."""
        ((count,),) = self._context.catalog.read(
            "SELECT count(*) FROM file_to_queue WHERE type = ? AND devid = ? AND failcount = 0",
            (records.REBALANCE_QUEUE, devid),
        )
        return int(count)

    def _room(self) -> int:
        size = number_setting(self._context.catalog, "queue_size_for_rebal")
        return size or self._context.timings.backlog

    async def _files(self, policy: RebalancePolicy, state: RebalanceState) -> list[tuple[int, int]]:
        """The next files on the device: fid and length, in the order of the policy."""
        below, order = ("<", "DESC") if policy.newest_first else (">", "ASC")
        reached = state.sdev_lastfid or (2**62 if policy.newest_first else 0)
        # The plus keeps SQLite on the index by fid: that by device would sort all of its files.
        sql = (
            "SELECT file.fid, coalesce(file.length, 0) FROM file_on JOIN file USING (fid)"  # noqa: S608 - two constants
            f" WHERE +file_on.devid = ? AND file_on.fid {below} ?"
            f" ORDER BY file_on.fid {order} LIMIT ?"
        )
        rows = await self._context.catalog.scan(
            lambda db: db.execute(sql, (state.sdev_current, reached, BATCH)).fetchall()
        )
        return [(fid, length) for fid, length in rows]

    async def _next_device(self, state: RebalanceState) -> None:
        """Take up the next source device, or finish where there is none."""
        if not state.source_devs:
            state.time_finished = records.now()
            await self._context.catalog.write(lambda db: _finish(db, state))
            log.info("rebalance finished: %d files queued", state.fids_queued)
            return
        state.sdev_current = state.source_devs.pop(0)
        state.sdev_lastfid = state.sdev_limit = 0
        await self._save(state, _drain)

    async def _queue(
        self, policy: RebalancePolicy, state: RebalanceState, files: list[tuple[int, int]]
    ) -> bool:
        """Queue files, not more than the limit."""
        moves = []
        for fid, length in files:
            if _exhausted(policy, state):
                break
            cost = length if policy.limit_by == "size" else 1
            moves.append((fid, state.sdev_current))
            state.sdev_lastfid = fid
            state.fids_queued += 1
            state.bytes_queued += length
            state.limit += cost if policy.limit_global else 0
            state.sdev_limit += 0 if policy.limit_global else cost
        state.time_latest_run = records.now()
        targets = self._targets(policy)
        await self._context.catalog.write(lambda db: _save(db, state, moves, targets))
        self._move()
        return True

    def _targets(self, policy: RebalancePolicy) -> str | None:
        """Where the files may go; None: wherever their class allows. ``0`` is no device at all."""
        targets = policy.targets(self._context.registry.devices.values())
        if targets or policy.restricted:
            return ",".join(map(str, targets)) or "0"
        return None

    async def _leave_device(self, policy: RebalancePolicy, state: RebalanceState) -> bool:
        """Once its files are moved, the device takes new ones again."""
        if self._waiting(state.sdev_current):
            return False
        done, state.sdev_current = state.sdev_current, 0
        state.completed_devs.append(done)
        await self._save(state, _leave_drained if policy.leave_in_drain_mode else _undrain)
        log.info("rebalance is done with device %d", done)
        return True

    async def _save(self, state: RebalanceState, change: Callable[[Connection, int], None]) -> None:
        """Keep the state, and change the current device's with it."""

        def save(db: Connection) -> None:
            _save(db, state)
            if _is_running(db):
                change(db, state.sdev_current)

        await self._context.catalog.write(save)
        self._context.registry.reload()


def _exhausted(policy: RebalancePolicy, state: RebalanceState) -> bool:
    """Is the limit reached?"""
    spent = state.limit if policy.limit_global else state.sdev_limit
    return policy.limit_by != "none" and 0 < policy.limit <= spent


def _is_running(db: Connection) -> bool:
    return bool(get_setting(db, HOST))


def _save(
    db: Connection,
    state: RebalanceState,
    moves: list[tuple[int, int]] | None = None,
    targets: str | None = None,
) -> None:
    if not _is_running(db):  # stopped in this moment
        return
    set_setting(db, STATE, state)
    if moves:
        queue_moves(db, moves, targets)


def _finish(db: Connection, state: RebalanceState) -> None:
    _save(db, state)
    set_setting(db, HOST, None)


def set_policy(db: Connection, text: str) -> None:
    """Keep a policy, or none where ``text`` is empty; what the one before had done is forgotten."""
    set_setting(db, POLICY, text or None)
    set_setting(db, STATE, None)


def start(db: Connection, host: str, sources: list[int]) -> RebalanceState | None:
    """Begin a run, or go on with one that was stopped; None where one is under way."""
    if _is_running(db):
        return None
    text = get_setting(db, STATE)
    state = RebalanceState.parse(text)
    if not text or state.time_finished:
        state = RebalanceState(source_devs=sources, time_started=records.now())
    state.time_stopped = 0
    set_setting(db, HOST, host)
    set_setting(db, STATE, state)
    if state.sdev_current:
        _drain(db, state.sdev_current)
    return state


def stop(db: Connection) -> bool:
    """End a run for now; False where none is under way. What is queued is still moved."""
    if not _is_running(db):
        return False
    state = RebalanceState.parse(get_setting(db, STATE))
    state.time_stopped = records.now()
    set_setting(db, STATE, state)
    set_setting(db, HOST, None)
    _undrain(db, state.sdev_current)
    return True


def _drain(db: Connection, devid: int) -> None:
    """No new files for the device in work, and a note if it did take some."""
    sql = "UPDATE device SET status = 'drain' WHERE devid = ? AND status = 'alive'"
    if db.execute(sql, (devid,)).rowcount:
        set_setting(db, DRAINED, devid)


def _undrain(db: Connection, _devid: int) -> None:
    """The device that took files before takes them again; an operator's drain is left alone."""
    db.execute(
        "UPDATE device SET status = 'alive' WHERE status = 'drain' AND devid ="
        " (SELECT CAST(value AS INTEGER) FROM server_settings WHERE field = ?)",
        (DRAINED,),
    )
    set_setting(db, DRAINED, None)


def keep_drained(db: Connection, devid: int) -> None:
    """Somebody has said what the device's state is to be: no rebalance takes that back."""
    sql = "DELETE FROM server_settings WHERE field = ? AND value = ?"
    db.execute(sql, (DRAINED, str(devid)))


def _leave_drained(db: Connection, _devid: int) -> None:
    set_setting(db, DRAINED, None)
