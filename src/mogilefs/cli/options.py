"""The options that every command shares, and the client that they make."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

from mogilefs import Client

from .exits import UsageError

CLIENT_OPTIONS = ("connect_timeout", "timeout", "zone")


def shared(parser: argparse.ArgumentParser) -> None:
    """Add the shared options. They may stand before or after the command's name, so they leave
    no default that would overwrite what was given at the other place."""
    group = parser.add_argument_group("where")
    group.add_argument(
        "-t", "--trackers", "--tracker", metavar="HOST:PORT[,…]", action="append",
        default=argparse.SUPPRESS, help="trackers (or MOGILEFS_TRACKERS)",
    )  # fmt: skip
    group.add_argument(
        "-d", "--domain", default=argparse.SUPPRESS, help="domain (or MOGILEFS_DOMAIN)"
    )
    group.add_argument("--zone", default=argparse.SUPPRESS, help="`alt` for alternate addresses")
    group.add_argument(
        "--connect-timeout", type=seconds, metavar="SECONDS", default=argparse.SUPPRESS,
        help="how long connecting may take (2)",
    )  # fmt: skip
    group.add_argument(
        "--timeout", type=seconds, metavar="SECONDS", default=argparse.SUPPRESS,
        help="how long each wait for an answer may take (10)",
    )  # fmt: skip
    how = parser.add_argument_group("how")
    how.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="answer in JSON"
    )
    how.add_argument(
        "-q", "--quiet", action="store_true", default=argparse.SUPPRESS,
        help="no progress bar, on a terminal either",
    )  # fmt: skip


def seconds(text: str) -> float:
    """A positive number of seconds from the command line."""
    value = float(text)
    if not value > 0:
        raise ValueError(text)
    return value


def positive(text: str) -> int:
    """A whole number of at least one from the command line."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def client(args: argparse.Namespace, *, needs_domain: bool = True) -> Client:
    """The client that options and environment describe. Nothing is connected yet."""
    domain = domain_of(args)
    if needs_domain and not domain:
        raise UsageError("no domain: give --domain or set MOGILEFS_DOMAIN")
    given: dict[str, Any] = {
        name: getattr(args, name) for name in CLIENT_OPTIONS if hasattr(args, name)
    }
    return Client(domain, trackers_of(args), **given)


def domain_of(args: argparse.Namespace) -> str | None:
    """The domain from the option, else from the environment, else None."""
    return getattr(args, "domain", None) or os.environ.get("MOGILEFS_DOMAIN") or None


def trackers_of(args: argparse.Namespace) -> Sequence[str]:
    """The trackers from the options, else from the environment."""
    given = ",".join(getattr(args, "trackers", None) or [os.environ.get("MOGILEFS_TRACKERS", "")])
    trackers = [tracker.strip() for tracker in given.split(",") if tracker.strip()]
    if not trackers:
        raise UsageError("no trackers: give --trackers or set MOGILEFS_TRACKERS")
    return trackers
