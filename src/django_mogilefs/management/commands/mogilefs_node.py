"""Run the embedded node for this project, with the domains and classes that its storages name."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_mogilefs.project import StorageUse, storage_uses
from django_mogilefs.storage import MogileFSStorage
from mogilefs import MogileFSError
from mogilefs.cli import node
from mogilefs.config import DEFAULT_TRACKER_PORT


class Command(BaseCommand):
    """`mogilefs node`, with what the settings tell as defaults."""

    help = (
        "Runs a MogileFS for this project on this machine: it listens where MOGILEFS_TRACKERS'"
        " first entry says, and has the domains and classes that the project's storages name."
        " A --class before any --domain belongs to MOGILEFS_DOMAIN."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        node.configure(
            parser, directory=str(Path(getattr(settings, "BASE_DIR", ".")) / ".mogilefs")
        )
        use = StorageUse("the settings", MogileFSStorage, {})
        try:
            parser.set_defaults(
                tracker=with_port(use.look_up("trackers")[0]),
                domains=[(use.look_up("domain"), {})],
            )
        except ImproperlyConfigured:
            return  # all is in the options of STORAGES, or nothing is set

    def handle(self, **options: Any) -> None:
        told = Namespace(**options)
        told.domains = [*project_domains().items(), *told.domains]
        try:
            node.run(told)
        except MogileFSError as error:
            raise CommandError(str(error)) from error


def with_port(tracker: str) -> str:
    """``HOST:PORT``, where a setting may leave out the port."""
    named = urlsplit(f"//{tracker}").port is not None
    return tracker if named else f"{tracker}:{DEFAULT_TRACKER_PORT}"


def project_domains() -> dict[str, dict[str, int | None]]:
    """Every domain that a storage names, with the classes that storages name in it.

    How many replicas a class is to have no storage says: ``--class NAME:N`` does.
    """
    domains: dict[str, dict[str, int | None]] = {}
    for use in storage_uses():
        try:
            classes = domains.setdefault(use.look_up("domain"), {})
        except ImproperlyConfigured:
            if use.is_fixed("domain"):
                raise
            continue  # a tenant's, which has no name here: --domain gives it one
        name = use.look_up("mogile_class")
        if isinstance(name, str) and name != "default":
            classes[name] = None
    return domains
