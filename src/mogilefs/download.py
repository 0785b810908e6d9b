"""Reading a file from its replicas, going on with the next one where one breaks off."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence

from .errors import MogileFSError, ProtocolError, StorageUnavailable
from .http1 import Http, Response
from .models import Found
from .steps import BULK, Op, why

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)")
_FID = re.compile(r"/0*(\d+)\.fid$")


class BadReplica(Exception):
    """A replica's answer is not the file. Never leaves this package."""


class Download:
    """The bytes of one file from ``start`` to before ``stop``, in order.

    ``find`` asks the tracker where the file is, and once more when no replica gives the first
    byte: the key may stand for another file by then. ``paths`` and ``size`` (bytes), where the
    caller knows them, spare the first of these questions. Once bytes were given, or where the
    caller named the paths, only the same fid's replicas are used: two files are never mixed.
    """

    def __init__(
        self,
        key: str,
        http: Http,
        find: Callable[[], Op[Found]],
        *,
        start: int = 0,
        stop: int | None = None,
        paths: Sequence[str] | None = None,
        size: int | None = None,
    ) -> None:
        if start < 0 or (stop is not None and stop < 0):
            raise ValueError(f"start and stop count from 0, not {start} and {stop}")
        self._key, self._http, self._ask = key, http, find
        self._paths = list(paths) if paths is not None else []
        self.size: int | None = None
        self.end: int | None = None
        """Where the wanted bytes end; None while the size is not known."""
        self.offset = start
        self._stop = stop
        self._done = False
        if size is not None:
            self._know(size)
        self._given = bool(paths)
        self._asked = 0
        self._response: Response | None = None
        self._url = ""
        self._reasons: dict[str, str] = {}
        self._delivered = self._closed = False
        self._pid = os.getpid()
        self._cause: Exception | None = None

    def _know(self, size: int) -> None:
        """The whole file's length was told."""
        self.size = size
        self.end = size if self._stop is None else min(self._stop, size)
        self._done = self.offset >= self.end

    def read(self, limit: int = BULK) -> Op[bytes]:
        """The next bytes, at most ``limit``; ``b""`` at the end.

        Raises StorageUnavailable when no replica has them, KeyNotFound when there is no such key,
        ValueError after ``close``.
        """
        if self._pid != os.getpid():
            self._drop()  # a fork's child leaves the connection to its parent
            self._pid = os.getpid()
        while True:
            response = self._response or (yield from self._begin())
            if response is None:
                return b""
            assert self.end is not None  # whoever opened it told the size
            left = self.end - self.offset
            try:
                data = yield from response.read(min(limit, left))
            except (OSError, ProtocolError) as error:
                self._failed(error)
                continue
            except BaseException:
                if self._http.tears:
                    self._drop()
                raise
            if not data:
                self._failed(BadReplica(f"ended after {self.offset} bytes"))
                continue
            if len(data) == left:
                yield from self._finish()  # interrupted here, the next read gives these bytes anew
                self._done = True
            self._delivered = True
            self.offset += len(data)
            return data

    def _begin(self) -> Op[Response | None]:
        """A replica that sends the next bytes; None where no more are wanted."""
        if self._closed and not self._done:
            raise self._too_late()
        nothing = self._stop is not None and self._stop <= self.offset
        if self.size is None and (nothing or not self._paths):
            yield from self._find()
        if not self._done:
            yield from self._next_replica()
        if self._done:
            yield from self._finish()
        elif self._closed:  # while this waited
            self._drop()
            raise self._too_late()
        return self._response

    def _too_late(self) -> ValueError:
        return ValueError(f"{self._key!r} was closed before its end was read")

    def _finish(self) -> Op[None]:
        """Nothing more is wanted: a replica that has more is not the file.

        One that breaks now has given all that was wanted.
        """
        response, self._response = self._response, None
        if response is None:
            return
        try:
            whole = self.end == self.size and response.length is None
            more = whole and (yield from response.read(1))
            if not more:
                yield from response.skip()
        except (OSError, ProtocolError):
            response.close()
            return
        except BaseException:
            response.close()
            raise
        if more:
            response.close()
            self._cause = BadReplica(f"goes on after {self.size} bytes")
            self._reasons[self._url] = str(self._cause)
            raise self._unavailable()

    def _find(self) -> Op[None]:
        """Ask the tracker where the file is and how long."""
        self._asked += 1
        found = yield from self._ask()
        if (self._delivered or self._given) and not self._same_fid(found):
            raise self._unavailable()
        if found.length != self.size:  # what failed was held against another length
            self._reasons.clear()
        if not self._paths or self._reasons:
            self._paths = [path for path in found.paths if path not in self._reasons]
        self._know(found.length)

    def _may_ask(self) -> bool:
        """Once; and once more where what the tracker said has failed."""
        again = self._asked == 1 and self._reasons and not self._given
        return not self._asked or bool(again)

    def _same_fid(self, found: Found) -> bool:
        known = [_fid(path) for path in [*self._paths, *self._reasons]]
        return not known or str(found.fid) in known

    def _next_replica(self) -> Op[None]:
        """Open the best replica that did not fail yet. Raises StorageUnavailable."""
        while self._response is None:
            if not self._paths and self._may_ask():
                yield from self._find()
            if self._done:  # a range past the end of the file, which every replica refuses
                return
            if not self._paths:
                raise self._unavailable()
            self._url = self._best()
            try:
                yield from self._open(self._url)
            except (OSError, ProtocolError, BadReplica) as error:
                self._failed(error)

    def _best(self) -> str:
        """The first path, but those on hosts that failed lately come last."""
        if len(self._paths) > 1 and not self._http.health.all_well:
            self._paths.sort(key=self._http.pause)
        return self._paths[0]

    def _open(self, url: str) -> Op[None]:
        whole = self._stop is None or (self.size is not None and self._stop >= self.size)
        stop = None if whole else self._stop
        response = yield from self._http.get(url, self.offset, stop)
        try:
            before = self._check(response)
        except (BadReplica, ProtocolError):
            yield from response.skip()
            raise
        try:
            yield from self._skip(response, before)
        except BaseException:  # the next read must not take what comes for the wanted bytes
            response.close()
            raise
        self._response = response

    def _skip(self, response: Response, before: int) -> Op[None]:
        while before and not self._done:
            data = yield from response.read(min(BULK, before))
            if not data:
                raise BadReplica(f"ended before byte {self.offset}")
            before -= len(data)

    def _check(self, response: Response) -> int:
        """How many bytes come before the wanted ones. Raises BadReplica for what is no reply."""
        if response.status == 200:
            self._take_length(response.length)
            return self.offset
        if response.status != 206:
            raise BadReplica(f"answered {response.status}")
        match = _CONTENT_RANGE.fullmatch(response.header("content-range"))
        if match is None or int(match[1]) != self.offset:
            raise BadReplica("sent another range than the one that was asked for")
        total = None if match[3] == "*" else int(match[3])
        self._take_length(total)
        _compare(response.length, (self.end or 0) - self.offset)
        return 0

    def _take_length(self, told: int | None) -> None:
        """Believe the first who tells how long the file is, and hold the others against it."""
        if self.size is not None:
            _compare(told, self.size)
        elif told is None:
            raise BadReplica("does not tell how long the file is")
        else:
            self._know(told)

    def _failed(self, error: Exception) -> None:
        self._reasons[self._url] = why(error)
        self._cause = error
        self._paths.remove(self._url)
        self._drop()

    def _unavailable(self) -> MogileFSError:
        error = StorageUnavailable(f"no replica of {self._key!r} could be read", self._reasons)
        error.__cause__ = self._cause
        return error

    def _drop(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            response.close()

    def back_to(self, offset: int) -> None:
        """What was read from there on did not reach the caller."""
        self._drop()  # it may have given bytes that are not counted yet
        self.offset, self._done = offset, False

    def close(self) -> None:
        """Stop reading. Bytes that are still to come cost the connection."""
        self._closed = True
        self._drop()


def _compare(told: int | None, expected: int) -> None:
    if told not in (None, expected):
        raise BadReplica(f"has {told} bytes instead of {expected}")


def _fid(path: str) -> str | None:
    match = _FID.search(path)
    return match[1] if match else None


class Replicated:
    """A file's replicas as the source of an upload."""

    def __init__(self, begin: Callable[[], Download]) -> None:
        self._begin = begin
        self._download = begin()

    def rewind(self) -> Op[None]:
        """Begin again, unless nothing was read."""
        yield from ()
        if self._download.offset:
            self._download.close()
            self._download = self._begin()

    def read(self, limit: int) -> Op[bytes]:
        """The next bytes, at most ``limit``."""
        return (yield from self._download.read(limit))

    def close(self) -> None:
        """Stop reading."""
        self._download.close()
