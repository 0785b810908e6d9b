"""Bringing one file's copies to where its policy wants them: copying, adopting, trimming."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from sqlite3 import Connection
from typing import NamedTuple

from ..chance import chance, draw
from ..policies import (
    DEFAULT_POLICY,
    Decision,
    Place,
    PolicyError,
    Satisfied,
    TooMany,
    WantsMore,
    parse,
)
from ..registry import HASH_NAMES, FileClass
from . import records
from .context import JobContext
from .foreign import StorageError
from .records import FileRow
from .replicas import CopyFailed

log = logging.getLogger(__name__)

MAX_STEPS = 32
"""Copies made and removed for one file before it goes to the end of the queue."""

MAX_FAILURES = 6
"""Copies that fail in one go before the file is postponed."""


class Outcome(Enum):
    """What became of a file."""

    DONE = "done"
    RETRY = "retry"
    NO_SOURCE = "no source"


class Settled(NamedTuple):
    """What became of a file, and what of it that was judged by: its class and its locations.

    Who changes either while a file is being settled queues it again: that must not be forgotten.
    """

    outcome: Outcome
    classid: int | None = None
    locations: int = 0


def decide(file_class: FileClass, copies: Collection[Place], places: Collection[Place]) -> Decision:
    """What the class's policy says about a file that is on ``copies``."""
    text = file_class.replpolicy or DEFAULT_POLICY
    try:
        policy = parse(text)
    except PolicyError:  # written by another tracker with plugins: the default keeps files safe
        log.warning("class %s has a policy that is unknown here: %s", file_class.name, text)
        policy = parse(DEFAULT_POLICY)
    return policy.decide(copies, places, file_class.mindevcount)


@dataclass
class Wish:
    """What is to be done with a file beyond its policy.

    ``source``: copy from there if possible. ``leaving``: the device that is to lose its copy.
    ``targets``: the only devices that copies may go to.
    """

    fid: int
    source: int | None = None
    leaving: int | None = None
    targets: frozenset[int] | None = None


@dataclass
class _Progress:
    """What went wrong so far, so that the next attempt goes another way."""

    failures: int = 0
    bad_sources: set[int] = field(default_factory=set)
    slow_sources: set[int] = field(default_factory=set)
    bad_targets: set[int] = field(default_factory=set)


