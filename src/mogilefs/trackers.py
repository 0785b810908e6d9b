"""Asking trackers: packets of commands, replies matched by callid, failover, who is asked again."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

from .config import Address
from .errors import ProtocolError, TrackersUnavailable
from .packets import Answer, Command, Packet, TextPacket, Unsorted
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
        repeatable = True
        for command in commands:
            repeatable = repeatable and command.name in REPEATABLE
        ask = self._exchange if len(commands) == 1 else self._ask
        health, well = self.health, self.health.all_well
        reasons = {}
        for address in self.addresses if well else health.order(self.addresses):
            if not well:
                health.asking(address)
            try:
                answers = yield from ask(address, commands, repeatable)
            except _Failed as failure:
                health.failed(address)
                reasons[str(address)] = why(failure.cause)
                last = failure.cause
                if failure.heard and not repeatable:
                    reasons[str(address)] += "; the command is not one that is sent twice"
                    break
            else:
                if not well:
                    health.answered(address)
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
        """One tracker's answers to several commands, in one packet where it tells them apart."""
        if self._echoes.get(address, repeatable):
            try:
                return (yield from self._exchange(address, commands, repeatable))
            except _Failed as failure:
                if not isinstance(failure.cause, Unsorted):
                    raise
                self._echoes[address] = False
                if not repeatable:
                    raise
        return (yield from self._one_by_one(address, commands, repeatable))

    def _one_by_one(
        self, address: Address, commands: Sequence[Command], repeatable: bool
    ) -> Op[list[Answer]]:
        answers: list[Answer] = []
        for command in commands:
            try:
                answers += yield from self._exchange(address, [command], repeatable)
            except _Failed as failure:
                failure.heard = failure.heard or bool(answers)
                raise
        return answers

    def _exchange(
        self, address: Address, commands: Sequence[Command], repeatable: bool
    ) -> Op[list[Answer]]:
        """Send one packet on a pooled or new connection; keep the connection if all went well."""
        while True:
            packet = Packet(commands, self._callids, address)
            link = self.pool.take(address)
            if link is None:
                break
            try:
                yield from self._deliver(address, link, packet)
            except _Failed as failure:
                # A kept connection may have ended unseen; that says nothing about the tracker.
                if not repeatable or not isinstance(failure.cause, ConnectionError):
                    raise
            else:
                return self._understood(address, packet)
        try:
            link = yield partial(self._network.connect, *address)
        except OSError as error:
            raise _Failed(error, heard=False) from error
        yield from self._deliver(address, link, packet)
        return self._understood(address, packet)

    def _understood(self, address: Address, packet: Packet) -> list[Answer]:
        self._echoes[address] = packet.echoes
        return packet.answers

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
