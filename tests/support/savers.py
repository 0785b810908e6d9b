"""Saves under one name again and again: python -m … TRACKER NUMBER TIMES MODE.

MODE is ``unique``, ``overwrite`` or ``slow`` (one save, which takes as long as its reader waits).
Prints a line for each save: the name it got and what it wrote.
"""

from __future__ import annotations

import io
import sys

from django.conf import settings

tracker, number, times, mode = sys.argv[1:]
settings.configure(MOGILEFS_TRACKERS=[tracker], MOGILEFS_DOMAIN="test", USE_TZ=True)

from django.core.files.base import ContentFile  # noqa: E402 - it needs the settings

from django_mogilefs.storage import MogileFSStorage  # noqa: E402 - after what it needs


class Slow(io.BytesIO):
    """Half of the bytes come at once, the rest never."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 2**20:
            print("half-way", flush=True)
            sys.stdin.read()
        return super().read(2**16)


def main() -> None:
    storage = MogileFSStorage(file_overwrite=mode == "overwrite")
    if mode == "slow":
        storage.save("race.txt", Slow(bytes(4 * 2**20)))
    for turn in range(int(times)):
        content = f"{number}-{turn}-" + "x" * 1000
        print(storage.save("race.txt", ContentFile(content.encode())), content, flush=True)


main()
