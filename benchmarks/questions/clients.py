"""How fast is the client? Beside pymogilefs and a floor of bare sockets, on the same server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from .. import servers
from ..harness import Batch, Sheet, Table, compete
from ..servers import Server
from ..setting import Setting
from ..workers import Target, Worker, interpreters, worker

SIZES = {"4 KiB": 4096, "64 KiB": 65536, "1 MiB": 2**20, "64 MiB": 64 * 2**20}
COUNTS = {"4 KiB": 300, "64 KiB": 200, "1 MiB": 40, "64 MiB": 1}
QUICK = ("4 KiB", "1 MiB")
GIB = 2**30
LARGE = 64 * 2**20
"""From this size on (bytes) a turn begins when the node has deleted what the one before has
replaced: to delete so much takes a disk as long as a turn, and would be counted for the next."""


def run(setting: Setting) -> list[Table | Sheet]:
    """Every operation at every size, on the node and on the tracker given; memory on the node."""
    found: list[Table | Sheet] = []
    with servers.node(setting.directory / "node-clients") as node:
        servers.keep_on_core(node.process.pid, -1)
        target = Target(node.tracker, "bench", "one")
        found += _on(setting, "node", target, node)
        found.append(_memory(setting, target))
    found += _stores_in_memory(setting)
    if setting.tracker:
        found += _on(setting, "cluster", Target(setting.tracker, setting.domain, ""))
    return found


def _on(
    setting: Setting, where: str, target: Target, node: Server | None = None
) -> list[Table | Sheet]:
    found: list[Table | Sheet] = []
    with _workers(setting, target) as workers:
        for label, size in SIZES.items():
            if setting.quick and label not in QUICK:
                continue
            key = f"bench-{size}"
            workers["floor"].turn("store", key, size, 1)
            count = setting.count(COUNTS[label], 3)
            doing = ("paths", "fetch", "store") if size == 4096 else ("fetch", "store")
            settled = node if size >= LARGE else None
            for do in doing:
                if node:
                    node.settle()  # what the last contest has replaced is not for this one to pay
                found.append(_contest(setting, workers, where, do, label, count, settled))
    return found


def _stores_in_memory(setting: Setting) -> list[Table]:
    """Stores on a node that has no disk to wait for, so that the clients show, not the disk."""
    with contextlib.ExitStack() as stack:
        directory = setting.in_memory(stack)
        if directory is None:
            return []
        node = stack.enter_context(servers.node(directory / "node", "--durability", "relaxed"))
        servers.keep_on_core(node.process.pid, -1)
        target = Target(node.tracker, "bench", "one")
        workers = stack.enter_context(_workers(setting, target))
        count = setting.count(COUNTS["4 KiB"], 3)
        return [_contest(setting, workers, "node in memory", "store", "4 KiB", count)]


def _contest(
    setting: Setting,
    workers: Mapping[str, Worker],
    where: str,
    do: str,
    label: str,
    count: int,
    settled: Server | None = None,
) -> Table:
    size = SIZES[label]
    key = f"bench-{size}"
    turns = {
        name: partial(each.turn, do, f"{key}-0" if do != "store" else key, size, count)
        for name, each in workers.items()
        if "tasks" not in name or size < 2**20
    }
    turns |= {
        name: partial(each.turn, do, f"{key}-0" if do != "store" else key, size, count * 4)
        for name, each in workers.items()
        if "tasks" in name and name in turns
    }
    if do == "store" and size < 2**20:
        turns["Client, not overwriting"] = partial(
            workers["Client"].turn, "create", key, size, count
        )
    if settled:
        turns = {name: partial(_after, settled, turn) for name, turn in turns.items()}
    told = do if do == "paths" else f"{do} {label}"
    return compete(
        f"client/{where}/{do}/{label}", f"{told}, on the {where}", turns,
        rounds=setting.rounds,
    )  # fmt: skip


def _after(node: Server, turn: Callable[[], Batch]) -> Batch:
    node.settle()
    return turn()


@contextlib.contextmanager
def _workers(setting: Setting, target: Target) -> Iterator[dict[str, Worker]]:
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(worker(name, target, setting.directory, python))
            for name, python in interpreters(setting.peers).items()
        }


def _memory(setting: Setting, target: Target) -> Sheet:
    """What 1 GiB up and down adds to a process, each in a fresh one."""
    size = 32 * 2**20 if setting.quick else GIB
    rows: list[list[object]] = []
    for name, python in interpreters(setting.peers).items():
        if "tasks" in name:
            continue
        row: list[object] = [name]
        for do in ("store", "fetch"):
            with worker(name, target, setting.directory, python) as each:
                each.turn("store", "small", 4096, 1)
                each.turn("fetch", "small-0", 4096, 1)
                before = each.peak
                batch = each.turn(do, "huge" if do == "store" else "huge-0", size, 1)
                row += [(each.peak - before) / 1024, size / batch.seconds / 1e6]
        rows.append(row)
    return Sheet(
        "client/memory",
        f"Memory: {size // 2**20} MiB up and down, one run",
        ["client", "store: MiB more", "MB/s", "fetch: MiB more", "MB/s "],
        rows,
    )
