"""System checks, tag ``mogilefs``.

Without touching the network, at every ``check``:

=============  ===================================================================================
mogilefs.E001  a setting or option is missing or malformed
mogilefs.E002  a storage was given an option that does not exist
mogilefs.E003  a setting about serving is malformed, or names no front
mogilefs.W001  no URL pattern of the project answers where ``MOGILEFS_MEDIA_URL`` points
mogilefs.W002  ``check --deploy``: no front is configured, so Django sends every byte itself
mogilefs.W003  static files share domain and prefix with other files: ``--clear`` deletes both
mogilefs.W004  a directory in ``MOGILEFS_LOCAL_DIRECTORIES`` is not there, or holds no device
mogilefs.W005  a front is configured where ``DEBUG`` is true: runserver has none before it
mogilefs.W006  ``check --deploy``: a front is configured, and nobody looks whether it is there
=============  ===================================================================================

With the network, only at ``check --deploy --tag mogilefs``:

=============  ===================================================================================
mogilefs.E101  no tracker answers
mogilefs.E102  the domain does not exist
mogilefs.E103  a class that a storage names does not exist
mogilefs.E104  the front is not in place: what ``MOGILEFS_FRONT_PROBE`` addresses came past it
=============  ===================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from inspect import currentframe, unwrap
from operator import itemgetter
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.urls import Resolver404, get_script_prefix, resolve

from django_mogilefs.clients import ClientOptions, get_client
from django_mogilefs.conf import is_set, unknown_options
from django_mogilefs.project import StorageUse, storage_uses
from django_mogilefs.static import MogileFSStaticStorage
from mogilefs import Client, MogileFSError

TAG = "mogilefs"


def check_options(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Every storage has what it needs, in the right form, and nothing that does not exist."""
    found = [message for use in storage_uses() for message in _options(use)]
    return list({str(message.msg): message for message in found}.values())


def _options(use: StorageUse) -> Iterator[CheckMessage]:
    unknown = sorted(use.given.keys() - use.backend.keywords())
    if unknown:
        yield Error(
            unknown_options(use.backend, unknown),
            hint=f"Correct the OPTIONS of {use.where}.",
            obj=use.where,
            id="mogilefs.E002",
        )
    for name in sorted(use.backend.options()):
        try:
            use.look_up(name)
        except ImproperlyConfigured as error:
            yield Error(
                str(error),
                hint="The README's settings block is one that works.",
                obj=use.where,
                id="mogilefs.E001",
            )


