"""A file on its way in: opened, put on a device, closed, and the other ways out."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from .content import Content, SourceFailed
from .errors import KeyExists, MogileFSError, ProtocolError, StorageUnavailable, UploadRejected
from .models import FileInfo, checked_key, integer, numbers
from .packets import Answer, Command
from .steps import Op, why
from .wire import escape

if TYPE_CHECKING:
    from .operations import Operations

OPENS = 3
"""How often an upload asks for devices, each time after all that were offered failed."""

FAILED_DEVICE = {"size_verify_error", "size_mismatch", "checksum_mismatch"}
"""What ``create_close`` answers where the device is at fault: it is dead, or keeps other bytes."""

PRIVATE = ".incomplete/"
"""Where a file waits between its upload and the rename to its key."""


Alternative = Callable[[str], str]
"""From a key that is taken to another one, or to the same if that is to be replaced after all."""


class Upload:
    """One file on its way in."""

    def __init__(
        self,
        client: Operations,
        key: str,
        content: Content,
        mogile_class: str | None,
        overwrite: bool,
        verify: bool,
        alternative: Alternative | None = None,
    ) -> None:
        self._client, self._key, self._content = client, key, content
        self._alternative = alternative
        # MogileFS refuses its own class "default" here by name; leaving it out means the same.
        self._class = None if mogile_class == "default" else mogile_class
        self._overwrite, self._verify = overwrite, verify
        self._reasons: dict[str, str] = {}
        self._failed: set[str] = set()

    def run(self) -> Op[FileInfo]:
        """Open, PUT, close; other devices where one fails. The content is closed in any case."""
        try:
            stored = None
            while stored is None:
                stored = yield from self._run()
        except SourceFailed as failed:
            raise failed.__cause__ or failed from None
        finally:
            self._content.close()
        return stored

    def _run(self) -> Op[FileInfo | None]:
        """None where the key that was taken meanwhile is to be replaced."""
        for attempt in range(OPENS):
            opened = yield from self._open(look=not self._overwrite and not attempt)
            fid = integer(opened, "fid")
            place = yield from self._put_on_one(destinations(opened))
            if place is None:
                continue
            devid, url = place
            try:
                return (yield from self._close(fid, devid, url))
            except UploadRejected as rejected:
                if rejected.code not in FAILED_DEVICE or attempt == OPENS - 1:
                    raise
                self._note(devid, url, rejected.text)
        message = f"no device took {self._key!r}"
        raise StorageUnavailable(message, self._reasons)

    def _put_on_one(self, places: list[tuple[str, str]]) -> Op[tuple[str, str] | None]:
        """The place that took the content; None where all failed."""
        for devid, url in self._best_first(places):
            if (yield from self._put(devid, url)):
                return devid, url
        return None

    def _best_first(self, places: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """The places in their order, but those that failed lately, or this upload, come last."""
        http = self._client.http
        if http.health.all_well and not self._failed:
            return places
        return sorted(places, key=lambda at: (at[0] in self._failed, http.pause(at[1])))

    def _note(self, devid: str, url: str, reason: str) -> None:
        self._reasons[url] = reason
        self._failed.add(devid)

    def _open(self, look: bool) -> Op[dict[str, str]]:
        """Ask where the file may go; in the same packet, whether the key is free."""
        client = self._client
        args = f"multi_dest=1&size={self._content.size}"
        if self._class is not None:
            args += f"&class={escape(self._class)}"
        commands = [client.on_key("create_open", self._key, args)]
        if look:
            commands.insert(0, client.on_key("file_info", self._key))
        *looked, opened = yield from client.ask(*commands)
        for answer in looked:
            if self._is_taken(answer):
                yield from self._take_another(self._taken(answer))
        return opened.values()

    def _is_taken(self, looked: Answer) -> bool:
        """What ``file_info`` found out about the key."""
        if looked.code == "unknown_key":
            return False
        looked.values()
        return True

    def _taken(self, answer: Answer) -> KeyExists:
        told = "the key is taken" if answer.code is None else "somebody else was first"
        name, tracker = answer.command.name, str(answer.tracker)
        return KeyExists("key_exists", told, name, self._key, tracker)

    def _take_another(self, taken: KeyExists) -> Op[None]:
        """Go on with another key that looks free. Raises ``taken`` where there is none to try."""
        while self._alternative is not None:
            other = checked_key(self._alternative(self._key))
            self._overwrite, self._key = other == self._key, other
            if self._overwrite:
                return
            looked = yield from self._client.ask(self._client.on_key("file_info", other))
            if not self._is_taken(looked[0]):
                return
        raise taken

    def _put(self, devid: str, url: str) -> Op[bool]:
        try:
            response = yield from self._client.http.put(url, self._content, self._content.size)
            yield from response.skip()
        except (OSError, ProtocolError) as error:
            self._note(devid, url, why(error))
            return False
        if not 200 <= response.status < 300:
            self._note(devid, url, f"answered {response.status}")
            return False
        return True

    def _close(self, fid: int, devid: str, url: str) -> Op[FileInfo | None]:
        """None where the key that was taken meanwhile is to be replaced."""
        if self._overwrite:
            answers = yield from self._client.ask(self._create_close(self._key, fid, devid, url))
            answers[0].values()
            return self._stored(fid)
        private = PRIVATE + secrets.token_hex(16)
        try:
            renamed = yield from self._close_and_rename(private, fid, devid, url)
        except (GeneratorExit, UploadRejected):
            raise
        except BaseException:
            yield from self._delete(private)
            raise
        if renamed:
            return self._stored(fid)
        # Only create_close replaces in one step: deleting what is there first could lose it.
        yield from self._delete(private)
        return None

    def _close_and_rename(self, private: str, fid: int, devid: str, url: str) -> Op[bool]:
        """False where the key that was taken meanwhile is to be replaced."""
        closed, renamed = yield from self._client.ask(
            self._create_close(private, fid, devid, url),
            self._client.renaming(private, self._key),
        )
        closed.values()
        while renamed.code == "key_exists":
            yield from self._take_another(self._taken(renamed))
            if self._overwrite:
                return False
            (renamed,) = yield from self._client.ask(self._client.renaming(private, self._key))
        renamed.values()
        return True

    def _create_close(self, key: str, fid: int, devid: str, url: str) -> Command:
        content = self._content
        args = f"fid={fid}&devid={escape(devid)}&path={escape(url)}&size={content.size}"
        if content.checksum:
            args += f"&checksum={content.checksum}"
        if self._verify:
            args += "&checksumverify=1"
        return self._client.on_key("create_close", key, args)

    def _delete(self, private: str) -> Op[None]:
        """Remove what may wait under the private key; the error that led here is the one told."""
        try:
            yield from self._client.delete(private)
        except MogileFSError:
            return

    def _stored(self, fid: int) -> FileInfo:
        content, mogile_class = self._content, self._class or "default"
        domain = self._client.domain
        return FileInfo(
            self._key,
            domain,
            fid,
            content.size,
            mogile_class,
            devcount=1,
            checksum=content.checksum,
        )


def destinations(opened: dict[str, str]) -> list[tuple[str, str]]:
    """Device number and URL of each place that ``create_open`` offered."""
    if "dev_count" not in opened:
        return [(opened.get("devid", ""), opened.get("path", ""))]
    return [
        (opened.get(f"devid_{n}", ""), opened.get(f"path_{n}", ""))
        for n in numbers(opened, "dev_count")
    ]
