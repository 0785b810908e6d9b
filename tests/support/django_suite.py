"""Runs Django's own tests of file storages on this storage: python -m … SDIST TRACKER.

Where they make a FileSystemStorage or an InMemoryStorage, they get one of ours with a prefix of its
own; where they look at a storage's files on disk, they see its files in MogileFS.
"""

from __future__ import annotations

import sys
import types
import unittest
from pathlib import Path

SDIST, TRACKER = sys.argv[1:]
sys.path.insert(0, str(Path(SDIST) / "tests"))

import django  # noqa: E402 - after the path
from django.conf import settings  # noqa: E402 - after what it needs

settings.configure(
    INSTALLED_APPS=["file_storage"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    SECRET_KEY="not-secret",
    USE_TZ=False,
    MEDIA_URL="/media/",
    STATIC_URL="/static/",
    ROOT_URLCONF="file_storage.urls",
    MOGILEFS_DOMAIN="test",
    MOGILEFS_TRACKERS=[TRACKER],
)

from tests.support.on_disk import SHIMS, take_place  # noqa: E402 - it needs the settings

DISK = "asks for a path on the local disk"
DIRECTORIES = "MogileFS has no directories: they are only parts of names"
NOT_OURS = "about FileSystemStorage's or InMemoryStorage's own class, defaults or options"
LAZY = "opening waits for nothing here: a missing file shows at the first read"
LEFT_OUT = {
    "FileSystemStorageTests": NOT_OURS,
    "FileStoragePermissions": DISK,
    "OverwritingStorageOSOpenFlagsWarningTests": NOT_OURS,
    "InMemoryStorageTests": NOT_OURS,
    "GetStorageClassTests": "about a function of Django 4.2 that warns, with warnings off",
    "MemoryStorageTimesTests": "MogileFS keeps no time of access",
    "FileStorageTests.test_empty_location": DISK,
    "FileStorageTests.test_file_get_accessed_time": "MogileFS keeps no time of access",
    "FileStorageTests.test_file_get_accessed_time_timezone": "MogileFS keeps no time of access",
    "FileStorageTests.test_file_get_created_time": DISK,
    "FileStorageTests.test_file_get_modified_time": DISK,
    "FileStorageTests.test_file_path": DISK,
    "FileStorageTests.test_file_methods_pathlib_path": DISK,
    "FileStorageTests.test_file_save_with_path": DIRECTORIES,
    "FileStorageTests.test_file_save_broken_symlink": DISK,
    "FileStorageTests.test_file_storage_preserves_filename_case": DISK,
    "FileStorageTests.test_listdir": DIRECTORIES,
    "FileStorageTests.test_makedirs_race_handling": DISK,
    "FileStorageTests.test_remove_race_handling": DISK,
    "FileStorageTests.test_delete_deletes_directories": DIRECTORIES,
    "FileStorageTests.test_setting_changed": NOT_OURS,
    "FileFieldStorageTests.test_file_object": DISK,
    "FileFieldStorageTests.test_extended_length_storage": "MogileFS's keys are 255 bytes",
    "FieldCallableFileStorageTests.test_callable_storage_file_field_in_model": DISK,
    "MemoryStorageIOTests.test_url": "no MEDIA_URL is ImproperlyConfigured here",
    "StorageHandlerTests.test_defaults": NOT_OURS,
    "StorageLazyObjectTests": "holds only where nothing asked for the field's storage before",
    "MemoryStorageIOTests.test_open_missing_file": LAZY,
    "MemoryStorageIOTests.test_open_dir_as_file": DIRECTORIES,
    "MemoryStorageIOTests.test_exists": DIRECTORIES,
    "MemoryStorageIOTests.test_delete": DIRECTORIES,
    "MemoryStorageIOTests.test_file_node_cannot_have_children": DIRECTORIES,
    "MemoryStorageIOTests.test_removing_temporary_file_after_save": DISK,
}


take_place()


def leave_out(module: types.ModuleType) -> set[str]:
    """Mark what is left out as skipped; what of LEFT_OUT this module has."""
    found = set()
    for name, reason in LEFT_OUT.items():
        case, _, method = name.partition(".")
        owner = vars(module).get(case)
        if owner is None or owner.__module__ != module.__name__:
            continue
        if not method:
            setattr(module, case, unittest.skip(reason)(owner))
            found.add(name)
        elif method in vars(owner):
            setattr(owner, method, unittest.skip(reason)(vars(owner)[method]))
            found.add(name)
    return found


def main() -> int:
    django.setup()
    import file_storage.test_base
    import file_storage.test_generate_filename
    import file_storage.tests

    modules = [
        file_storage.tests,
        file_storage.test_base,
        file_storage.test_generate_filename,
    ]
    try:
        import file_storage.test_inmemory_storage
    except ImportError:
        print("this Django has no InMemoryStorage")
    else:
        modules.append(file_storage.test_inmemory_storage)
    found = set().union(*(leave_out(module) for module in modules))
    for module in modules:
        for name in SHIMS.keys() & vars(module).keys():
            setattr(module, name, SHIMS[name])
    from django.test.runner import DiscoverRunner

    print(f"{len(found)} left out by name")
    return DiscoverRunner(verbosity=2).run_tests(["file_storage"])


sys.exit(min(main(), 1))
