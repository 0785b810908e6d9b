"""The commands about the cluster's long jobs: ``fsck`` and ``rebalance``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

from mogilefs.client import Admin
from mogilefs.cluster import FsckEntry

from .admin import administering
from .output import Columns, Output
from .parsing import Commands, Run

LOG: Columns = {
    "number": "logid",
    "time": lambda row: row["time"].isoformat() if row["time"] else "",
    "code": "code",
    "fid": "fid",
    "device": "devid",
}


def _plainly(act: Callable[[Admin], object]) -> Run:
    """A command that does one thing and says nothing."""

    def run(args: argparse.Namespace, out: Output) -> None:
        with administering(args) as admin:
            act(admin)

    return run


def fsck_status(args: argparse.Namespace, out: Output) -> None:
    """``fsck status``."""
    with administering(args) as admin:
        out.record(admin.fsck_status())


def fsck_reset(args: argparse.Namespace, out: Output) -> None:
    """``fsck reset``."""
    with administering(args) as admin:
        admin.fsck_reset(args.startpos, policy_only=args.policy_only)


def fsck_log(args: argparse.Namespace, out: Output) -> None:
    """``fsck log``."""
    with administering(args) as admin:
        out.listing(_entries(admin, args.after), LOG)


def _entries(admin: Admin, after: int) -> Iterator[FsckEntry]:
    while entries := admin.fsck_log(after):
        yield from entries
        after = entries[-1].logid


def rebalance_status(args: argparse.Namespace, out: Output) -> None:
    """``rebalance status``."""
    with administering(args) as admin:
        found = admin.rebalance_status()
    if found is not None:
        out.record(found)
    elif out.as_json:
        out.record({})
    else:
        out.say("no rebalance was started")


def rebalance_policy(args: argparse.Namespace, out: Output) -> None:
    """``rebalance policy [TEXT]``."""
    with administering(args) as admin:
        if args.policy is not None:
            admin.set_rebalance_policy(args.policy)
        else:
            _show_policy(admin.rebalance_policy(), out)


def _show_policy(policy: str, out: Output) -> None:
    if out.as_json:
        out.record({"policy": policy})
    elif policy:
        out.say(policy)


def rebalance_test(args: argparse.Namespace, out: Output) -> None:
    """``rebalance test``."""
    with administering(args) as admin:
        out.record(admin.rebalance_test())


def add_to(commands: Commands) -> None:
    """Put the commands into the parser."""
    _add_fsck(commands)
    _add_rebalance(commands)


def _add_fsck(commands: Commands) -> None:
    verbs = commands.group("fsck", fsck_status, "check all files and mend them")
    verbs.add("status", fsck_status, "how far it is, and what it found")
    verbs.add("start", _plainly(Admin.fsck_start), "start, or go on")
    verbs.add("stop", _plainly(Admin.fsck_stop), "stop; start goes on from there")
    resetting = verbs.add("reset", fsck_reset, "let the next start begin anew")
    resetting.add_argument("--startpos", type=int, default=0, metavar="FID", help="begin after it")
    resetting.add_argument("--policy-only", action="store_true", help="look at no bytes")
    log = verbs.add("log", fsck_log, "list what was found")
    log.add_argument("--after", type=int, default=0, metavar="NUMBER", help="only what came after")
    verbs.add("clearlog", _plainly(Admin.fsck_clear_log), "forget what was found")


def _add_rebalance(commands: Commands) -> None:
    verbs = commands.group("rebalance", rebalance_status, "move files between devices by policy")
    verbs.add("status", rebalance_status, "how far it is")
    policy = verbs.add("policy", rebalance_policy, "show or set the policy")
    policy.add_argument(
        "policy", metavar="TEXT", nargs="?", help="such as `from_devices=1,2 to_devices=3`"
    )
    verbs.add("test", rebalance_test, "which devices the policy would take")
    verbs.add("start", _plainly(Admin.rebalance_start), "start, or go on")
    verbs.add("stop", _plainly(Admin.rebalance_stop), "stop; start goes on from there")
    verbs.add("reset", _plainly(Admin.rebalance_reset), "forget how far the last run came")
