"""Django's collectstatic, with uploads beside each other where static files are in MogileFS."""

from __future__ import annotations

import hashlib
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from django.contrib.staticfiles.management.commands import collectstatic
from tqdm import tqdm

from django_mogilefs.static import WORKERS, can_be_read
from django_mogilefs.storage import MogileFSStorage
from mogilefs import FileInfo, KeyNotFound, StorageUnavailable
from mogilefs.wire import CHECKSUMS


class Command(collectstatic.Command):
    """Everything as Django's, but several files at a time, and a progress bar on a terminal.

    A file is unchanged if MogileFS has one of its size and, where the class keeps checksums, of
    its checksum; without one, if it was stored after the source was last changed. One whose
    replicas are all lost is stored again.
    """

    _copies: list[Future[Any]] = []

    @property
    def post_process(self) -> bool:
        """Whether to. Django asks when it has copied everything, which is to be true by then."""
        self._finish()
        return self._post_process

    @post_process.setter
    def post_process(self, wanted: bool) -> None:
        self._post_process = wanted

    def collect(self) -> dict[str, list[str]]:
        if not isinstance(self.storage, MogileFSStorage):
            return super().collect()
        show = self.verbosity > 0 and sys.stderr.isatty()
        self._copies = []
        with (
            ThreadPoolExecutor(WORKERS, "mogilefs-collect") as self._pool,
            tqdm(total=0, unit=" files", disable=not show) as self._bar,
        ):
            try:
                collected: dict[str, list[str]] = super().collect()
                self._finish()
            except BaseException:
                self._pool.shutdown(wait=False, cancel_futures=True)
                raise
        # Without post-processing Django made this while copies were on their way.
        return {**collected, "modified": self.copied_files, "unmodified": self.unmodified_files}

    def _finish(self) -> None:
        """Wait for what is on its way; raises what failed."""
        pending, self._copies = self._copies, []
        for each in pending:
            each.result()

    def copy_file(self, path: str, prefixed_path: str, source_storage: Any) -> None:
        if not isinstance(self.storage, MogileFSStorage):
            super().copy_file(path, prefixed_path, source_storage)
            return
        self._bar.total = len(self._copies) + 1
        copy = self._pool.submit(super().copy_file, path, prefixed_path, source_storage)
        copy.add_done_callback(lambda _: self._bar.update())
        self._copies.append(copy)

    def delete_file(self, path: str, prefixed_path: str, source_storage: Any) -> bool:
        """Whether to copy the file. MogileFS replaces it as a whole, so nothing is deleted."""
        if not isinstance(self.storage, MogileFSStorage):
            return bool(super().delete_file(path, prefixed_path, source_storage))
        if self._is_unchanged(path, prefixed_path, source_storage):
            self.unmodified_files.append(prefixed_path)
            self.log(f"Skipping '{path}' (not modified)")
            return False
        return True

    def _is_unchanged(self, path: str, prefixed_path: str, source: Any) -> bool:
        assert isinstance(self.storage, MogileFSStorage)
        try:
            info = self.storage.client.info(self.storage.key(prefixed_path))
            if info.length != source.size(path):
                return False
            if info.checksum:
                return _checksum(info, path, source) == info.checksum and can_be_read(
                    self.storage, prefixed_path
                )
            stored = self.storage.get_modified_time(prefixed_path)
        except (KeyNotFound, StorageUnavailable):
            return False
        return bool(stored >= source.get_modified_time(path).replace(microsecond=0))

    def clear_dir(self, path: str) -> None:
        if not isinstance(self.storage, MogileFSStorage):
            super().clear_dir(path)
            return
        for name in self.storage.names():
            self.log(f"{'Pretending to delete' if self.dry_run else 'Deleting'} '{name}'", level=1)
            if not self.dry_run:
                self._copies.append(self._pool.submit(self.storage.delete, name))
                getattr(self, "deleted_files", []).append(name)  # since Django 6.1
        self._finish()


def _checksum(info: FileInfo, path: str, source: Any) -> str:
    algorithm = str(info.checksum).partition(":")[0]
    digest = hashlib.new(CHECKSUMS[algorithm], usedforsecurity=False)
    with source.open(path) as file:
        for chunk in file.chunks():
            digest.update(chunk)
    return f"{algorithm}:{digest.hexdigest()}"
