"""Conversations recorded from a MogileFS 2.73, held again with a node.

A conversation is a JSON file: what was sent, and what in a reply matters. Text is latin-1, one
character a byte. ``{name}`` stands for a variable (``{name+1}`` for a number beside it), taken from
the surroundings or captured from an earlier reply. In a pattern ``<any>``, ``<int>``, ``<num>`` and
``<re:…:>`` stand for what they say; in the names of ``some``, ``#`` and ``%`` for one number each.
"""

from __future__ import annotations

import http.client
import json
import re
import select
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode, urlsplit

from mogilefs.node import Node

FOLDER = Path(__file__).parent.parent / "node" / "conformance"

POLL_SECONDS = 0.05
"""How often a step is tried again that describes what happens in the background."""

SILENCE_SECONDS = 0.2
"""How long a line that gets no reply is given to get one."""

_WILDCARDS = {"<any>": ".*", "<int>": r"-?\d+", "<num>": r"-?\d+(?:\.\d+)?"}
_WILDCARD = re.compile(r"(<any>|<int>|<num>|<re:.*?:>)", re.DOTALL)
_VARIABLE = re.compile(r"\{([a-z]\w*)([+-]\d+)?\}")


class Mismatch(AssertionError):
    """A reply is not what a MogileFS would have said."""


def topics() -> list[str]:
    """The names of all conversations."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load(topic: str) -> dict[str, Any]:
    """One conversation."""
    found: dict[str, Any] = json.loads((FOLDER / f"{topic}.json").read_text("utf-8"))
    return found


class Tracker:
    """A raw connection to a tracker."""

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        self._socket = socket.create_connection((host, int(port)), timeout=30)
        self._file = self._socket.makefile("rb")

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def send(self, text: str) -> None:
        self._socket.sendall(text.encode("latin-1"))

    def line(self) -> str:
        line = self._file.readline()
        assert line.endswith(b"\n"), "the tracker closed the connection"
        return line.decode("latin-1")

    def lines(self) -> str:
        """A reply that a line with a dot ends."""
        text = self.line()
        while text.splitlines()[-1] != ".":
            text += self.line()
        return text

    def ask(self, text: str) -> Reply:
        self.send(text + "\r\n")
        return Reply.parse(self.line())

    def nothing_comes(self) -> bool:
        """Nothing has come that was not asked for, nor does it within a moment."""
        return not select.select([self._socket], [], [], SILENCE_SECONDS)[0]


def _decode(text: str) -> str:
    return unquote_to_bytes(text.replace("+", " ").encode("latin-1")).decode("latin-1")


@dataclass
class Reply:
    """One reply line, decoded without the package's own decoder."""

    status: str
    code: str = ""
    message: str = ""
    callid: str = ""
    args: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Reply:
        assert text.endswith("\r\n"), f"not ended by CRLF: {text!r}"
        status, _, rest = text[:-2].partition(" ")
        if status == "OK":
            pairs = (pair.partition("=") for pair in rest.split("&") if pair)
            return cls("OK", args={_decode(name): _decode(value) for name, _, value in pairs})
        code, message, *callid = [*rest.split(" "), ""] if " " not in rest else rest.split(" ")
        return cls(status, code, _decode(message), _decode("".join(callid)))


