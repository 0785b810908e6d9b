"""The asyncio client: drives the same operations as the blocking one."""

from __future__ import annotations

import functools
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Sequence
from types import TracebackType
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, overload

from .admin import AdminOperations
from .aionet import AsyncNetwork
from .config import Config
from .download import Download
from .face import Face
from .files import Cursor, Draft
from .listing import KeyPages
from .models import checked_key
from .operations import Operations
from .steps import Op, T

P = ParamSpec("P")
ClosingT = TypeVar("ClosingT", bound="Closing")


async def run(op: Op[T]) -> T:
    """Drive an operation to its end: await each call that it asks for."""
    try:
        step = next(op)
        while True:
            try:
                result = await step()
            except BaseException as error:  # noqa: BLE001 - it is the operation's to handle
                step = op.throw(error)
            else:
                step = op.send(result)
    except StopIteration as stop:
        value: T = stop.value
        return value


def awaiting(
    operation: Callable[Concatenate[Any, P], Op[T]],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """The client's coroutine for an operation: same arguments, same contract."""

    async def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await run(operation(self._operations, *args, **kwargs))

    return functools.update_wrapper(method, operation)


class Closing:
    """``async with`` closes it at the end. Awaiting it gives itself, so both spellings work."""

    async def close(self) -> None:
        """Let go."""
        raise NotImplementedError

    async def __aenter__(self: ClosingT) -> ClosingT:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __await__(self: ClosingT) -> Generator[Any, None, ClosingT]:
        yield from ()
        return self


class AsyncStream(Closing):
    """A file's bytes as an async iterable of chunks. Used by one task at a time.

    Closing it early costs the connection; a task that waits for a chunk then gets a ValueError.
    """

    def __init__(self, download: Download) -> None:
        self._download = download

    @property
    def size(self) -> int | None:
        """The whole file's length in bytes; None before it is known."""
        return self._download.size

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = await run(self._download.read())
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def close(self) -> None:
        """Stop reading."""
        self._download.close()


class AsyncFileReader(Closing):
    """A file being read: lazy and seekable. Used by one task at a time.

    Nothing is asked before the first read (or seek from the end, or ``size``). Raises KeyNotFound
    and StorageUnavailable from there.
    """

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self.name = cursor.key
        self.closed = False

    async def size(self) -> int:
        """The file's length in bytes."""
        return await self._run(self._cursor.size())

    async def read(self, size: int | None = -1) -> bytes:
        """``size`` bytes, fewer only at the end of the file; all that is left by default.

        What was cancelled can be read again: nothing of it is lost.
        """
        limit = None if size is None or size < 0 else size
        return await self._run(self._cursor.read_whole(limit))

    async def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to another place; the new position."""
        return await self._run(self._cursor.seek(offset, whence))

    def tell(self) -> int:
        """The position in bytes."""
        self._check_open()
        return self._cursor.position

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Chunks as they come, not lines."""
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._run(self._cursor.read())
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def _run(self, op: Op[T]) -> T:
        self._check_open()
        return await run(op)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    async def close(self) -> None:
        """Stop reading."""
        self.closed = True
        self._cursor.close()


class AsyncFileWriter(Closing):
    """A file being written: under its key when it is closed, and never if its ``with`` raised."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self.name = draft.key
        self.closed = False

    async def write(self, data: bytes) -> int:
        """Take ``data``; how many bytes that was."""
        self._check_open()
        return self._draft.file.write(data)

    def tell(self) -> int:
        """How many bytes were written."""
        self._check_open()
        return self._draft.file.tell()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    async def close(self) -> None:
        """Store what was written; raises what ``store`` raises."""
        if not self.closed:
            self.closed = True
            await run(self._draft.store())

    def discard(self) -> None:
        """Close without storing anything."""
        self.closed = True
        self._draft.discard()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            await self.close()
        else:
            self.discard()


class AsyncClient(Face):
    """Client for asyncio: the same arguments, the same methods, as coroutines.

    ``open`` and ``stream`` give objects for ``async with``; ``keys`` an async iterator. Tasks may
    share a client. Connections belong to the event loop that opened them; in another loop the
    client opens its own.
    """

    def _network(self, config: Config) -> AsyncNetwork:
        return AsyncNetwork(config.connect_timeout, config.timeout)

    paths = awaiting(Operations.paths)
    locate = awaiting(Operations.locate)
    info = awaiting(Operations.info)
    exists = awaiting(Operations.exists)
    size = awaiting(Operations.size)
    modified = awaiting(Operations.modified)
    debug = awaiting(Operations.debug)
    delete = awaiting(Operations.delete)
    rename = awaiting(Operations.rename)
    set_class = awaiting(Operations.set_class)
    copy = awaiting(Operations.copy)
    read = awaiting(Operations.read)
    download = awaiting(Operations.download)
    store = awaiting(Operations.store)

    async def keys(
        self, prefix: str = "", *, after: str = "", limit: int | None = None
    ) -> AsyncIterator[str]:
        """The keys that begin with ``prefix``, in the tracker's order, asked for page by page.

        Only those after ``after``, and at most ``limit``. No such key: nothing comes.
        """
        pages = KeyPages(self._operations, prefix, after, limit)
        while not pages.ended:
            for key in await run(pages.next()):
                yield key

    def stream(
        self,
        key: str,
        *,
        start: int = 0,
        stop: int | None = None,
        paths: Sequence[str] | None = None,
        size: int | None = None,
    ) -> AsyncStream:
        """The file's bytes from ``start`` to before ``stop``, in chunks as they come.

        Where one replica breaks off, the next goes on. ``paths`` (and ``size``, the whole file's
        length) spare the question to the tracker. Reading raises KeyNotFound, StorageUnavailable.
        """
        return AsyncStream(
            self._operations.reading(key, start=start, stop=stop, paths=paths, size=size)
        )

    @overload
    def open(self, key: str, mode: Literal["rb"] = "rb") -> AsyncFileReader: ...
    @overload
    def open(
        self,
        key: str,
        mode: Literal["wb"],
        *,
        mogile_class: str | None = None,
        overwrite: bool = True,
    ) -> AsyncFileWriter: ...

    def open(
        self,
        key: str,
        mode: str = "rb",
        *,
        mogile_class: str | None = None,
        overwrite: bool = True,
    ) -> AsyncFileReader | AsyncFileWriter:
        """The file for ``async with``: ``"rb"`` lazy and seekable, ``"wb"`` stored when closed.

        Opening asks nothing; reading or closing raises what ``read`` and ``store`` raise. A
        read-only client raises ReadOnlyError on opening for ``"wb"``.
        """
        checked_key(key)
        if mode == "rb":
            return AsyncFileReader(Cursor(self._operations, key))
        if mode == "wb":
            return AsyncFileWriter(Draft(self._operations, key, mogile_class, overwrite))
        raise ValueError(f"mode must be 'rb' or 'wb', not {mode!r}")

    @property
    def admin(self) -> AsyncAdmin:
        """The cluster's administration: domains, classes, hosts, devices, fsck and the rest."""
        return AsyncAdmin(self._operations)

    async def close(self) -> None:
        """Close the idle connections. A client that is used again opens new ones."""
        self._operations.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


class AsyncAdmin:
    """A cluster's administration. Every method waits for one tracker and raises TrackerError."""

    def __init__(self, operations: Operations) -> None:
        self._operations = AdminOperations(operations)

    domains = awaiting(AdminOperations.domains)
    create_domain = awaiting(AdminOperations.create_domain)
    delete_domain = awaiting(AdminOperations.delete_domain)
    classes = awaiting(AdminOperations.classes)
    create_class = awaiting(AdminOperations.create_class)
    update_class = awaiting(AdminOperations.update_class)
    delete_class = awaiting(AdminOperations.delete_class)
    hosts = awaiting(AdminOperations.hosts)
    create_host = awaiting(AdminOperations.create_host)
    update_host = awaiting(AdminOperations.update_host)
    delete_host = awaiting(AdminOperations.delete_host)
    devices = awaiting(AdminOperations.devices)
    create_device = awaiting(AdminOperations.create_device)
    set_device_state = awaiting(AdminOperations.set_device_state)
    set_device_weight = awaiting(AdminOperations.set_device_weight)
    settings = awaiting(AdminOperations.settings)
    setting = awaiting(AdminOperations.setting)
    set_setting = awaiting(AdminOperations.set_setting)
    stats = awaiting(AdminOperations.stats)
    jobs = awaiting(AdminOperations.jobs)
    version = awaiting(AdminOperations.version)
    check = awaiting(AdminOperations.check)
    fsck_start = awaiting(AdminOperations.fsck_start)
    fsck_stop = awaiting(AdminOperations.fsck_stop)
    fsck_reset = awaiting(AdminOperations.fsck_reset)
    fsck_status = awaiting(AdminOperations.fsck_status)
    fsck_log = awaiting(AdminOperations.fsck_log)
    fsck_clear_log = awaiting(AdminOperations.fsck_clear_log)
    rebalance_policy = awaiting(AdminOperations.rebalance_policy)
    set_rebalance_policy = awaiting(AdminOperations.set_rebalance_policy)
    rebalance_test = awaiting(AdminOperations.rebalance_test)
    rebalance_start = awaiting(AdminOperations.rebalance_start)
    rebalance_stop = awaiting(AdminOperations.rebalance_stop)
    rebalance_status = awaiting(AdminOperations.rebalance_status)
    rebalance_reset = awaiting(AdminOperations.rebalance_reset)
    replicate_now = awaiting(AdminOperations.replicate_now)
    fids = awaiting(AdminOperations.fids)
    debug_fid = awaiting(AdminOperations.debug_fid)
    clear_cache = awaiting(AdminOperations.clear_cache)
