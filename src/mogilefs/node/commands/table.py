"""The table of commands, and what a command gets and gives."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ...wire import Request

if TYPE_CHECKING:
    from ..catalog import Catalog
    from ..node import Node
    from ..registry import Domain, Registry
    from ..writer import Change, Function

Values = dict[str, Any]
"""The values of an ``OK``: text or numbers."""


class CommandError(Exception):
    """An ``ERR``: the protocol's code and a text for people."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text or code.replace("_", " ")


@dataclass
class Ahead:
    """A change that the connection's next line asks for: it may be made together with this one's.

    ``made``: what became of it, once it has been.
    """

    function: Function
    made: Change | None = None


@dataclass
class Context:
    """Who asks, and the node that is asked."""

    node: Node
    peer: str | None
    """The client's address, None where it has none."""
    ahead: Ahead | None = None

    @property
    def catalog(self) -> Catalog:
        return self.node.catalog

    @property
    def registry(self) -> Registry:
        return self.node.registry

    def domain(self, request: Request) -> Domain:
        """The domain that a request names: no_domain, unreg_domain."""
        given = request.args.get("domain")
        if not given:
            raise CommandError("no_domain", "No domain provided")
        domain = self.registry.domains.get(given)
        if domain is None:
            raise CommandError("unreg_domain", f"Domain {given!r} is not registered")
        return domain


Command = Callable[[Context, Request], "Values | Awaitable[Values]"]
C = TypeVar("C", bound=Command)

COMMANDS: dict[str, Command] = {}


def command(name: str) -> Callable[[C], C]:
    """Register a function as the command ``name``."""

    def register(function: C) -> C:
        assert name not in COMMANDS, name
        COMMANDS[name] = function
        return function

    return register


MAX_NUMBER = 2**63 - 1
MAX_DIGITS = 40
SAFE_DIGITS = 19
"""A number of fewer digits is below MAX_NUMBER."""

_LEADING_NUMBER = re.compile(r"\s*([+-]?\d+)")


def number(text: str | None) -> int:
    """A number as leniently as the protocol has it: leading digits count, otherwise 0.

    What SQLite could not hold becomes the largest number that it can.
    """
    if not text:
        return 0
    if text.isdecimal() and text.isascii() and len(text) < SAFE_DIGITS:  # nearly every number
        return int(text)
    match = _LEADING_NUMBER.match(text)
    return max(-MAX_NUMBER, min(int(match[1][:MAX_DIGITS]), MAX_NUMBER)) if match else 0


def required_key(request: Request, name: str = "key") -> str:
    """The key that a request names (``0`` is a key, nothing is none): no_key."""
    key = request.args.get(name, "")
    if not key:
        raise CommandError("no_key", f"No {name} provided")
    return key