class Conversation:
    """Holds one conversation with a tracker."""

    def __init__(self, tracker: str, variables: dict[str, str]) -> None:
        self._address = tracker
        self._tracker = Tracker(tracker)
        self.variables = variables

    def close(self) -> None:
        self._tracker.close()

    def prepare(self, topic: str, domains: dict[str, list[dict[str, Any]]]) -> None:
        """The domains and classes that the conversation takes for granted."""
        self.variables |= {"u": "c0de01", "n": "7", "newdev": "41000"}
        self.variables |= {"domain": f"{topic}_c0de01", "domain2": f"{topic}_b_c0de01"}
        for domain, classes in domains.items():
            name = self.fill(domain)
            assert self._tracker.ask(f"create_domain domain={name}").status == "OK"
            for item in classes:
                made = self._tracker.ask("create_class " + urlencode({**item, "domain": name}))
                assert made.status == "OK"

    def fill(self, text: str) -> str:
        """The text with its variables put in."""

        def value(match: re.Match[str]) -> str:
            known = self.variables.get(match[1])
            if known is None:
                return match[0]
            return str(int(known) + int(match[2])) if match[2] else known

        return _VARIABLE.sub(value, text)

    def hold(self, steps: list[dict[str, Any]]) -> None:
        """All steps in order; Mismatch at the first that goes another way."""
        for number, step in enumerate(steps):
            if step.get("new_connection"):
                self._tracker.close()
                self._tracker = Tracker(self._address)
            try:
                self._step_until(step, time.monotonic() + step.get("retry_for", 0))
            except AssertionError as error:
                told = step.get("send", step.get("http", {}).get("url", ""))
                raise Mismatch(f"step {number}, {told[:100].strip()!r}: {error}") from error

    def _step_until(self, step: dict[str, Any], deadline: float) -> None:
        while True:
            try:
                return self._step(step)
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(POLL_SECONDS)

    def _step(self, step: dict[str, Any]) -> None:
        if "http" in step:
            self._request(step["http"])
        if "send" not in step:
            return
        self._tracker.send(self.fill(step["send"]))
        matches = step["match"] if isinstance(step["match"], list) else [step["match"]]
        replies = [reply for match in matches for reply in self._receive(match)]
        for match, reply in zip([m for m in matches if _is_line(m)], replies, strict=True):
            self._compare(match, reply)
        self._capture(step.get("capture", {}), replies)

    def _receive(self, match: dict[str, Any]) -> Iterator[Reply]:
        if match.get("silent"):
            assert self._tracker.nothing_comes(), "a reply came where none should"
        elif "lines" in match:
            text = self._tracker.lines().replace("\r\n", "\n").rstrip("\n")
            self._same("\n".join(match["lines"]), text)
        else:
            yield Reply.parse(self._tracker.line())

    def _same(self, pattern: str, value: str) -> None:
        assert self._regex(pattern).fullmatch(value), f"expected {pattern!r}, got {value!r}"

    def _regex(self, pattern: str) -> re.Pattern[str]:
        parts = [
            _WILDCARDS.get(part)
            or (self.fill(part[4:-2]) if part.startswith("<re:") else re.escape(self.fill(part)))
            for part in _WILDCARD.split(pattern)
            if part
        ]
        return re.compile("".join(parts), re.DOTALL)

    def _compare(self, match: dict[str, Any], reply: Reply) -> None:
        for name in ("status", "code", "message", "callid"):
            if name in match:
                got = getattr(reply, name)
                assert self._regex(match[name]).fullmatch(got), f"{name}: {reply}, not {match}"
        wanted = {self.fill(name): pattern for name, pattern in match.get("args", {}).items()}
        for name, pattern in wanted.items():
            assert name in reply.args, f"no {name} in {reply}"
            self._same(pattern, reply.args[name])
        if "args" in match and not match.get("extra"):
            assert set(reply.args) == set(wanted), f"expected {sorted(wanted)}, got {reply}"
        absent = {self.fill(name) for name in match.get("absent", [])}
        assert not absent & set(reply.args), f"unexpected {absent & set(reply.args)}"
        for entry in match.get("some", []):
            self._find(entry, reply.args)
        for pattern, count in match.get("count", {}).items():
            assert sum(1 for name in reply.args if re.fullmatch(pattern, name)) == count

    def _find(self, entry: dict[str, str], args: dict[str, str]) -> None:
        """Some number in place of ``#``, and of ``%``, at which all of the entry holds."""
        first, pattern = next((n, p) for n, p in entry.items() if "%" in n or "%" not in str(entry))
        place = re.compile(
            re.escape(self.fill(first)).replace(r"\#", r"(?P<a>\d+)").replace("%", r"(?P<b>\d+)")
        )
        for name in args:
            found = place.fullmatch(name)
            if found is None or not self._regex(pattern).fullmatch(args[name]):
                continue
            numbers = found.groupdict()
            if all(
                self._holds(
                    args,
                    other.replace("#", numbers.get("a", "#")).replace("%", numbers.get("b") or "%"),
                    expected,
                )
                for other, expected in entry.items()
            ):
                return
        raise Mismatch(f"nothing like {entry} in {args}")

    def _holds(self, args: dict[str, str], name: str, pattern: str) -> bool:
        name = self.fill(name)
        return name in args and self._regex(pattern).fullmatch(args[name]) is not None

    def _capture(self, wanted: dict[str, str], replies: list[Reply]) -> None:
        for variable, source in wanted.items():
            name, _, part = self.fill(source).partition("~")
            for reply in replies:
                if name in reply.args:
                    value = reply.args[name]
                    found = re.search(part, value) if part else None
                    self.variables[variable] = found[1] if found else value

    def _request(self, wanted: dict[str, Any]) -> None:
        url = urlsplit(self.fill(wanted["url"]))
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=20)
        body = self.fill(wanted.get("body", "")).encode("latin-1")
        sends = wanted["method"] == "PUT"
        try:
            connection.request(
                wanted["method"], url.path, body if sends else None, wanted.get("headers", {})
            )
            response = connection.getresponse()
            got = response.read().decode("latin-1")
        finally:
            connection.close()
        self._same(wanted["status"], str(response.status))
        if "expect_body" in wanted:
            self._same(wanted["expect_body"], got)


def _is_line(match: dict[str, Any]) -> bool:
    return not match.get("silent") and "lines" not in match


def surroundings(node: Node, *others: Node) -> dict[str, str]:
    """The variables that name hosts and devices, once every device takes files."""
    with closing(Tracker(node.tracker)) as tracker:
        return _surroundings(tracker, [node, *others])


def _surroundings(tracker: Tracker, nodes: list[Node]) -> dict[str, str]:
    variables: dict[str, str] = {}
    devices = 0
    for number, each in enumerate(nodes, 1):
        ip, port = each.storage.rsplit(":", 1)
        name = each.hostname if number == 1 else f"h{number}"
        if number > 1:
            tracker.ask(f"create_host host={name}&ip={ip}&port={port}&status=alive")
        variables |= {f"h{number}": name, f"h{number}_ip": ip, f"h{number}_port": port}
        for devid in each.device_numbers:
            devices += 1
            variables[f"dev{devices}"] = str(devid)
            tracker.ask(f"create_device hostname={name}&devid={devid}&state=alive")
    _wait_until_writable(tracker, devices)
    hosts = tracker.ask("get_hosts").args
    for number in range(1, 1 + len(nodes)):
        name = variables[f"h{number}"]
        place = next(key for key, value in hosts.items() if key.endswith("name") and value == name)
        variables[f"h{number}_id"] = hosts[place.replace("hostname", "hostid")]
    return variables


def _wait_until_writable(tracker: Tracker, count: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        seen = tracker.ask("get_devices").args
        if sum(1 for value in seen.values() if value == "writeable") >= count:
            return
        tracker.ask("do_monitor_round")
        time.sleep(POLL_SECONDS)
    raise Mismatch(f"not all of {count} devices became writeable: {seen}")