class Placer:
    """Settles files one at a time. The caller holds the claim on the file."""

    def __init__(self, context: JobContext) -> None:
        self._context = context

    async def settle(self, wish: Wish) -> Settled:
        """Copy and remove until the policy holds, or nothing more can be done now."""
        progress = _Progress()
        for _ in range(MAX_STEPS):
            file = records.find_file(self._context.catalog, wish.fid)
            if file is None:
                return Settled(Outcome.DONE)
            known = records.locations(self._context.catalog, wish.fid)
            outcome = await self._look(file, self._context.live(known), wish, progress)
            if outcome is not None:
                return Settled(outcome, file.classid, len(known))
        return Settled(Outcome.RETRY)

    async def settled(self, fid: int) -> Settled | None:
        """The same at once, for a file of which everything is right already; else None."""
        file = records.find_file(self._context.catalog, fid)
        if file is None:
            return Settled(Outcome.DONE)
        known = records.locations(self._context.catalog, fid)
        copies = self._context.live(known)
        decision = self._decide(file, copies, self._context.places(file.length))
        if not copies or not isinstance(decision, Satisfied):
            return None
        if await self._context.replicas.strays(fid, copies):
            return None
        return Settled(Outcome.DONE, file.classid, len(known))

    def _decide(self, file: FileRow, copies: list[int], places: dict[int, Place]) -> Decision:
        file_class = self._context.registry.file_class(file.dmid, file.classid)
        return decide(file_class, [places[devid] for devid in copies], list(places.values()))

    async def _look(
        self, file: FileRow, copies: list[int], wish: Wish, progress: _Progress
    ) -> Outcome | None:
        if copies:
            return await self._step(file, copies, wish, progress)
        return None if await self._adopt(file) else Outcome.NO_SOURCE

    async def _step(
        self, file: FileRow, copies: list[int], wish: Wish, progress: _Progress
    ) -> Outcome | None:
        """One copy made or removed (None: look again), or what became of the file."""
        closed = frozenset(progress.bad_targets | {wish.leaving or 0})
        places = self._context.places(file.length, closed)
        decision = self._decide(file, [d for d in copies if d != wish.leaving], places)
        if isinstance(decision, WantsMore):
            return await self._add(file, copies, decision, wish, progress)
        if wish.leaving in copies:
            return await self._leave(file, copies, wish.leaving)
        if isinstance(decision, TooMany) and wish.leaving is None:
            return await self._trim(file, copies, decision)
        return await self._finish(file, copies)

    async def _add(
        self,
        file: FileRow,
        copies: list[int],
        decision: WantsMore,
        wish: Wish,
        progress: _Progress,
    ) -> Outcome | None:
        candidates = [
            place
            for place in decision.candidates
            if wish.targets is None or place.devid in wish.targets
        ]
        source = self._source(copies, wish.source, progress)
        if not candidates or source is None or progress.failures >= MAX_FAILURES:
            return Outcome.RETRY
        target = await self._target(file.fid, copies, candidates)
        try:
            await self._copy(file, source, target)
        except CopyFailed as error:
            log.warning("copy failed: %s", error)
            progress.failures += 1
            if error.source_is_bad:
                progress.bad_sources.add(source)
            else:
                progress.slow_sources.add(source)
                progress.bad_targets.add(target)
        return None

    def _source(self, copies: list[int], wanted: int | None, progress: _Progress) -> int | None:
        """A device to copy from: the one wished for, else any, one that failed only at last."""
        usable = [
            devid
            for devid in copies
            if devid not in progress.bad_sources and self._context.may_read(devid)
        ]
        chance.shuffle(usable)
        usable.sort(key=lambda devid: (devid in progress.slow_sources, devid != wanted))
        return usable[0] if usable else None

    async def _target(self, fid: int, copies: list[int], candidates: list[Place]) -> int:
        """A device to copy to. One that has a copy nobody knows of is overwritten first."""
        strays = await self._context.replicas.strays(fid, copies)
        stray = [place for place in candidates if place.devid in strays]
        return draw(stray or candidates).devid

    async def _copy(self, file: FileRow, source: int, target: int) -> None:
        """A verified, durable copy, then its row, and the checksum that the class wants."""
        file_class = self._context.registry.file_class(file.dmid, file.classid)
        stored = records.checksum(self._context.catalog, file.fid)
        algorithm = stored.algorithm if stored else HASH_NAMES.get(file_class.hashtype or 0)
        digest = await self._context.replicas.copy(
            file.fid,
            source,
            target,
            length=file.length,
            algorithm=algorithm,
            checksum=stored.hex if stored else None,
        )

        def note(db: Connection) -> None:
            records.add_location(db, file.fid, target)
            if digest and not stored and file_class.hashtype:
                records.store_checksum(db, file.fid, file_class.hashtype, digest)

        await self._context.catalog.write(note, durable=False)

    async def _adopt(self, file: FileRow) -> bool:
        """A file that the catalogue has nowhere, found on an own disk with its length and sum."""
        strays = await self._context.replicas.strays(file.fid, [])
        for devid, size in strays.items():
            if size == file.length and await self.verified(file.fid, devid):
                log.warning("fid %d was found on device %d", file.fid, devid)
                await self._context.catalog.write(
                    lambda db, devid=devid: records.add_location(db, file.fid, devid)  # type: ignore[misc]  # bound now
                )
                return True
        return False

    async def verified(self, fid: int, devid: int) -> bool:
        """Does a copy have the checksum that is stored? True where none is."""
        stored = records.checksum(self._context.catalog, fid)
        if stored is None:
            return True
        try:
            found = await self._context.replicas.checksum(devid, fid, stored.algorithm)
        except StorageError:
            return False
        return found == stored.hex

    async def _sound(self, file: FileRow, devids: Collection[int]) -> set[int]:
        """Which of the copies are there with the right length."""
        sound = set()
        for devid in devids:
            if not self._context.may_read(devid):
                continue
            try:
                if await self._context.replicas.size(devid, file.fid) == file.length:
                    sound.add(devid)
            except StorageError as error:
                log.debug("fid %d on device %d not seen: %s", file.fid, devid, error)
        return sound

    async def _leave(self, file: FileRow, copies: list[int], devid: int) -> Outcome | None:
        """Remove the copy on the device to be left, once all others are seen to be there."""
        others = [other for other in copies if other != devid]
        sound = await self._sound(file, others)
        if not self._context.may_delete(devid) or len(sound) < len(others):
            return Outcome.RETRY
        return await self._drop_one(file.fid, copies, [devid])

    async def _trim(self, file: FileRow, copies: list[int], decision: TooMany) -> Outcome | None:
        """Remove one surplus copy: a bad one if there is one, else that on the fullest device."""
        sound = await self._sound(file, copies)
        removable = [place for place in decision.surplus if self._context.may_delete(place.devid)]
        bad = [place for place in removable if place.devid not in sound]
        if not removable or len(sound) < len(copies) - len(bad[:1]):
            return Outcome.RETRY
        surplus = bad or sorted(removable, key=lambda place: place.free)
        return await self._drop_one(file.fid, copies, [place.devid for place in surplus])

    async def _drop_one(self, fid: int, copies: list[int], surplus: list[int]) -> Outcome | None:
        """Remove the first copy beside which another has the checksum that is stored, if one is.

        Its row goes first, for good: no row may outlive its bytes.
        """
        for devid in surplus:
            if await self._any_verified(fid, [other for other in copies if other != devid]):
                await self._context.catalog.write(
                    partial(records.drop_location, fid=fid, devid=devid)
                )
                await self._remove(fid, devid)
                return None
        log.warning("fid %d keeps its copies: those to stay have not its checksum", fid)
        return Outcome.RETRY

    async def _any_verified(self, fid: int, devids: list[int]) -> bool:
        for devid in devids:
            if await self.verified(fid, devid):
                return True
        return False

    async def _remove(self, fid: int, devid: int) -> None:
        try:
            await self._context.replicas.delete(devid, fid)
        except StorageError as error:
            log.warning("fid %d stays on device %d: %s", fid, devid, error)

    async def _finish(self, file: FileRow, copies: list[int]) -> Outcome:
        """All is well; a copy on an own disk that nobody knows of only takes up room."""
        strays = await self._context.replicas.strays(file.fid, copies)
        useless = [devid for devid in strays if self._context.may_delete(devid)]
        if useless and len(await self._sound(file, copies)) == len(copies):
            for devid in useless:
                log.info("fid %d has a copy too many on device %d", file.fid, devid)
                await self._remove(file.fid, devid)
        return Outcome.DONE
