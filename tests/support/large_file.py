"""Saves a large temporary upload and reads it back: python -m … TRACKER SIZE.

Prints by how many bytes the process grew for that.
"""

from __future__ import annotations

import hashlib
import resource
import sys

from django.conf import settings

TRACKER, SIZE = sys.argv[1], int(sys.argv[2])
settings.configure(MOGILEFS_TRACKERS=[TRACKER], MOGILEFS_DOMAIN="test", USE_TZ=True)

from django.core.files.base import ContentFile  # noqa: E402 - it needs the settings
from django.core.files.uploadedfile import TemporaryUploadedFile  # noqa: E402 - after what it needs

from django_mogilefs.storage import MogileFSStorage  # noqa: E402 - after what it needs


def upload() -> TemporaryUploadedFile:
    """Sparse but for a mark in every 64 MiB, so that making it costs nothing."""
    file = TemporaryUploadedFile("large.bin", "application/octet-stream", SIZE, None)
    file.file.truncate(SIZE)
    for offset in range(0, SIZE, 64 * 2**20):
        file.seek(offset)
        file.write(str(offset).encode())
    file.seek(0)
    return file


def checksum(file: object) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    for chunk in file.chunks():
        digest.update(chunk)
    return digest.hexdigest()


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    storage = MogileFSStorage()
    storage.save("small.bin", ContentFile(bytes(2**20)))
    with storage.open("small.bin") as file:
        checksum(file)
    storage.delete("small.bin")
    before = peak()
    with upload() as content:
        expected = checksum(content)
        name = storage.save("large.bin", content)
    assert storage.size(name) == SIZE
    with storage.open(name) as file:
        assert checksum(file) == expected
    storage.delete(name)
    print(peak() - before)


main()
