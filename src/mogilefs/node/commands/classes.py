"""Domains, and the classes in them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable

from ...wire import Request
from ..namespaces import insert_class, insert_domain
from ..namespaces import update_class as update_class_row
from ..policies import DEFAULT_POLICY, PolicyError, parse
from ..registry import DEFAULT_CLASS, HASH_NAMES, HASH_NUMBERS, Domain, FileClass
from .table import CommandError, Context, Values, command, number


async def change(ctx: Context, function: Callable[[sqlite3.Connection], object]) -> None:
    """Write to the small tables and read them again."""
    await ctx.catalog.write(function)
    ctx.registry.reload()


def _domain_name(request: Request) -> str:
    name = request.given("domain")
    if name is None:
        raise CommandError("no_domain", "No domain provided")
    return name


def _name(request: Request, what: str) -> str:
    """A name that a class command is given; here ``0`` is one too."""
    name = request.args.get(what, "")
    if not name:
        raise CommandError(f"no_{what}", f"No {what} provided")
    return name


def _known_domain(ctx: Context, name: str) -> Domain:
    domain = ctx.registry.domains.get(name)
    if domain is None:
        raise CommandError("domain_not_found", f"No domain {name!r}")
    return domain


@command("get_domains")
def get_domains(ctx: Context, request: Request) -> Values:
    """Every domain with its classes."""
    values: Values = {"domains": len(ctx.registry.domains)}
    for index, domain in enumerate(ctx.registry.domains.values(), 1):
        classes = [item for item in ctx.registry.classes.values() if item.dmid == domain.dmid]
        values[f"domain{index}"] = domain.name
        values[f"domain{index}classes"] = len(classes)
        for place, item in enumerate(classes, 1):
            values |= _class_values(f"domain{index}class{place}", item)
    return values


def _class_values(prefix: str, item: FileClass) -> Values:
    return {
        f"{prefix}name": item.name,
        f"{prefix}mindevcount": item.mindevcount,
        f"{prefix}replpolicy": item.replpolicy or DEFAULT_POLICY,
        f"{prefix}hashtype": HASH_NAMES.get(item.hashtype or 0, "NONE"),
    }


@command("create_domain")
async def create_domain(ctx: Context, request: Request) -> Values:
    """Make a domain."""
    name = _domain_name(request)
    await change(ctx, lambda db: _insert_domain(db, name))
    return {"domain": name}


def _insert_domain(db: sqlite3.Connection, name: str) -> None:
    try:
        insert_domain(db, name)
    except sqlite3.IntegrityError as error:
        raise CommandError("domain_exists", f"Domain {name!r} is there already") from error


@command("delete_domain")
async def delete_domain(ctx: Context, request: Request) -> Values:
    """Take an empty domain away."""
    domain = _known_domain(ctx, _domain_name(request))
    await change(ctx, lambda db: _delete_domain(db, domain))
    return {"domain": domain.name}


def _delete_domain(db: sqlite3.Connection, domain: Domain) -> None:
    if db.execute("SELECT 1 FROM file WHERE dmid = ? LIMIT 1", (domain.dmid,)).fetchone():
        raise CommandError("domain_has_files", f"Domain {domain.name!r} still has files")
    own = "SELECT 1 FROM class WHERE dmid = ? AND classid != 0 LIMIT 1"
    if db.execute(own, (domain.dmid,)).fetchone():
        raise CommandError("domain_has_classes", f"Domain {domain.name!r} still has classes")
    db.execute("DELETE FROM class WHERE dmid = ?", (domain.dmid,))
    db.execute("DELETE FROM domain WHERE dmid = ?", (domain.dmid,))


@command("create_class")
async def create_class(ctx: Context, request: Request) -> Values:
    """Make a class; ``default`` may be made to give it a count or policy of its own."""
    domain, name, settings = _class_request(ctx, request)
    known = ctx.registry.class_named(domain.dmid, name)
    if known is not None and known.explicit:
        raise CommandError("class_exists", f"Class {name!r} is there already")
    await change(ctx, lambda db: _insert_class(db, domain, name, settings))
    return {"domain": domain.name, "class": name, "mindevcount": _echoed_count(request)}


def _class_request(ctx: Context, request: Request) -> tuple[Domain, str, dict[str, object]]:
    """Domain, class name and columns. What is wrong is told in the original's order."""
    domain, name = _name(request, "domain"), _name(request, "class")
    settings = _class_settings(request)
    return _known_domain(ctx, domain), name, settings


