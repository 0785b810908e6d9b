"""The blocking client: drives the operations with sockets that have timeouts."""

from __future__ import annotations

import functools
import os
import select
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, overload
from weakref import WeakValueDictionary

from .admin import AdminOperations
from .config import Config
from .download import Download
from .face import Face
from .files import Cursor, Draft, FileReader, FileWriter, ReplicaFile
from .listing import KeyPages
from .models import checked_key
from .operations import Operations
from .steps import CHUNK, Op, T, no_host_name

P = ParamSpec("P")
ClientT = TypeVar("ClientT", bound="Client")


def run(op: Op[T]) -> T:
    """Drive an operation to its end: make each call that it asks for.

    An operation is over when this returns or raises, also where a signal comes between two steps.
    """
    try:
        step = next(op)
        while True:
            try:
                result = step()
            except BaseException as error:  # noqa: BLE001 - it is the operation's to handle
                step = op.throw(error)
            else:
                step = op.send(result)
    except StopIteration as stop:
        value: T = stop.value
        return value
    except BaseException:
        op.close()
        raise


class BlockingLink:
    """A connected socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._pid = os.getpid()
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self, limit: int = CHUNK) -> bytes:
        return self._socket.recv(limit)

    def exchange(self, data: bytes) -> bytes:
        self._socket.sendall(data)
        return self._socket.recv(CHUNK)

    def stale(self) -> bool:
        return bool(self._poll.poll(0))

    def end(self) -> None:
        """Have whoever waits for it hear that it has ended; who uses it is to close it."""
        if self._pid == os.getpid():  # a fork's child leaves the connection to its parent
            with suppress(OSError):  # it has ended already
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.end()
        self._socket.close()


class BlockingNetwork:
    """Connections with timeouts in seconds, for connecting and for each wait after that."""

    awaits = False

    def __init__(self, connect_timeout: float, timeout: float) -> None:
        self._connect_timeout, self._timeout = connect_timeout, timeout
        self._links: WeakValueDictionary[int, BlockingLink] = WeakValueDictionary()
        self._aborted = False

    def connect(self, host: str, port: int) -> BlockingLink:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except ValueError as error:
            raise no_host_name(host) from error
        failures: list[OSError] = []
        for family, kind, protocol, _, address in found:
            try:
                return self._connect(socket.socket(family, kind, protocol), address)
            except OSError as error:
                failures.append(error)
        raise failures.pop()

    def _connect(self, sock: socket.socket, address: Any) -> BlockingLink:
        link = BlockingLink(sock)
        self._links[id(link)] = link  # before it waits: abort() ends that, too
        try:
            sock.settimeout(self._connect_timeout)
            self._check_aborted()
            sock.connect(address)
            self._check_aborted()
            sock.settimeout(self._timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        except BaseException:
            link.close()
            raise
        return link

    def abort(self) -> None:
        """End what any thread waits for, and let nobody begin to wait."""
        self._aborted = True
        for reference in self._links.valuerefs():
            if link := reference():
                link.end()  # closed, its number could be another connection's when a waiter wakes

    def _check_aborted(self) -> None:
        if self._aborted:
            raise ConnectionAbortedError("this client was aborted")

    def call(self, function: Callable[..., T], *args: Any) -> T:
        return function(*args)


def blocking(
    operation: Callable[Concatenate[Any, P], Op[T]],
) -> Callable[Concatenate[Any, P], T]:
    """The client's method for an operation: same arguments, same contract, it just blocks."""

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return run(operation(self._operations, *args, **kwargs))

    return functools.update_wrapper(method, operation)


