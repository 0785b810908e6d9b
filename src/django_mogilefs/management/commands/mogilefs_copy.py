"""Copy files from one storage to another, verified, several at a time."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import InvalidStorageError, Storage, storages
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from django_mogilefs.copying import (
    COPIED,
    NOTED,
    ONLY_THERE,
    OWN,
    Copy,
    own_prefix,
    place,
    replacing,
)
from django_mogilefs.names import directory_prefix
from django_mogilefs.references import fields_named, fields_on, names_in
from django_mogilefs.storage import MogileFSStorage
from mogilefs import MogileFSError
from mogilefs.cli.exits import printable
from mogilefs.cli.options import positive

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""

HELD = 1000
"""Names that are handed to the workers ahead."""


class Command(BaseCommand):
    """Copies by reference (what FileFields name) or by listing, between any two aliases."""

    help = (
        "Copies files from one alias of STORAGES to another, in either direction. What is there"
        " already with the same bytes is left alone, so an interrupted copy goes on when it is"
        " started again. Exits with 1 if a file could not be copied."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("source", help="the alias in STORAGES to copy from")
        add("destination", help="the alias in STORAGES to copy to")
        add(
            "--field",
            action="append",
            default=[],
            metavar="APP.MODEL.FIELD",
            help="copy what this FileField refers to; by default all fields on either storage",
        )
        add(
            "--list",
            nargs="?",
            const="",
            metavar="DIRECTORY",
            help="copy all files that the source lists (below a directory), referred to or not",
        )
        add("--workers", type=positive, default=8, metavar="N", help="files at a time (8)")
        add("--overwrite", action="store_true", help="replace files that differ; else they fail")
        add("--delete-source", action="store_true", help="delete each file that was verified")
        add("--dry-run", action="store_true", help="only tell what would be copied")
        add(
            "--journal",
            type=Path,
            metavar="FILE",
            help="note here what is done: the next run need not compare it again",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        source, destination = (_storage(options[name]) for name in ("source", "destination"))
        noted = options["journal"]  # from call_command it may be text
        journal = Journal(
            None if noted is None else Path(noted),
            f"{options['source']} ({place(source)})",
            f"{options['destination']} ({place(destination)})",
        )
        try:
            names, optional = self._names(source, destination, options)
        except (MogileFSError, OSError, SuspiciousFileOperation) as error:
            raise CommandError(f"{options['source']} cannot be listed: {error}") from error
        copy = Copy(
            source,
            replacing(destination) if options["overwrite"] else destination,
            overwrite=options["overwrite"],
            delete_source=options["delete_source"],
            dry_run=options["dry_run"],
            done=journal,
            own="" if options["list"] is None else own_prefix(source, destination),
            optional=optional,
        )
        try:
            failed = self._run(copy, names, options, journal)
        except KeyboardInterrupt as error:
            told = "Interrupted. Start it again to go on: what was copied is left alone."
            raise CommandError(told, returncode=INTERRUPTED) from error
        if failed:
            causes = [printable(f"{name}: {why}") for name, why in sorted(failed.items())]
            self.stderr.write("\n".join(causes))
            raise CommandError(f"{len(failed)} of {len(names)} files were not copied.")

    def _names(
        self, source: Storage, destination: Storage, options: Any
    ) -> tuple[list[str], set[str]]:
        """All names, and those that the source may lack: uploaded since, or moved before."""
        if options["list"] is not None:
            return list(_listed(source, options["list"])), set()
        fields = fields_named(options["field"]) or fields_on(source, destination)
        if not fields:
            raise CommandError("No FileField is on either storage: name one, or use --list.")
        needed = names_in(each for each in fields if each.storage is source)
        others = names_in(each for each in fields if each.storage is not source)
        return sorted(needed | others), others - needed

    def _run(
        self, copy: Copy, names: list[str], options: Any, journal: Journal
    ) -> dict[str, Exception]:
        # Of what an earlier run has only copied the source may still have to be deleted.
        left = names if copy.delete_source else [each for each in names if each not in journal]
        failed: dict[str, Exception] = {}
        counts = Counter({NOTED: len(names) - len(left)})
        show = options["verbosity"] > 0 and sys.stderr.isatty()
        with tqdm(total=len(left), unit=" files", disable=not show) as bar:
            for name, result in _in_parallel(copy, left, options["workers"]):
                bar.update()
                if isinstance(result, Exception):
                    failed[name] = result
                    continue
                counts[result] += 1
                if options["verbosity"] > 1 or (options["dry_run"] and result == COPIED):
                    self.stdout.write(f"{result} {printable(name)}")
                if not options["dry_run"] and result not in (OWN, ONLY_THERE, NOTED):
                    journal.add(name)
        told = [f"{count} {what}" for what, count in sorted(counts.items()) if count]
        would_be = "Would be: " if options["dry_run"] else ""
        self.stdout.write(f"{would_be}{', '.join(told) or 'nothing'}, {len(failed)} failed")
        return failed


def _storage(alias: str) -> Storage:
    try:
        return storages[alias]
    except InvalidStorageError as error:
        raise CommandError(str(error)) from error


def _listed(storage: Storage, directory: str) -> Iterator[str]:
    """Every file in a directory and below."""
    if isinstance(storage, MogileFSStorage):
        # By keys: not all have a directory that listdir() could be asked for ("./a", "a//b").
        yield from storage.names(directory_prefix(directory, ""))
        return
    directories, files = storage.listdir(directory)
    prefix = f"{directory.rstrip('/')}/" if directory else ""
    yield from (prefix + name for name in files)
    for name in directories:
        yield from _listed(storage, prefix + name)


def _in_parallel(
    work: Callable[[str], str], names: Iterable[str], workers: int
) -> Iterator[tuple[str, str | Exception]]:
    """What the work returned or raised for each name, as it is done."""
    waiting = iter(names)
    with ThreadPoolExecutor(workers, "mogilefs-copy") as pool:
        try:
            while batch := list(islice(waiting, HELD)):
                running = {pool.submit(work, name): name for name in batch}
                for done in as_completed(running):
                    error = done.exception()
                    if error is not None and not isinstance(error, Exception):
                        raise error
                    yield running[done], error or done.result()
        finally:
            pool.shutdown(cancel_futures=True)


class Journal:
    """The names that earlier runs have done with, one a line; without a file it keeps nothing.

    The first line says which storages it is of. A line that its run could not end, because it was
    cut off, is taken back. CommandError where the file cannot be read or written, or is of others.
    """

    def __init__(self, path: Path | None, source: str, destination: str) -> None:
        self._path = path
        self._first = _OF + _line(f"{source} to {destination}")
        with self._told():
            data = path.read_bytes() if path is not None and path.exists() else b""
            self._see_whose(data)
            whole, end, torn = data.rpartition(b"\n")
            if path is not None and torn:
                os.truncate(path, len(whole + end))
        self._done = frozenset(whole.split(b"\n")[1:])

    def _see_whose(self, data: bytes) -> None:
        first, end, _ = data.partition(b"\n")
        if first != self._first and (end or not self._first.startswith(first)):
            found, wanted = (printable(os.fsdecode(line)) for line in (first, self._first))
            told = f"its first line is not {wanted} but {found}"
            raise CommandError(f"{self._path} cannot be the journal: {told}")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _line(name) in self._done

    def add(self, name: str) -> None:
        if self._path is not None:
            with self._told(), self._path.open("ab") as file:
                begin = b"" if file.tell() else self._first + b"\n"
                file.write(begin + _line(name) + b"\n")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CommandError(f"{self._path} cannot be the journal: {error}") from error


def _line(name: str) -> bytes:
    """A name in one line, told apart from every other; most as they are."""
    return name.translate(_IN_A_LINE).encode("utf-8", "surrogateescape")


_IN_A_LINE = str.maketrans({"\\": r"\\", "\n": r"\n"})

_OF = b"\\ "
"""What the first line begins with, and no name's line does."""