def check_urls(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """The view is mounted where the storages' URLs point."""
    bases: dict[str, StorageUse] = {}
    for use in storage_uses():
        if base := _look_up(use, "base_url"):
            bases.setdefault(base, use)
    return [
        Warning(
            f"No URL pattern hands {base} to serve_mogilefs_file.",
            hint=(
                f'Add path("{_local(base)}<path:key>", serve_mogilefs_file{_which(use)}) to'
                " ROOT_URLCONF, or silence this where a view of your own calls it."
            ),
            id="mogilefs.W001",
        )
        for base, use in sorted(bases.items(), key=itemgetter(0))
        if not urlsplit(base).netloc and not _is_served(base)
    ]


def _look_up(use: StorageUse, name: str) -> Any:
    if not use.is_fixed(name):
        return None  # there may be nothing yet for it to tell, such as a tenant
    try:
        return use.look_up(name)
    except ImproperlyConfigured:
        return None  # check_options tells it


def _which(use: StorageUse) -> str:
    """What a URL pattern passes on for a storage that is not the view's default."""
    return f', {{"storage": "{use.alias}"}}' if use.alias not in (None, "default") else ""


def _local(base: str) -> str:
    return base.removeprefix(get_script_prefix()).lstrip("/")


def _is_served(base: str) -> bool:
    if not getattr(settings, "ROOT_URLCONF", None):
        return False
    try:
        view = resolve(f"/{_local(base)}name").func
    except Resolver404:
        return False
    kinds = getattr(view, "view_class", None)
    modules = [each.__module__ for each in kinds.__mro__] if kinds else [unwrap(view).__module__]
    return "django_mogilefs.views" in modules


def check_front(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """In production a front sends the bytes."""
    fronted = is_set("MOGILEFS_FRONT") or getattr(settings, "SERVE_WITH_PERLBAL", False)
    if fronted or not storage_uses():
        return []
    return [
        Warning(
            "No front is configured: Django sends every byte of every file itself.",
            hint='Set MOGILEFS_FRONT to "perlbal", "nginx" or "caddy" where one stands before it.',
            id="mogilefs.W002",
        )
    ]


def check_static(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """What ``collectstatic --clear`` deletes is static files only."""
    uses = storage_uses()
    others = [use for use in uses if not issubclass(use.backend, MogileFSStaticStorage)]
    return [
        Warning(
            f"{use.where} keeps static files where other files are kept as well:"
            " collectstatic --clear would delete them all.",
            hint="Give it a domain of its own, or a location such as 'static'.",
            obj=use.where,
            id="mogilefs.W003",
        )
        for use in uses
        if issubclass(use.backend, MogileFSStaticStorage)
        and any(_is_in(other, use) for other in others)
    ]


def _is_in(other: StorageUse, use: StorageUse) -> bool:
    """Whether files of the one are kept where the other one's are, or below."""
    known = all(each.is_fixed(name) for each in (other, use) for name in ("domain", "location"))
    if not known or _look_up(other, "domain") != _look_up(use, "domain"):
        return False
    inner, outer = _look_up(other, "location") or "", _look_up(use, "location") or ""
    return not outer or f"{inner}/".startswith(f"{outer}/")


def only_when_asked(
    look: Callable[[], list[CheckMessage]],
) -> Callable[..., list[CheckMessage]]:
    """A check that asks the network, but only where checks of our tag were asked for."""

    def check(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
        # Django tells a check the apps and the databases, not the tags; its run_checks() has them.
        run = currentframe()
        tags = run.f_back.f_locals.get("tags") if run and run.f_back else None
        return look() if tags and TAG in tags else []

    return check


def check_cluster() -> list[CheckMessage]:
    """Trackers answer; the domain and every class that a storage names exist."""
    classes: dict[ClientOptions, set[str]] = {}
    for use in storage_uses():
        if not all(map(use.is_fixed, ClientOptions.names())):
            continue
        try:
            options = use.client_options()
        except ImproperlyConfigured:
            continue  # check_options tells it
        name = _look_up(use, "mogile_class")
        classes.setdefault(options, set()).update([name] if isinstance(name, str) else [])
    return [each for options, names in classes.items() for each in _cluster(options, names)]


def _cluster(options: ClientOptions, classes: set[str]) -> Iterator[CheckMessage]:
    silent = list(_silent_trackers(options))
    yield from silent
    if len(silent) == len(options.trackers):
        return
    domains = {domain.name: domain for domain in get_client(options).admin.domains()}
    if options.domain not in domains:
        yield Error(
            f"The domain {options.domain!r} does not exist.",
            hint=f"mogilefs domain add {options.domain}",
            id="mogilefs.E102",
        )
        return
    known = {each.name for each in get_client(options).admin.classes(options.domain)}
    for name in sorted(classes - known - {"default"}):
        yield Error(
            f"The domain {options.domain!r} has no class {name!r}.",
            hint=f"mogilefs class add {options.domain} {name}",
            id="mogilefs.E103",
        )


def _silent_trackers(options: ClientOptions) -> Iterator[CheckMessage]:
    for tracker in options.trackers:
        alone = replace(options, trackers=(tracker,))
        try:
            with Client(**vars(alone)) as client:
                client.admin.domains()
        except MogileFSError as error:
            yield Error(
                f"The tracker {tracker} does not answer: {error}",
                hint="Start it, or take it out of MOGILEFS_TRACKERS.",
                id="mogilefs.E101",
            )
