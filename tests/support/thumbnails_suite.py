"""Runs easy-thumbnails' own tests on this storage: python -m … SDIST TRACKER."""

from __future__ import annotations

import os
import sys
import unittest
from typing import Any

SDIST, TRACKER = sys.argv[1:]
sys.path.insert(0, SDIST)
os.environ["DJANGO_SETTINGS_MODULE"] = "easy_thumbnails.tests.settings"

import django  # noqa: E402 - after the path
from django.conf import settings  # noqa: E402 - after what it needs

settings.MOGILEFS_DOMAIN = "test"
settings.MOGILEFS_TRACKERS = [TRACKER]

from tests.support.on_disk import SHIMS, take_place  # noqa: E402 - it needs the settings

DISK = "asks for a path on the local disk"
REMOTE = "easy-thumbnails itself trusts its database about storages that have no local path"
LAZY = "opening waits for nothing here: a missing file shows at the first read"
LEFT_OUT = {
    "FilesTest.test_default_subsampling": DISK,
    "FilesTest.test_missing_source": LAZY,
    "FilesTest.test_missing_thumb_from_storage": REMOTE,
    "FilesTest.test_postprocessor": DISK,
    "FilesTest.test_postprocessor_fail": DISK,
    "FilesTest.test_subsampling": DISK,
    "ThumbnailCleanupTest": DISK,
    "ThumbnailTagAliasTest": DISK,
    "ThumbnailerDataUriTest": DISK,
    "ThumbnailerFieldTest.test_delete": DISK,
    "ThumbnailerFieldTest.test_delete_thumbnails": DISK,
    "ThumbnailerFilterTest": DISK,
    "ThumbnailerPassiveFilterTest": DISK,
}


def skip(test: unittest.TestCase, method: str, reason: str) -> None:
    """Skip it before its set-up, which may ask for a path already."""
    skipped: Any = unittest.skip(reason)(lambda: None)
    setattr(test, method, skipped)


def main() -> int:
    take_place()
    django.setup()
    from django.test.runner import DiscoverRunner
    from easy_thumbnails.tests import utils

    utils.shutil = SHIMS["shutil"]

    class Runner(DiscoverRunner):
        def build_suite(self, *args: Any, **kwargs: Any) -> Any:
            suite = super().build_suite(*args, **kwargs)
            for test in suite:
                case, method = test.id().split(".")[-2:]
                reason = LEFT_OUT.get(case) or LEFT_OUT.get(f"{case}.{method}")
                if reason:
                    skip(test, method, reason)
            return suite

    return Runner(verbosity=2).run_tests(["easy_thumbnails.tests"])


sys.exit(min(main(), 1))
