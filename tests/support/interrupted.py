"""A program that runs a tree's transfers again and again, interrupted one step later each time.

The steps are those of the main thread after which Python hears signals, in the modules that know
locks which other threads wait for. The program ends with the first round in which the main thread
came to rest before its step.
"""

from __future__ import annotations

import concurrent.futures
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from mogilefs import Client
from mogilefs.cli import trees
from mogilefs.cli.exits import Tally
from mogilefs.cli.progress import Progress
from mogilefs.cli.transfer import Transfers

LOCKING = (threading.__file__, str(Path(concurrent.futures.__file__).parent), trees.__file__)
HEARD = ("call", "c_return")
AT_REST = 0.2
"""Seconds after which the main thread waits for the transfers, none of which ends by itself."""


def interrupted_at(step: int) -> bool:
    """Run a round; whether it came to its step."""
    left = step

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal left
        if event in HEARD and frame.f_code.co_filename.startswith(LOCKING):
            left -= 1
            if left == 0:
                interrupt()

    with Client("d", "127.0.0.1:1") as client, Progress("", quiet=True) as silence:
        transfers = Transfers(client, silence)
        tasks = [(str(number), lambda: bool(transfers.stop.wait())) for number in range(2)]
        signal.setitimer(signal.ITIMER_REAL, AT_REST)
        try:
            sys.setprofile(profile)
            trees.run(tasks, transfers, 2, Tally())
        except (KeyboardInterrupt, RuntimeError):  # what Condition.wait makes of it
            return left <= 0
    raise AssertionError("nothing was interrupted")


def interrupt(*signal_and_frame: object) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
    sys.setprofile(None)
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGALRM, interrupt)
    step = 1
    while interrupted_at(step):
        step += 1
