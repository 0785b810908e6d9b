"""Run a MogileFS for this machine: tracker, storage node and background jobs in one process."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from typing import Any

from ..errors import ConfigurationError
from ..node.logs import LEVELS
from ..node.logs import configure as configure_logs
from ..node.node import Node
from ..node.openfiles import raise_limit


class _AddDomain(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        namespace.domains.append((values, {}))


class _AddClass(argparse.Action):
    """A class belongs to the domain named last before it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if not namespace.domains:
            parser.error("--class comes after the --domain that it belongs to")
        name, mindevcount = values
        namespace.domains[-1][1][name] = mindevcount


def _class_spec(text: str) -> tuple[str, int]:
    name, _, count = text.rpartition(":")
    if not name or not count.isascii() or not count.isdigit() or int(count) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME:MINDEVCOUNT")
    return name, int(count)


def _devices(text: str) -> int | tuple[int, ...]:
    try:
        numbers = tuple(int(number) for number in text.removesuffix(",").split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no count and no list of numbers") from error
    return numbers[0] if "," not in text else numbers


def configure(parser: argparse.ArgumentParser, directory: str | None = None) -> None:
    """Declare the options; DIR may be left out where a default is given."""
    add = parser.add_argument
    add(
        "directory",
        metavar="DIR",
        nargs="?" if directory else None,
        default=directory,
        help="where everything lies; made if it is not there",
    )
    add(
        "--devices",
        type=_devices,
        default=2,
        metavar="N",
        help="how many devices to have, or their numbers (1,2,5 or 4,); missing ones are made",
    )
    add("--domain", action=_AddDomain, metavar="NAME", help="a domain to have; may be repeated")
    add(
        "--class",
        action=_AddClass,
        type=_class_spec,
        metavar="NAME:MINDEVCOUNT",
        help="a class to have in the domain named last; may be repeated",
    )
    add("--tracker", default="127.0.0.1:7001", metavar="HOST:PORT", help="default %(default)s")
    add("--storage", default="127.0.0.1:7500", metavar="HOST:PORT", help="default %(default)s")
    add("--sidechannel", default="127.0.0.1:7501", metavar="HOST:PORT", help="default %(default)s")
    add("--host-ip", metavar="IP", help="the address that clients are sent to for files")
    add("--hostname", default="node", metavar="NAME", help="this storage node's name (%(default)s)")
    add(
        "--allow",
        action="append",
        default=[],
        metavar="CIDR",
        help="a network that may talk to the node; may be repeated; needed beyond loopback",
    )
    add(
        "--durability",
        choices=("full", "relaxed"),
        default="full",
        help="relaxed leaves fsync out: for tests, not for data",
    )
    add("--metrics", metavar="HOST:PORT", help="serve metrics for Prometheus there")
    add("--log-level", choices=LEVELS, default="info", help="default %(default)s")
    add("--log-json", action="store_true", help="one JSON object a line, instead of text")
    parser.set_defaults(domains=[])


def run(options: argparse.Namespace) -> int:
    """Run the node until SIGINT or SIGTERM."""
    domains: dict[str, dict[str, int | None]] = {}
    for name, classes in options.domains:
        domains.setdefault(name, {}).update(classes)
    node = Node(
        options.directory,
        devices=options.devices,
        domains=domains,
        tracker=options.tracker,
        storage=options.storage,
        sidechannel=options.sidechannel,
        durability=options.durability,
        allow=options.allow,
        hostname=options.hostname,
        host_ip=options.host_ip,
        metrics=options.metrics,
    )
    raise_limit()
    handler = configure_logs(options.log_level, as_json=options.log_json)
    try:
        asyncio.run(_serve(node))
    except OSError as error:
        raise ConfigurationError(str(error)) from error
    finally:
        logging.getLogger("mogilefs").removeHandler(handler)
    return 0


async def _serve(node: Node) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with node:
        metrics = f", metrics {node.metrics}" if node.metrics else ""
        print(
            f"ready: tracker {node.tracker}, storage {node.storage},"
            f" sidechannel {node.sidechannel}{metrics}, data {node.directory}",
            flush=True,
        )
        await stop.wait()