def _echoed_count(request: Request) -> str:
    """The number that ``mindevcount`` begins with, as it was written."""
    match = _LEADING_DECIMAL.match(request.args["mindevcount"])
    return match[1] if match else ""


_LEADING_DECIMAL = re.compile(r"\s*\+?0*(\d+(?:\.\d*[1-9])?)")


def _class_settings(request: Request) -> dict[str, object]:
    """The columns that a request sets, checked."""
    mindevcount = number(request.args.get("mindevcount"))
    if mindevcount < 1:
        raise CommandError("invalid_mindevcount", "The mindevcount must be at least 1")
    settings: dict[str, object] = {"mindevcount": mindevcount}
    hashtype, policy = request.given("hashtype"), request.given("replpolicy")
    if policy is not None:
        try:
            parse(policy)
        except PolicyError as error:
            raise CommandError("invalid_replpolicy", str(error)) from error
        settings["replpolicy"] = policy
    if hashtype is not None:
        if hashtype != "NONE" and hashtype not in HASH_NUMBERS:
            raise CommandError("invalid_hashtype", f"No checksum {hashtype!r}: NONE, MD5, SHA-1")
        settings["hashtype"] = HASH_NUMBERS.get(hashtype)
    return settings


def _insert_class(
    db: sqlite3.Connection, domain: Domain, name: str, settings: dict[str, object]
) -> None:
    if not db.execute("SELECT 1 FROM domain WHERE dmid = ?", (domain.dmid,)).fetchone():
        raise CommandError("domain_not_found", f"Domain {domain.name!r} was deleted in this moment")
    try:
        insert_class(db, domain.dmid, name, settings)
    except sqlite3.IntegrityError as error:
        raise CommandError("class_exists", f"Class {name!r} is there already") from error


@command("update_class")
async def update_class(ctx: Context, request: Request) -> Values:
    """Change a class; what is not given stays as it is."""
    domain, name, settings = _class_request(ctx, request)
    found = ctx.registry.class_named(domain.dmid, name)
    if found is None:
        raise CommandError("class_not_found", f"No class {name!r}")
    if found.explicit:
        await change(ctx, lambda db: update_class_row(db, domain.dmid, name, settings))
    else:
        await change(ctx, lambda db: _insert_class(db, domain, name, settings))
    return {"domain": domain.name, "class": name, "mindevcount": _echoed_count(request)}


@command("delete_class")
async def delete_class(ctx: Context, request: Request) -> Values:
    """Take a class away that has no files."""
    wanted, name = _name(request, "domain"), request.args.get("class", "")
    if name == DEFAULT_CLASS:
        raise CommandError("nodel_default_class", "The default class cannot be deleted")
    domain = _known_domain(ctx, wanted)
    found = ctx.registry.class_named(domain.dmid, name)
    if found is None:
        raise CommandError("class_not_found", f"No class {name!r}")
    await change(ctx, lambda db: _delete_class(db, found))
    return {"domain": domain.name, "class": name}


def _delete_class(db: sqlite3.Connection, item: FileClass) -> None:
    place = (item.dmid, item.classid)
    if db.execute("SELECT 1 FROM file WHERE dmid = ? AND classid = ? LIMIT 1", place).fetchone():
        raise CommandError("class_has_files", f"Class {item.name!r} still has files")
    db.execute("DELETE FROM class WHERE dmid = ? AND classid = ?", place)
