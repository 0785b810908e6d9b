"""The commands that manage a cluster: ``domain class host device settings``."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from mogilefs.client import Admin

from . import files, options, status
from .exits import UsageError
from .output import Columns, Output
from .parsing import Commands, Run

HOST_STATES = ("alive", "readonly", "down", "dead")
DEVICE_STATES = ("alive", "readonly", "drain", "down", "dead")
CLASS_VERBS = ("list", "add", "modify", "delete", "set")
"""What the first word after ``class`` may be; any other is the first KEY of ``class set``."""


def _class_in_short(found: Mapping[str, Any]) -> str:
    return f"{found['name']}:{found['mindevcount']}"


DOMAINS: Columns = {
    "domain": "name",
    "classes": lambda row: ", ".join(map(_class_in_short, row["classes"])),
}
CLASSES: Columns = {
    "domain": "domain",
    "class": "name",
    "mindevcount": "mindevcount",
    "policy": "replpolicy",
    "checksum": "hashtype",
}


@contextlib.contextmanager
def administering(args: argparse.Namespace) -> Iterator[Admin]:
    """The administration of the cluster that the options name."""
    with options.client(args, needs_domain=False) as client:
        yield client.admin


# domain


def domain_list(args: argparse.Namespace, out: Output) -> None:
    """``domain list``."""
    with administering(args) as admin:
        out.listing(admin.domains(), DOMAINS)


def domain_add(args: argparse.Namespace, out: Output) -> None:
    """``domain add NAME``."""
    with administering(args) as admin:
        admin.create_domain(args.name)


def domain_delete(args: argparse.Namespace, out: Output) -> None:
    """``domain delete NAME``."""
    with administering(args) as admin:
        admin.delete_domain(args.name)


# class


def class_list(args: argparse.Namespace, out: Output) -> None:
    """``class list [DOMAIN]``."""
    wanted = getattr(args, "of", None) or options.domain_of(args)
    with administering(args) as admin:
        if wanted:
            found = [(wanted, one) for one in admin.classes(wanted)]
        else:
            found = [(domain.name, one) for domain in admin.domains() for one in domain.classes]
    rows = ({"domain": domain, **dataclasses.asdict(one)} for domain, one in found)
    out.listing(rows, CLASSES)


def class_add(args: argparse.Namespace, out: Output) -> None:
    """``class add [DOMAIN] NAME``."""
    with administering(args) as admin:
        admin.create_class(
            _domain(args), args.name, args.mindevcount or 2, args.replpolicy, args.hashtype
        )


def class_modify(args: argparse.Namespace, out: Output) -> None:
    """``class modify [DOMAIN] NAME``."""
    with administering(args) as admin:
        admin.update_class(
            _domain(args), args.name, args.mindevcount, args.replpolicy, args.hashtype
        )


def class_delete(args: argparse.Namespace, out: Output) -> None:
    """``class delete [DOMAIN] NAME``."""
    with administering(args) as admin:
        admin.delete_class(_domain(args), args.name)


def _domain(args: argparse.Namespace) -> str:
    domain = args.of or options.domain_of(args)
    if not domain:
        raise UsageError("no domain: give DOMAIN before the class, or --domain, or MOGILEFS_DOMAIN")
    return domain


# host


def host_list(args: argparse.Namespace, out: Output) -> None:
    """``host list``."""
    with administering(args) as admin:
        out.listing(admin.hosts(), status.HOSTS)


def host_add(args: argparse.Namespace, out: Output) -> None:
    """``host add NAME --ip IP [--port PORT]``."""
    with administering(args) as admin:
        admin.create_host(
            args.name, args.ip, args.port or 7500, status=args.status, get_port=args.getport,
            altip=args.altip, altmask=args.altmask,
        )  # fmt: skip


def host_modify(args: argparse.Namespace, out: Output) -> None:
    """``host modify NAME …``."""
    with administering(args) as admin:
        admin.update_host(
            args.name, ip=args.ip, port=args.port, status=args.status, get_port=args.getport,
            altip=args.altip, altmask=args.altmask,
        )  # fmt: skip


def host_mark(args: argparse.Namespace, out: Output) -> None:
    """``host mark NAME STATE``."""
    with administering(args) as admin:
        admin.update_host(args.name, status=args.status)


def host_delete(args: argparse.Namespace, out: Output) -> None:
    """``host delete NAME``."""
    with administering(args) as admin:
        admin.delete_host(args.name)


# device


def device_list(args: argparse.Namespace, out: Output) -> None:
    """``device list``."""
    with administering(args) as admin:
        out.listing(status.devices(admin), status.DEVICES)


def device_add(args: argparse.Namespace, out: Output) -> None:
    """``device add HOST DEVID``."""
    with administering(args) as admin:
        admin.create_device(args.host, args.devid, args.status)


def device_mark(args: argparse.Namespace, out: Output) -> None:
    """``device mark HOST DEVID STATE``."""
    with administering(args) as admin:
        admin.set_device_state(args.host, args.devid, args.status)


def device_weight(args: argparse.Namespace, out: Output) -> None:
    """``device weight HOST DEVID N``."""
    with administering(args) as admin:
        admin.set_device_weight(args.host, args.devid, args.weight)


# settings


def settings_list(args: argparse.Namespace, out: Output) -> None:
    """``settings list``."""
    with administering(args) as admin:
        found = admin.settings()
    rows = ({"name": name, "value": value} for name, value in sorted(found.items()))
    out.listing(rows, {"setting": "name", "value": "value"})


def settings_get(args: argparse.Namespace, out: Output) -> None:
    """``settings get NAME``."""
    with administering(args) as admin:
        value = admin.setting(args.name)
    if out.as_json:
        out.record({"name": args.name, "value": value})
    elif value is not None:
        out.say(value)


def settings_set(args: argparse.Namespace, out: Output) -> None:
    """``settings set NAME VALUE``."""
    with administering(args) as admin:
        admin.set_setting(args.name, args.value)


# The parser


def add_to(commands: Commands) -> None:
    """Put the commands into the parser."""
    _add_domain(commands)
    _add_class(commands)
    _add_host(commands)
    _add_device(commands)
    _add_settings(commands)


def _add_domain(commands: Commands) -> None:
    verbs = commands.group("domain", domain_list, "domains: list, add, delete")
    verbs.add("list", domain_list, "list domains, with their classes")
    verbs.add("add", domain_add, "make a domain").add_argument("name", metavar="NAME")
    verbs.add("delete", domain_delete, "delete an empty domain").add_argument(
        "name", metavar="NAME"
    )


CLASS = """\
`class KEY… CLASS` puts files into another class. A domain's classes are managed by
`class list`, `add`, `modify` and `delete`. A key that is called like a verb needs `class set`."""


def _add_class(commands: Commands) -> None:
    verbs = commands.group("class", class_list, "a file's class; a domain's classes", CLASS)
    setting = verbs.add("set", files.set_class, "put files into another class (`set` may go)")
    setting.add_argument("keys", metavar="KEY", nargs="+")
    setting.add_argument("mogile_class", metavar="CLASS")
    listing = verbs.add("list", class_list, "list a domain's classes, or all")
    listing.add_argument("of", metavar="DOMAIN", nargs="?")
    for name, run, help in (
        ("add", class_add, "make a class"),
        ("modify", class_modify, "change what is given"),
        ("delete", class_delete, "delete a class without files"),
    ):
        command = verbs.add(name, run, help)
        command.add_argument("of", metavar="DOMAIN", nargs="?")
        command.add_argument("name", metavar="NAME")
        if run is not class_delete:
            _add_class_options(command)


def _add_class_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--mindevcount", type=options.positive, metavar="N", help="replicas to keep (new: 2)"
    )
    command.add_argument("--replpolicy", metavar="POLICY", help="such as `MultipleDevices()`")
    command.add_argument("--hashtype", choices=("MD5", "SHA-1", "NONE"), help="checksum to keep")


def _add_host(commands: Commands) -> None:
    verbs = commands.group("host", host_list, "storage hosts: list, add, modify, mark, delete")
    verbs.add("list", host_list, "list hosts")
    for name, run, help in (
        ("add", host_add, "make a storage host known"),
        ("modify", host_modify, "change what is given"),
    ):
        command = verbs.add(name, run, help)
        command.add_argument("name", metavar="NAME")
        command.add_argument("--ip", required=run is host_add, help="address")
        command.add_argument("--port", type=options.positive, help="HTTP port (new: 7500)")
        command.add_argument("--getport", type=options.positive, help="HTTP port for reading")
        command.add_argument("--altip", metavar="IP", help="alternate address")
        command.add_argument("--altmask", metavar="CIDR", help="who gets the alternate address")
        command.add_argument("--status", "--state", choices=HOST_STATES, help="state (new: down)")
    command = verbs.add("mark", host_mark, "set a host's state")
    command.add_argument("name", metavar="NAME")
    command.add_argument(
        "status", metavar="STATE", choices=HOST_STATES, help=", ".join(HOST_STATES)
    )
    verbs.add("delete", host_delete, "forget a host without devices").add_argument(
        "name", metavar="NAME"
    )


def _add_device(commands: Commands) -> None:
    verbs = commands.group("device", device_list, "devices: list, add, mark, weight")
    verbs.add("list", device_list, "list devices, with their use")
    adding = _add_on_device(verbs, "add", device_add, "make a device known")
    adding.add_argument("--status", "--state", choices=DEVICE_STATES, help="state (new: alive)")
    marking = _add_on_device(verbs, "mark", device_mark, "set a device's state")
    marking.add_argument(
        "status", metavar="STATE", choices=DEVICE_STATES, help=", ".join(DEVICE_STATES)
    )
    weighing = _add_on_device(verbs, "weight", device_weight, "how readily it gets new files")
    weighing.add_argument("weight", metavar="N", type=int, help="100 is usual, 0 is never")


def _add_on_device(verbs: Commands, name: str, run: Run, help: str) -> argparse.ArgumentParser:
    command = verbs.add(name, run, help)
    command.add_argument("host", metavar="HOST")
    command.add_argument("devid", metavar="DEVID", type=options.positive)
    return command


def _add_settings(commands: Commands) -> None:
    verbs = commands.group("settings", settings_list, "the trackers' settings: list, get, set")
    verbs.add("list", settings_list, "list all settings that were ever set")
    verbs.add("get", settings_get, "show one").add_argument("name", metavar="NAME")
    setting = verbs.add("set", settings_set, "set one")
    setting.add_argument("name", metavar="NAME")
    setting.add_argument("value", metavar="VALUE")
