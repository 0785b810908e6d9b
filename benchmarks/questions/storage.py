"""What does Django feel? MogileFSStorage beside FileSystemStorage."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

from .. import servers
from ..harness import Sheet, Table, compete, timed
from ..setting import Setting

SIZES = {"4 KiB": 4096, "64 KiB": 65536, "1 MiB": 2**20, "64 MiB": 64 * 2**20}
COUNTS = {"4 KiB": 100, "64 KiB": 100, "1 MiB": 20, "64 MiB": 1}
QUICK = ("4 KiB", "1 MiB")


def run(setting: Setting) -> list[Table | Sheet]:
    """``save`` and ``open``-and-read; the node with full durability, and with none."""
    _set_up_django()
    from django.core.files.storage import FileSystemStorage

    from django_mogilefs.storage import MogileFSStorage

    with (
        servers.node(setting.directory / "node") as node,
        servers.node(setting.directory / "relaxed", "--durability", "relaxed") as relaxed,
    ):
        options = {"domain": "bench", "mogile_class": "one"}
        storages = {
            "FileSystemStorage": FileSystemStorage(location=setting.fresh("files")),
            "MogileFSStorage": MogileFSStorage(trackers=[str(node.tracker)], **options),
            "MogileFSStorage, node without fsync": MogileFSStorage(
                trackers=[str(relaxed.tracker)], **options
            ),
        }
        labels = [label for label in SIZES if not setting.quick or label in QUICK]
        found: list[Table | Sheet] = [
            _contest(setting, storages, do, label) for label in labels for do in ("save", "open")
        ]
    found[0].notes.append("FileSystemStorage does not sync: a power failure loses what it saved.")
    return found


def _set_up_django() -> None:
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(MEDIA_URL="/media/")
        django.setup()


def _contest(setting: Setting, storages: dict[str, Any], do: str, label: str) -> Table:
    size, count = SIZES[label], setting.count(COUNTS[label])
    turns = {
        name: partial(timed, _operation(storage, do, size), count, size)
        for name, storage in storages.items()
    }
    title = "save" if do == "save" else "open and read"
    return compete(
        f"storage/{do}/{label}", f"{title} {label}", turns, rounds=min(setting.rounds, 7)
    )


def _operation(storage: Any, do: str, size: int) -> Callable[[], object]:
    from django.core.files.base import ContentFile

    content = bytes(size)
    if do == "save":
        numbers = itertools.count()
        return lambda: storage.save(f"saved/{size}/{next(numbers)}", ContentFile(content))
    name = storage.save(f"opened/{size}", ContentFile(content))

    def read() -> None:
        with storage.open(name) as file:
            assert len(file.read()) == size

    return read
