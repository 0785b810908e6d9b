"""Asking trackers: packets of commands, replies matched by callid, failover, who is asked again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from . import wire
from .config import Address
from .errors import ProtocolError, TrackersUnavailable, tracker_error
from .pool import Health, Pool
from .steps import Link, Network, Op, why

READING = frozenset(
    {
        *("noop", "get_paths", "file_info", "file_debug", "list_keys", "list_fids"),
        *("get_domains", "get_hosts", "get_devices", "server_setting", "server_settings"),
        *("fsck_status", "fsck_getlog", "rebalance_status", "rebalance_test"),
        *("!stats", "!version", "!jobs", "!queue", "!pending", "!recent"),
    }
)
"""Commands that change nothing: what a read-only client may ask."""

REPEATABLE = READING | {
    *("create_open", "updateclass", "update_class", "update_host", "set_state", "set_weight"),
    *("set_server_setting", "fsck_stop", "fsck_reset", "fsck_clearlog", "replicate_now"),
    *("rebalance_set_policy", "rebalance_reset", "clear_cache"),
}
"""Commands that may be sent again when nobody knows whether they were heard: they read, or set
the same thing twice. A second ``create_open`` leaves an upload that nobody finishes, which the
tracker reaps; it shows nowhere."""


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
    """Commands sent together, and the replies as they come, whichever comes first."""

    def __init__(self, commands: Sequence[Command], callids: Iterator[int]) -> None:
        self._waiting: dict[str, int] = {}
        lines = []
        for index, command in enumerate(commands):
            callid = str(next(callids))
            self._waiting[callid] = index
            lines.append(wire.encode_request(command.name, {**command.args, "callid": callid}))
        self.data = b"".join(lines)
        self._lines = wire.LineBuffer()
        self._replies: list[wire.Reply | None] = [None] * len(commands)
        self.orderly = True
        self.echoes = True

    def feed(self, data: bytes) -> bool:
        """Take what came; whether every reply is there. Raises ConnectionError, ProtocolError."""
        if not data:
            raise ConnectionResetError("closed the connection before it had answered")
        for line in self._lines.feed(data):
            self._match(wire.decode_reply(line))
        return not self._waiting

    def _match(self, reply: wire.Reply) -> None:
        callid = reply.callid
        if callid is None and len(self._waiting) == 1 == len(self._replies):
            self.echoes = False
            callid = next(iter(self._waiting))
        elif callid is None:
            raise Unsorted("replies without callid to several commands")
        elif callid not in self._waiting:
            raise ProtocolError("answered another question than the one that was asked")
        elif callid != next(iter(self._waiting)):
            self.orderly = False
        self._replies[self._waiting.pop(callid)] = reply

    @property
    def replies(self) -> list[wire.Reply]:
        """The replies in the order of the commands, once all are there."""
        return [reply for reply in self._replies if reply is not None]

    @property
    def clean(self) -> bool:
        """Whether the connection can be used again: all in order, and nothing left over."""
        return self.orderly and not self._lines.pending


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


class _Failed(Exception):
    """A tracker gave no usable answer. ``heard``: it may have carried the commands out."""

    def __init__(self, cause: Exception, heard: bool) -> None:
        super().__init__(str(cause))
        self.cause, self.heard = cause, heard


class Trackers:
    """All trackers of a client: asks one of them, the next where that fails."""

    def __init__(self, addresses: Sequence[Address], network: Network) -> None:
        self.addresses = tuple(addresses)
        self.health = Health()
        self.pool = Pool()
        self._network = network
        self._callids = itertools.count(1)
        self._echoes: dict[Address, bool] = {}

    def ask(self, *commands: Command) -> Op[list[Answer]]:
        """The answers of one tracker to commands that travel in one packet, in their order.

        Raises TrackersUnavailable when no tracker answered, or when one broke off after it may
        have carried out a command that must not be sent twice.
        """
        repeatable = all(command.name in REPEATABLE for command in commands)
        reasons = {}
        for address in self.health.order(self.addresses):
            self.health.asking(address)
            try:
                answers = yield from self._ask(address, commands, repeatable)
            except _Failed as failure:
                self.health.failed(address)
                reasons[str(address)] = why(failure.cause)
                last = failure.cause
                if failure.heard and not repeatable:
                    reasons[str(address)] += "; the command is not one that is sent twice"
                    break
            else:
                self.health.answered(address)
                return answers
        raise TrackersUnavailable(reasons) from last

    def text(self, command: str, address: Address) -> Op[list[str]]:
        """The lines that one tracker answers to a ``!`` command. Raises TrackersUnavailable."""
        packet = TextPacket(command)
        try:
            link = self.pool.take(address) or (yield partial(self._network.connect, *address))
            yield from self._deliver(address, link, packet)
        except OSError as error:
            raise TrackersUnavailable({str(address): why(error)}) from error
        except _Failed as failure:
            raise TrackersUnavailable({str(address): why(failure.cause)}) from failure.cause
        return packet.lines

    def _ask(
        self, address: Address, commands: Sequence[Command], repeatable: bool
    ) -> Op[list[Answer]]:
        """One tracker's answers, all in one packet where the tracker says which is which."""
        together = self._echoes.get(address, repeatable)
        if together or len(commands) == 1:
            try:
                replies = yield from self._exchange(address, commands, repeatable)
            except _Failed as failure:
                if not isinstance(failure.cause, Unsorted):
                    raise
                self._echoes[address] = False
                if not repeatable:
                    raise
            else:
                return [Answer(*pair, address) for pair in zip(commands, replies, strict=True)]
        return (yield from self._one_by_one(address, commands, repeatable))

    def _one_by_one(
        self, address: Address, commands: Sequence[Command], repeatable: bool
    ) -> Op[list[Answer]]:
        answers: list[Answer] = []
        for command in commands:
            try:
                replies = yield from self._exchange(address, [command], repeatable)
            except _Failed as failure:
                failure.heard = failure.heard or bool(answers)
                raise
            answers.append(Answer(command, replies[0], address))
        return answers

    def _exchange(
        self, address: Address, commands: Sequence[Command], repeatable: bool
    ) -> Op[list[wire.Reply]]:
        """Send one packet on a pooled or new connection; keep the connection if all went well."""
        link: Link | None = self.pool.take(address)
        while link is not None:
            try:
                return (yield from self._talk(address, link, commands))
            except _Failed as failure:
                # A kept connection may have ended unseen; that says nothing about the tracker.
                if not repeatable or not isinstance(failure.cause, ConnectionError):
                    raise
            link = self.pool.take(address)
        try:
            link = yield partial(self._network.connect, *address)
        except OSError as error:
            raise _Failed(error, heard=False) from error
        return (yield from self._talk(address, link, commands))

    def _talk(
        self, address: Address, link: Link, commands: Sequence[Command]
    ) -> Op[list[wire.Reply]]:
        packet = Packet(commands, self._callids)
        yield from self._deliver(address, link, packet)
        self._echoes[address] = packet.echoes
        return packet.replies

    def _deliver(self, address: Address, link: Link, packet: Packet | TextPacket) -> Op[None]:
        """Send a packet and take its answer; keep the connection only if all of that was well."""
        try:
            done = packet.feed((yield partial(link.exchange, packet.data)))
            while not done:
                done = packet.feed((yield link.receive))
        except (OSError, ProtocolError) as error:
            link.close()
            raise _Failed(error, heard=True) from error
        except BaseException:
            link.close()
            raise
        if packet.clean:
            self.pool.give(address, link)
        else:
            link.close()
