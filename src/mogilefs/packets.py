"""Commands that travel together, and the replies as they come; no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from . import wire
from .config import Address
from .errors import ProtocolError, tracker_error


@dataclass(slots=True)
class Command:
    """One question for a tracker: its name, ``wire.arguments``, and the key that it is about."""

    name: str
    args: str = ""
    key: str | None = None


_NO_REPLY = wire.Err("no_reply")


@dataclass(slots=True)
class Answer:
    """A tracker's reply to a command, with what an error needs to tell."""

    command: Command
    tracker: Address
    callid: str
    reply: wire.Reply

    @property
    def code(self) -> str | None:
        """The error's code, or None when the tracker said OK."""
        return self.reply.code if isinstance(self.reply, wire.Err) else None

    def values(self) -> dict[str, str]:
        """The values of an OK. Raises the TrackerError that an ERR stands for."""
        reply = self.reply
        if isinstance(reply, wire.Ok):
            return reply.values
        asked = self.command
        raise tracker_error(reply.code, reply.text, asked.name, asked.key, str(self.tracker))


class Unsorted(ProtocolError):
    """Several commands were sent ahead to a tracker that does not say which reply is whose."""


class Packet:
    """Commands sent ahead to one tracker, and the answer to each, found by its callid.

    ``answers`` has one for each command; they are complete when ``feed`` says so. ``echoes`` tells
    whether the tracker gives the callid back; one that does not must be asked one command at a
    time.
    """

    def __init__(
        self, commands: Sequence[Command], callids: Iterator[int], tracker: Address
    ) -> None:
        self.data = b""
        self.answers: list[Answer] = []
        for command in commands:
            callid = str(next(callids))
            self.data += wire.encode_request(command.name, command.args, callid)
            self.answers.append(Answer(command, tracker, callid, _NO_REPLY))
        self._missing = len(self.answers)
        self._buffer: wire.LineBuffer | None = None
        self._orderly = self.echoes = True

    def feed(self, data: bytes) -> bool:
        """Take what came; whether every reply is there. Raises ConnectionError, ProtocolError."""
        if not data:
            raise ConnectionResetError("closed the connection before it had answered")
        for line in self._lines(data):
            if self._missing:
                reply = wire.decode_reply(line)
                self._answered_by(reply.callid).reply = reply
                self._missing -= 1
            else:
                self._orderly = False  # more than was asked for
        return not self._missing

    def _lines(self, data: bytes) -> list[bytes]:
        """The lines that are now complete; nearly always nothing is left that has to be kept."""
        if self._buffer is None:
            lines = wire.whole_lines(data)
            if lines is not None:
                return lines
            self._buffer = wire.LineBuffer()
        return self._buffer.feed(data)

    def _answered_by(self, callid: str | None) -> Answer:
        """The answer that a reply is: nearly always the first of those that are missing."""
        answer = self.answers[-self._missing]
        if callid == answer.callid and answer.reply is _NO_REPLY:
            return answer
        if callid is None:
            if len(self.answers) > 1:
                raise Unsorted("replies without callid to several commands")
            self.echoes = False
            return answer
        self._orderly = False
        for answer in self.answers:
            if callid == answer.callid and answer.reply is _NO_REPLY:
                return answer
        raise ProtocolError("answered a question that was not asked, or one twice")

    @property
    def clean(self) -> bool:
        """Whether the connection can be used again: all in order, and nothing left over."""
        return self._orderly and not self._buffer


class TextPacket:
    """A ``!`` command, and its lines as they come, up to the one that is a dot."""

    def __init__(self, command: str) -> None:
        self.data = command.encode("ascii") + wire.EOL
        self.lines: list[str] = []
        self._buffer = wire.LineBuffer()
        self.clean = False

    def feed(self, data: bytes) -> bool:
        """Take what came; whether the dot is there. Raises ConnectionError, ProtocolError."""
        if not data:
            raise ConnectionResetError("closed the connection before it had answered")
        self.lines += map(wire.to_text, self._buffer.feed(data))
        if "." not in self.lines:
            return False
        self.clean = self.lines.pop() == "." and not len(self._buffer)
        return True
