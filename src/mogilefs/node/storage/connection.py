"""One client of the storage door: its requests, answered strictly in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from mogilefs.node.layout import Place
from mogilefs.node.storage import replies
from mogilefs.node.storage.downloads import Download, fetch
from mogilefs.node.storage.hotfiles import Opened
from mogilefs.node.storage.incoming import Incoming
from mogilefs.node.storage.plain import plain_get, plain_put
from mogilefs.node.storage.requests import (
    READING,
    Refusal,
    Request,
    place_to_change,
    place_to_read,
)
from mogilefs.node.storage.uploads import Upload, refusal_of

T = TypeVar("T")

log = logging.getLogger(__name__)


class Connection(Incoming):
    """Answers request after request; at most one is worked on."""

    # Nearly every request

    def _answer_plain(self, size: int) -> bool:
        self._since = self._loop.time()
        place = plain_get(self._door.buffer, size, self._plain_head)
        if place is not None:
            return self._get_plain(place)
        upload = plain_put(self._door.buffer, size, self._plain_head)
        if upload is None or len(upload[1]) > self._limits.body:
            return False
        return self._put_plain(*upload)

    def _get_plain(self, place: Place) -> bool:
        trust, hot_files = self._devices.trust, self._door.hot_files
        try:
            if not trust.given(place.devid) and place not in hot_files:
                return self._get_slowly(place)
            reply = trust.ask(place.devid, hot_files.reply, place)
        except (OSError, Refusal):  # it is told of the usual way
            return False
        if isinstance(reply, bytes):
            self._reply_plain(b"GET", reply)
        else:
            request = _plain(place)
            self._queue.append(request)
            self._send_file(request, reply)
            self._flow()
        return True

    def _get_slowly(self, place: Place) -> bool:
        """Open the file in a thread; it stays open, so that who asks next need not wait."""
        request = _plain(place)
        work = self._door.hot_files.open
        self._ask_from_thread(request, place.devid, self._opened, work, place)
        self._queue.append(request)
        self._flow()
        return True

    def _opened(self, request: Request, opened: Opened) -> None:
        self._fetched(request, self._door.hot_files.reply(opened.place, opened))

    def _put_plain(self, place: Place, data: bytes) -> bool:
        trust = self._devices.trust
        if not trust.given(place.devid):
            return False
        upload = Upload(self._devices, place, len(data), None)
        try:
            status = trust.ask(place.devid, upload.store, data)
            reply = replies.page(status, keep_alive=True)
        except Refusal as refusal:
            upload.abandon()
            reply = replies.page(refusal.status, refusal.text, keep_alive=True)
        except OSError:  # it is told of the usual way
            upload.abandon()
            return False
        self._reply_plain(b"PUT", reply)
        return True

    def _reply_plain(self, method: bytes, reply: bytes) -> None:
        self._door.note(method, reply)
        self._door.outbox.reply(self._transport, reply)

    # The requests, one after the other

    def _advance(self) -> None:
        """Do all that can be done without waiting."""
        while self._queue and not self._busy and self._writable and not self._closing:
            if not self._step(self._queue[0]):
                break
        if self._broken and not self._busy and not self._closing and self._writable:
            self._release()
            self._refuse_and_close(self._broken)
        self._flow()

    def _step(self, request: Request) -> bool:
        """One step with the first request; False where more of it must come first."""
        try:
            if request.refusal:
                return self._step_refused(request, request.refusal)
            if request.method == b"PUT":
                return self._step_upload(request)
            if not request.complete:
                return self._discard(request)
            self._answer(request)
        except Refusal as refusal:
            self._refuse(request, refusal)
        return True

    def _answer(self, request: Request) -> None:
        if request.method in READING:
            place = place_to_read(request.url)
            if place is None:
                self._done(request, self._page(request, 200, "Directory listing disabled"))
            else:
                self._start_download(request, place)
        elif request.method == b"DELETE":
            self._start_delete(request, place_to_change(request.url))
        else:
            raise Refusal(400)

    def _done(self, request: Request, reply: bytes) -> None:
        """Send the reply that ends a request."""
        self._door.note(request.method, reply)
        self._door.outbox.reply(self._transport, reply)
        self._end(request)

    def _end(self, request: Request) -> None:
        self._queue.popleft()
        self._since = self._loop.time()
        if not request.keep_alive:
            self._closing = True
            self._door.outbox.flush()
            self._transport.close()

    def _page(self, request: Request, status: int, text: str = "") -> bytes:
        return replies.page(
            status, text, keep_alive=request.keep_alive, body=request.method != b"HEAD"
        )

    # Refusing

    def _refuse(self, request: Request, refusal: Refusal) -> None:
        """Answer with an error, after the body where it is short and not waited for with it."""
        if request.upload:
            request.upload.abandon()
            request.upload = None
        request.refusal = refusal
        length = request.length
        short = length is not None and length <= self._limits.discarded
        if not request.complete and (request.expects_continue or not short):
            self._refuse_and_close(refusal)

    def _step_refused(self, request: Request, refusal: Refusal) -> bool:
        if not request.complete:
            return self._discard(request)
        self._done(request, self._page(request, refusal.status, refusal.text))
        return True

    def _discard(self, request: Request) -> bool:
        request.discarded += len(request.take())
        if request.discarded > self._limits.discarded:
            self._refuse_and_close(request.refusal or Refusal(413))
        return False

    # GET, HEAD

    def _start_download(self, request: Request, place: Place) -> None:
        self._ask_disk(request, place.devid, self._fetched, fetch, self._devices, place, request)

    def _fetched(self, request: Request, found: bytes | Download) -> None:
        if isinstance(found, bytes):
            self._done(request, found)
        elif self._lost:
            found.close()
        else:
            self._send_file(request, found)

    def _send_file(self, request: Request, download: Download) -> None:
        """Send a file that is large, or that the disk must be waited for."""
        self._door.note(request.method, download.head)
        self._door.outbox.flush()
        self._transport.write(download.head)
        if self._is_at_hand(download) and download.send_at_once(self._transport):
            download.close()
            self._end(request)
        else:
            self._busy = True
            self._task = self._loop.create_task(self._send_rest(request, download))

    def _is_at_hand(self, download: Download) -> bool:
        """Whether the next piece can be sent without waiting for the disk."""
        return download.cached and self._devices.trust.given(download.devid)

    async def _send_rest(self, request: Request, download: Download) -> None:
        try:
            while not download.done:
                self._since = self._loop.time()
                if not self._is_at_hand(download):
                    await self._devices.run(download.devid, download.warm)
                await download.send_piece(self._transport)
        except OSError as error:
            log.info("%s: %s broke off: %s", self.peer, request.url.decode("latin-1"), error)
            request.keep_alive = False
            self._transport.abort()
        except asyncio.CancelledError:
            self._transport.abort()
            raise
        finally:
            download.close()
            self._busy = False
            self._task = None
        self._end(request)
        self._advance()

    # DELETE

    def _start_delete(self, request: Request, place: Place) -> None:
        work = self._devices.remove
        self._ask_from_thread(request, place.devid, self._deleted, work, place.devid, place.path)

    def _deleted(self, request: Request, was_there: bool) -> None:
        self._done(request, self._page(request, 204 if was_there else 404))

    # PUT

    def _step_upload(self, request: Request) -> bool:
        upload = request.upload
        if upload is None:
            self._start_upload(request)
        elif request.chunks:
            self._write(request, upload, request.take())
        elif request.complete:
            self._ask_disk(request, upload.place.devid, self._stored, upload.finish)
        else:
            return False
        return True

    def _start_upload(self, request: Request) -> None:
        place = place_to_change(request.url)
        length = request.length
        if (length or 0) > self._limits.body:
            raise Refusal(413)
        md5 = request.headers.get(b"content-md5")
        upload = request.upload = Upload(self._devices, place, length, md5)
        if request.complete and length is not None:
            self._ask_disk(request, place.devid, self._stored, upload.store, request.take())
        else:
            self._ask_disk(request, place.devid, self._upload_started, upload.open)

    def _upload_started(self, request: Request, _: None) -> None:
        self._look_anew()
        if request.expects_continue and not request.chunks and not request.complete:
            self._door.outbox.reply(self._transport, replies.CONTINUE)

    def _write(self, request: Request, upload: Upload, data: bytes) -> None:
        if upload.received + len(data) > self._limits.body:
            raise Refusal(413)
        self._ask_disk(request, upload.place.devid, self._written, upload.write, data)

    def _written(self, request: Request, _: None) -> None:
        """Nothing is to be done between two pieces of a body."""

    def _stored(self, request: Request, status: int) -> None:
        request.upload = None
        self._done(request, self._page(request, status))

    def _release(self) -> None:
        """Give back what the requests that nobody waits for any more hold."""
        for request in self._queue:
            if request.upload:
                request.upload.abandon()
        self._queue.clear()

    # The disk

    def _ask_disk(
        self,
        request: Request,
        devid: int,
        then: Callable[[Request, T], None],
        work: Callable[..., T],
        *args: object,
    ) -> None:
        """Do ``work`` at once where its disk has been quick, else in one of the disk's threads."""
        trust = self._devices.trust
        if not trust.given(devid):
            self._ask_from_thread(request, devid, then, work, *args)
            return
        try:
            result = trust.ask(devid, work, *args)
        except OSError as error:
            raise self._refusal(request, error) from error
        then(request, result)

    def _ask_from_thread(
        self,
        request: Request,
        devid: int,
        then: Callable[[Request, T], None],
        work: Callable[..., T],
        *args: object,
    ) -> None:
        try:
            threads = self._devices.threads.short(devid)
        except FileNotFoundError as error:
            raise Refusal(404) from error
        self._busy = True
        future = self._loop.run_in_executor(threads, work, *args)
        future.add_done_callback(partial(self._asked, request, then))

    def _asked(
        self, request: Request, then: Callable[[Request, T], None], future: asyncio.Future[T]
    ) -> None:
        self._busy = False
        self._look_anew()
        try:
            then(request, future.result())
        except Refusal as refusal:
            self._refuse(request, refusal)
        except OSError as error:
            self._refuse(request, self._refusal(request, error))
        if self._lost:
            self._release()
        self._advance()

    def _refusal(self, request: Request, error: OSError) -> Refusal:
        refusal = refusal_of(error)
        if refusal.status >= 500:
            log.error("%s %s: %s", request.method.decode(), request.url.decode("latin-1"), error)
        return refusal


def _plain(place: Place) -> Request:
    return Request.plain(f"/dev{place.devid}/{place.path}")
