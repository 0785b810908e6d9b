"""Commands that travel together, and the replies as they come; no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from . import wire
from .config import Address
from .errors import ProtocolError, tracker_error


class Command(NamedTuple):
    """One question for a tracker. Arguments that are None are left out."""

    name: str
    args: Mapping[str, object]


class Answer(NamedTuple):
    """A tracker's reply to a command, with what an error needs to tell."""

    command: Command
    reply: wire.Reply
    tracker: Address

    @property
    def code(self) -> str | None:
        """The error's code, or None when the tracker said OK."""
        return self.reply.code if isinstance(self.reply, wire.Err) else None

    def values(self) -> dict[str, str]:
        """The values of an OK. Raises the TrackerError that an ERR stands for."""
        reply = self.reply
        if isinstance(reply, wire.Ok):
            return reply.values
        args = self.command.args
        key = args.get("key", args.get("from_key"))
        told = None if key is None else str(key)
        raise tracker_error(reply.code, reply.text, self.command.name, told, str(self.tracker))


class Unsorted(ProtocolError):
    """Several commands were sent ahead to a tracker that does not say which reply is whose."""


class Packet:
    """Commands sent ahead, and the reply to each, found by its callid.

    ``echoes`` tells whether the tracker gives the callid back; one that does not must be asked
    one command at a time.
    """

    def __init__(self, commands: Sequence[Command], callids: Iterator[int]) -> None:
        self._commands = commands
        self._callids = [str(next(callids)) for _ in commands]
        self._replies: list[wire.Reply | None] = [None] * len(commands)
        lines = [
            wire.encode_request(name, args, callid)
            for (name, args), callid in zip(commands, self._callids, strict=True)
        ]
        self.data = b"".join(lines)
        self._answered = 0
        self._buffer = wire.LineBuffer()
        self._orderly = self.echoes = True

    def feed(self, data: bytes) -> bool:
        """Take what came; whether every reply is there. Raises ConnectionError, ProtocolError."""
        if not data:
            raise ConnectionResetError("closed the connection before it had answered")
        for line in self._buffer.feed(data):
            if self._answered < len(self._replies):
                self._match(wire.decode_reply(line))
            else:
                self._orderly = False  # more than was asked for
        return self._answered == len(self._replies)

    def _match(self, reply: wire.Reply) -> None:
        index = self._answered
        if reply.callid != self._callids[index]:
            index = self._find(reply.callid)
        if self._replies[index] is not None:
            raise ProtocolError("answered the same question twice")
        self._replies[index] = reply
        self._answered += 1

    def _find(self, callid: str | None) -> int:
        """The command that a reply belongs to, where it is not the next one's."""
        if callid is None:
            if len(self._replies) > 1:
                raise Unsorted("replies without callid to several commands")
            self.echoes = False
            return 0
        if callid not in self._callids:
            raise ProtocolError("answered another question than the one that was asked")
        self._orderly = False
        return self._callids.index(callid)

    def answers(self, tracker: Address) -> list[Answer]:
        """The answers in the order of the commands, once all are there."""
        return [
            Answer(command, reply, tracker)
            for command, reply in zip(self._commands, self._replies, strict=True)
            if reply is not None
        ]

    @property
    def clean(self) -> bool:
        """Whether the connection can be used again: all in order, and nothing left over."""
        return self._orderly and not self._buffer.pending


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
        self.clean = self.lines.pop() == "." and not self._buffer.pending
        return True
