"""Where MogileFS keeps a file on a device, and which other names a device has.

A fid is written in decimal, padded to ten digits; its first seven digits name three levels of
directories: fid 98765432 on device 3 is ``/dev3/0/098/765/0098765432.fid``. Nothing here touches
a disk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

USAGE = "usage"
"""The file in which a storage node tells how full a device is."""

TEST_WRITE = "test-write"
"""The directory into which a monitor writes to see whether a device takes files."""

FID_PATTERN = (
    r"/dev([1-9][0-9]{0,9})"
    r"/(([0-9])/([0-9]{3})/([0-9]{3})"
    r"/(\3\4\5[0-9]{3}|(?!0)\3\4\5[0-9]{4,13})\.fid)"
)
"""The path of a file's URL, as a regular expression: 1 is the device, 2 the path below it, 6 the
fid. It refers to its own groups, so none may stand before it."""

_FID_PATH = re.compile(FID_PATTERN)
_DEVICE_PATH = re.compile(r"/dev([1-9][0-9]{0,9})/(.+)")
_OTHER_NAME = re.compile(rf"{USAGE}|{TEST_WRITE}/[A-Za-z0-9_-][A-Za-z0-9_.-]{{0,99}}")
_DIRECTORY = re.compile(rf"(?:(?:[0-9](?:/[0-9]{{3}}){{0,2}}|{TEST_WRITE})/?)?")


@dataclass(slots=True)
class Place:
    """A name inside a device: its number and the path below the device's directory."""

    devid: int
    path: str
    fid: int | None = None


def file_path(fid: int) -> str:
    """The path of a file below its device's directory; ``ValueError`` for a fid below 1."""
    if fid < 1:
        raise ValueError(f"fid {fid} is not a positive number")
    digits = f"{fid:010d}"
    return f"{digits[0]}/{digits[1:4]}/{digits[4:7]}/{digits}.fid"


def url_path(devid: int, fid: int) -> str:
    """The path of a file's URL: ``/devN/0/000/001/0000001234.fid``."""
    return f"/dev{devid}/{file_path(fid)}"


def parse(url: str) -> Place | None:
    """The place that a URL's path (decoded, no query) names, or None where MogileFS has no such.

    Places are the ``.fid`` file of a fid in its own directories, ``usage``, and what a monitor
    writes below ``test-write/``.
    """
    found = _FID_PATH.fullmatch(url)
    if found is None:
        return _parse_other(url)
    devid, path, _, _, _, digits = found.groups()
    fid = int(digits)
    return Place(int(devid), path, fid) if fid else None


def _parse_other(url: str) -> Place | None:
    found = _DEVICE_PATH.fullmatch(url)
    if found is None or not _OTHER_NAME.fullmatch(found[2]):
        return None
    return Place(int(found[1]), found[2])


def parse_directory(url: str) -> Place | None:
    """The same for a directory of the layout: ``/dev1``, ``/dev1/0/098/``, ``/dev1/test-write``."""
    device, _, below = url[1:].partition("/")
    if not re.fullmatch(r"dev[1-9][0-9]{0,9}", device) or not _DIRECTORY.fullmatch(below):
        return None
    return Place(int(device[3:]), below.rstrip("/"))


def parse_devid(name: str) -> int | None:
    """The number of a device from its directory's name (``dev7``), else None."""
    place = parse_directory("/" + name)
    return place.devid if place and place.path == "" else None