class Client(Face):
    """A MogileFS client for one domain (None: for administration only).

    ``trackers`` is ``"host:port"`` (default port 7001), several of these with commas between, or
    a list. They are asked in that order; one that failed is asked last for a while.
    ``connect_timeout`` and ``timeout`` are seconds for connecting and for each wait. ``readonly``
    refuses to change anything. ``zone="alt"`` asks for alternate addresses. ``checksum`` (``"MD5"``
    or ``"SHA-1"``) is computed for every upload. Uploads that cannot be rewound are kept in memory
    up to ``max_spool`` bytes, then in a temporary file.

    Nothing is connected before the first question. Threads may share a client; a fork or a pickle
    gets its own connections. Raises ConfigurationError for what can never work.
    """

    def _network(self, config: Config) -> BlockingNetwork:
        return BlockingNetwork(config.connect_timeout, config.timeout)

    paths = blocking(Operations.paths)
    locate = blocking(Operations.locate)
    info = blocking(Operations.info)
    exists = blocking(Operations.exists)
    size = blocking(Operations.size)
    modified = blocking(Operations.modified)
    debug = blocking(Operations.debug)
    delete = blocking(Operations.delete)
    rename = blocking(Operations.rename)
    set_class = blocking(Operations.set_class)
    copy = blocking(Operations.copy)
    read = blocking(Operations.read)
    download = blocking(Operations.download)
    store = blocking(Operations.store)

    def keys(self, prefix: str = "", *, after: str = "", limit: int | None = None) -> Iterator[str]:
        """The keys that begin with ``prefix``, in the tracker's order, asked for page by page.

        Only those after ``after``, and at most ``limit``. No such key: nothing comes.
        """
        pages = KeyPages(self._operations, prefix, after, limit)
        return self._each_key(pages)

    def _each_key(self, pages: KeyPages) -> Iterator[str]:
        while not pages.ended:
            yield from run(pages.next())

    def stream(
        self,
        key: str,
        *,
        start: int = 0,
        stop: int | None = None,
        paths: Sequence[str] | None = None,
        size: int | None = None,
    ) -> Stream:
        """The file's bytes from ``start`` to before ``stop``, in chunks as they come.

        Where one replica breaks off, the next goes on. ``paths`` (and ``size``, the whole file's
        length) spare the question to the tracker. Reading raises KeyNotFound, StorageUnavailable.
        """
        return Stream(self._operations.reading(key, start=start, stop=stop, paths=paths, size=size))

    @overload
    def open(self, key: str, mode: Literal["rb"] = "rb") -> FileReader: ...
    @overload
    def open(
        self,
        key: str,
        mode: Literal["wb"],
        *,
        mogile_class: str | None = None,
        overwrite: bool = True,
    ) -> FileWriter: ...

    def open(
        self,
        key: str,
        mode: str = "rb",
        *,
        mogile_class: str | None = None,
        overwrite: bool = True,
    ) -> FileReader | FileWriter:
        """The file as a Python file: ``"rb"`` lazy and seekable, ``"wb"`` stored when closed.

        Opening asks nothing; reading or closing raises what ``read`` and ``store`` raise. A
        read-only client raises ReadOnlyError on opening for ``"wb"``.
        """
        checked_key(key)
        if mode == "rb":
            return FileReader(ReplicaFile(Cursor(self._operations, key), run))
        if mode == "wb":
            return FileWriter(Draft(self._operations, key, mogile_class, overwrite), run)
        raise ValueError(f"mode must be 'rb' or 'wb', not {mode!r}")

    @property
    def admin(self) -> Admin:
        """The cluster's administration: domains, classes, hosts, devices, fsck and the rest."""
        return Admin(self._operations)

    def close(self) -> None:
        """Close the idle connections. A client that is used again opens new ones."""
        self._operations.close()

    def abort(self) -> None:
        """End at once what other threads do with this client; they get an error.

        It can do nothing more. For a program that is to end and has threads that wait.
        """
        network = self._operations.network
        assert isinstance(network, BlockingNetwork)
        network.abort()

    def __enter__(self: ClientT) -> ClientT:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Admin:
    """A cluster's administration. Every method waits for one tracker and raises TrackerError."""

    def __init__(self, operations: Operations) -> None:
        self._operations = AdminOperations(operations)

    domains = blocking(AdminOperations.domains)
    create_domain = blocking(AdminOperations.create_domain)
    delete_domain = blocking(AdminOperations.delete_domain)
    classes = blocking(AdminOperations.classes)
    create_class = blocking(AdminOperations.create_class)
    update_class = blocking(AdminOperations.update_class)
    delete_class = blocking(AdminOperations.delete_class)
    hosts = blocking(AdminOperations.hosts)
    create_host = blocking(AdminOperations.create_host)
    update_host = blocking(AdminOperations.update_host)
    delete_host = blocking(AdminOperations.delete_host)
    devices = blocking(AdminOperations.devices)
    create_device = blocking(AdminOperations.create_device)
    set_device_state = blocking(AdminOperations.set_device_state)
    set_device_weight = blocking(AdminOperations.set_device_weight)
    settings = blocking(AdminOperations.settings)
    setting = blocking(AdminOperations.setting)
    set_setting = blocking(AdminOperations.set_setting)
    stats = blocking(AdminOperations.stats)
    jobs = blocking(AdminOperations.jobs)
    version = blocking(AdminOperations.version)
    check = blocking(AdminOperations.check)
    fsck_start = blocking(AdminOperations.fsck_start)
    fsck_stop = blocking(AdminOperations.fsck_stop)
    fsck_reset = blocking(AdminOperations.fsck_reset)
    fsck_status = blocking(AdminOperations.fsck_status)
    fsck_log = blocking(AdminOperations.fsck_log)
    fsck_clear_log = blocking(AdminOperations.fsck_clear_log)
    rebalance_policy = blocking(AdminOperations.rebalance_policy)
    set_rebalance_policy = blocking(AdminOperations.set_rebalance_policy)
    rebalance_test = blocking(AdminOperations.rebalance_test)
    rebalance_start = blocking(AdminOperations.rebalance_start)
    rebalance_stop = blocking(AdminOperations.rebalance_stop)
    rebalance_status = blocking(AdminOperations.rebalance_status)
    rebalance_reset = blocking(AdminOperations.rebalance_reset)
    replicate_now = blocking(AdminOperations.replicate_now)
    fids = blocking(AdminOperations.fids)
    debug_fid = blocking(AdminOperations.debug_fid)
    clear_cache = blocking(AdminOperations.clear_cache)


class Stream:
    """A file's bytes as an iterable of chunks. Closing it early costs the connection."""

    def __init__(self, download: Download) -> None:
        self._download = download

    @property
    def size(self) -> int | None:
        """The whole file's length in bytes; None before it is known."""
        return self._download.size

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        at = self._download.offset
        try:
            if chunk := run(self._download.read()):
                return chunk
        except BaseException:  # a signal's, too, that comes when the bytes have come
            self._download.back_to(at)
            raise
        raise StopIteration

    def close(self) -> None:
        """Stop reading."""
        self._download.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
