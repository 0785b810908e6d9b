"""The commands about files: ``put get cat ls stat mv cp rm``, and what ``class`` does to a key."""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from mogilefs import Client, FileInfo
from mogilefs.errors import KeyNotFound, StorageUnavailable

from . import options, trees
from .exits import Exit, Tally, UsageError
from .output import Output
from .parsing import Commands
from .progress import Progress
from .signals import interruptible
from .transfer import Transfers

STANDARD = "-"
"""The name that stands for stdin or stdout."""


def put(args: argparse.Namespace, out: Output) -> None:
    """``put [-r] SOURCE [KEY]``."""
    wanted = {
        "mogile_class": args.mogile_class,
        "checksum": args.checksum,
        "verify": args.verify or None,
        "overwrite": False if args.no_overwrite else None,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    with options.client(args) as client, _progress(args, args.source) as progress:
        transfers = Transfers(client, progress, given)
        if args.source == STANDARD:
            _put_stdin(transfers, args)
        elif args.recursive:
            trees.put_tree(transfers, Path(args.source), _tree_prefix(args), args.jobs)
        else:
            _put_file(transfers, Path(args.source), args.key)


def _put_stdin(transfers: Transfers, args: argparse.Namespace) -> None:
    if args.recursive or not args.key or args.key.endswith("/"):
        raise UsageError("stdin needs a KEY, and no -r")
    if sys.stdin is None:
        raise UsageError("stdin is closed")
    with interruptible(sys.stdin.buffer) as stdin:
        transfers.put_file(stdin, args.key)


def _put_file(transfers: Transfers, source: Path, key: str | None) -> None:
    if source.is_dir():
        raise UsageError(f"{source} is a directory: use put -r")
    if not key or key.endswith("/"):
        key = (key or "") + source.name
    if not source.is_fifo():  # which tells no size
        transfers.progress.meet(source.stat().st_size)
    transfers.put(source, key)


def _tree_prefix(args: argparse.Namespace) -> str:
    """The keys' prefix for ``put -r``: as given, else the directory's name; a slash at its end."""
    if args.key is not None:
        return _below(args.key)
    source = Path(args.source)
    own = source if source.name not in ("", "..") else source.resolve()
    if not own.name:
        raise UsageError(f"{args.source} has no name: say under which KEY")
    return _below(own.name)


def _below(prefix: str) -> str:
    return prefix if not prefix or prefix.endswith("/") else prefix + "/"


def get(args: argparse.Namespace, out: Output) -> None:
    """``get [-r] KEY [TARGET]``."""
    with options.client(args) as client, _progress(args, args.key) as progress:
        transfers = Transfers(client, progress)
        if args.target == STANDARD:
            _get_stdout(transfers, args)
        elif args.recursive:
            target = _tree_target(args.key) if args.target is None else Path(args.target)
            trees.get_tree(transfers, _below(args.key), target, args.jobs)
        else:
            transfers.get(args.key, _file_target(args.key, args.target))


def _get_stdout(transfers: Transfers, args: argparse.Namespace) -> None:
    if args.recursive:
        raise UsageError("a tree cannot go to stdout")
    transfers.get_file(args.key, sys.stdout.buffer)


def _tree_target(prefix: str) -> Path:
    name = PurePosixPath(prefix).name
    return Path("." if name in ("", "..") else name)


def _file_target(key: str, target: str | None) -> Path:
    """The file named, or in the directory named (else the current one) the key's last part."""
    if target is not None and not Path(target).is_dir() and not target.endswith("/"):
        return Path(target)
    return trees.local_path(Path(target or "."), key.rpartition("/")[2])


def cat(args: argparse.Namespace, out: Output) -> None:
    """``cat KEY…``."""
    tally = Tally()
    with options.client(args) as client, Progress("cat", quiet=True) as silence:
        transfers = Transfers(client, silence)
        for key in args.keys:
            with tally.noting():
                transfers.get_file(key, sys.stdout.buffer)
    tally.settle()


def ls(args: argparse.Namespace, out: Output) -> None:
    """``ls [-l] [PREFIX]``."""
    with options.client(args) as client:
        keys = client.keys(args.prefix, after=args.after, limit=args.limit)
        if args.long:
            out.listing(_infos(client, keys), LS_COLUMNS)
        else:
            out.lines(keys, "key", end="\0" if args.null else "\n")


LS_COLUMNS = {
    "fid": "fid",
    "class": "class",
    "copies": "devcount",
    "size": "length",
    "key": "key",
}


def _infos(client: Client, keys: Iterable[str], at_once: int = 8) -> Iterator[dict[str, Any]]:
    """What the tracker knows of each key, asked for several at a time, in the keys' order."""
    keys = iter(keys)
    with ThreadPoolExecutor(at_once) as pool:
        asked = deque(pool.submit(_info, client, key) for key in islice(keys, at_once * 2))
        while asked:
            if (found := asked.popleft().result()) is not None:
                yield found
            asked.extend(pool.submit(_info, client, key) for key in islice(keys, 1))


def _info(client: Client, key: str) -> dict[str, Any] | None:
    """None for a key that was deleted since it was listed."""
    try:
        return described(client.info(key))
    except KeyNotFound:
        return None


def described(info: FileInfo) -> dict[str, Any]:
    """What is said of a file, by the names that the protocol has for it."""
    return {
        "key": info.key,
        "domain": info.domain,
        "fid": info.fid,
        "class": info.mogile_class,
        "length": info.length,
        "devcount": info.devcount,
        "checksum": info.checksum,
    }


def stat(args: argparse.Namespace, out: Output) -> None:
    """``stat KEY…``."""
    tally = Tally()
    with options.client(args) as client:
        out.records(_stats(client, args.keys, tally))
    tally.settle()


def _stats(client: Client, keys: Iterable[str], tally: Tally) -> Iterator[dict[str, Any]]:
    for key in keys:
        with tally.noting():
            yield _status(client, key)


def _status(client: Client, key: str) -> dict[str, Any]:
    found = client.locate(key)
    try:
        modified = client.modified(key).isoformat()
    except StorageUnavailable:  # what the tracker knows is worth telling all the same
        modified = None
    return {**described(found.info), "modified": modified, "paths": found.paths}


def mv(args: argparse.Namespace, out: Output) -> None:
    """``mv KEY NEW_KEY``."""
    with options.client(args) as client:
        client.rename(args.key, args.new_key)


def cp(args: argparse.Namespace, out: Output) -> None:
    """``cp KEY NEW_KEY``."""
    with options.client(args) as client, _progress(args, args.key) as progress:
        Transfers(client, progress).copy(args.key, args.new_key)


def rm(args: argparse.Namespace, out: Output) -> None:
    """``rm [-r] [-f] KEY…``."""
    tally = Tally(ignore=Exit.MISSING if args.force else None)
    with options.client(args) as client, Progress("rm", quiet=True) as silence:
        transfers = Transfers(client, silence)
        for key in args.keys:
            with tally.noting():
                if args.recursive:
                    trees.remove_tree(transfers, _tree_to_remove(key), args.jobs, tally)
                else:
                    client.delete(key)
    tally.settle()


def _tree_to_remove(key: str) -> str:
    if not key:
        raise UsageError("rm -r '' would delete the whole domain: name what is to go")
    return _below(key)


def set_class(args: argparse.Namespace, out: Output) -> None:
    """``class [set] KEY… CLASS``."""
    tally = Tally()
    with options.client(args) as client:
        for key in args.keys:
            with tally.noting():
                client.set_class(key, args.mogile_class)
    tally.settle()


def _progress(args: argparse.Namespace, label: str) -> Progress:
    return Progress(label, quiet=getattr(args, "quiet", False))


def add_to(commands: Commands) -> None:
    """Put the commands about files into the parser."""
    _add_put(commands)
    _add_get(commands)
    command = commands.add("cat", cat, "write files to stdout")
    command.add_argument("keys", metavar="KEY", nargs="+")
    _add_ls(commands)
    command = commands.add("stat", stat, "show what is known of files, and where they lie")
    command.add_argument("keys", metavar="KEY", nargs="+")
    command = commands.add("mv", mv, "rename a file; a key that is taken is never replaced")
    command.add_argument("key", metavar="KEY")
    command.add_argument("new_key", metavar="NEW_KEY")
    command = commands.add("cp", cp, "copy a file, with its class; replaces what is there")
    command.add_argument("key", metavar="KEY")
    command.add_argument("new_key", metavar="NEW_KEY")
    command = commands.add("rm", rm, "delete files or trees", RM)
    _add_tree_options(command)
    command.add_argument("-f", "--force", action="store_true", help="missing keys are no failure")
    command.add_argument("keys", metavar="KEY", nargs="+")


PUT = """\
Store SOURCE under KEY. A KEY that ends in / gets the file's name; without KEY that is the key.
With -r every file below the directory SOURCE is stored as KEY/path/from/there (KEY: the
directory's own name; '' for none). SOURCE - is stdin."""

GET = """\
Fetch KEY into TARGET: a file, or a directory that gets the last part of KEY (the current one if
TARGET is left out). The file appears whole or not at all. TARGET - is stdout.
With -r every key below KEY/ is fetched into the directory TARGET (the last part of KEY)."""

RM = "Delete files. With -r every key below KEY/ is deleted, and KEY itself is not."


def _add_put(commands: Commands) -> None:
    command = commands.add("put", put, "store a file, a tree or stdin", PUT)
    _add_tree_options(command)
    command.add_argument("-c", "--class", dest="mogile_class", metavar="CLASS", help="the class")
    command.add_argument(
        "--checksum", choices=("MD5", "SHA-1"), help="compute it on the way and give it along"
    )
    command.add_argument("--verify", action="store_true", help="let the tracker compare it")
    command.add_argument(
        "-n", "--no-overwrite", action="store_true", help="fail where the key is taken"
    )
    command.add_argument("source", metavar="SOURCE")
    command.add_argument("key", metavar="KEY", nargs="?")


def _add_get(commands: Commands) -> None:
    command = commands.add("get", get, "fetch a file or a tree", GET)
    _add_tree_options(command)
    command.add_argument("key", metavar="KEY")
    command.add_argument("target", metavar="TARGET", nargs="?")


def _add_tree_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("-r", "--recursive", action="store_true", help="a whole tree")
    command.add_argument(
        "-j", "--jobs", type=options.positive, default=4, metavar="N",
        help="files at a time with -r (%(default)s)",
    )  # fmt: skip


def _add_ls(commands: Commands) -> None:
    command = commands.add("ls", ls, "list the keys that begin with PREFIX")
    command.add_argument("-l", "--long", action="store_true", help="with fid, class, copies, size")
    command.add_argument(
        "-0", "--null", action="store_true", help="end keys with NUL, for xargs -0"
    )
    command.add_argument("--after", default="", metavar="KEY", help="begin after this key")
    command.add_argument("--limit", type=options.positive, metavar="N", help="at most so many")
    command.add_argument("prefix", metavar="PREFIX", nargs="?", default="")
