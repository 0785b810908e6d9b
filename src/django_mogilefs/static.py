"""Static files in MogileFS, plain and with hashed names.

With ``django_mogilefs`` before ``django.contrib.staticfiles`` in INSTALLED_APPS, ``collectstatic``
uploads in parallel, leaves alone what is unchanged and shows its progress.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from django.contrib.staticfiles.storage import ManifestFilesMixin
from django.core.files.base import ContentFile
from django.utils.functional import cached_property

from django_mogilefs import conf
from django_mogilefs.conf import option
from django_mogilefs.storage import MogileFSStorage
from mogilefs import KeyNotFound, StorageUnavailable

WORKERS = 8
"""Uploads at a time."""

HELD_IN_MEMORY = 2**20
"""Bytes up to which a hashed file is kept for an upload beside the others."""


def can_be_read(storage: MogileFSStorage, name: str) -> bool:
    """Whether the file is there, and not all of its replicas are lost; two waits."""
    try:
        with storage.client.stream(storage.key(name), stop=1) as first:
            next(first, b"")
    except (KeyNotFound, StorageUnavailable):
        return False
    return True


class MogileFSStaticStorage(MogileFSStorage):
    """Static files: replaced when they are collected again, and addressed below STATIC_URL.

    Has the options of MogileFSStorage. ``collectstatic --clear`` deletes all that lies in its
    domain and location, so these should be its own.
    """

    base_url: str | None = option(conf.base_url, settings=("STATIC_URL",))
    file_overwrite = True
    querystring_auth = False  # the setting is about uploads; a signature in a CSS file would end


class MogileFSManifestStaticStorage(ManifestFilesMixin, MogileFSStaticStorage):  # type: ignore[misc]  # the mixin's url() takes one argument more, as Django's does
    """Static files under names that carry a hash of their content.

    The manifest is read when the first name is looked up, not when the storage is made. Hashed
    files that are there already are left alone: visitors of the running site never miss one.
    """

    def __init__(self, *, manifest_storage: Any = None, **options: Any) -> None:
        # Not ManifestFilesMixin's own, which reads the manifest.
        super(ManifestFilesMixin, self).__init__(**options)
        del self.hashed_files
        self.manifest_storage = manifest_storage or self
        self._uploads: _Uploads | None = None

    @cached_property
    def hashed_files(self) -> dict[str, str]:  # type: ignore[override]  # assigned in Django's
        """From names to hashed names, as the manifest has it."""
        files, self.manifest_hash = self._manifest()
        return files

    @cached_property
    def manifest_hash(self) -> str:  # type: ignore[override]  # assigned in Django's
        """The hash over all hashed names, as the manifest has it."""
        return self._manifest()[1]

    def _manifest(self) -> tuple[dict[str, str], str]:
        loaded: Any = self.load_manifest()
        return loaded  # type: ignore[no-any-return]  # the stubs have an older shape of it

    def post_process(self, *args: Any, **options: Any) -> Iterator[Any]:
        """Django's, with the uploads in parallel. Between two results the storage is as ever."""
        processing = super().post_process(*args, **options)
        with _Uploads(super()._save, partial(can_be_read, self), super().delete) as uploads:
            while (result := self._next(processing, uploads)) is not None:
                yield result

    def _next(self, processing: Iterator[Any], uploads: _Uploads) -> Any:
        # Not for longer: whoever takes no further result need not tell.
        self._uploads = uploads
        try:
            return next(processing, None)
        finally:
            self._uploads = None

    def save_manifest(self) -> None:
        """Last of all, so that it never names a file that is not there."""
        if self._uploads is not None:
            self._uploads.finish()
        super().save_manifest()

    def exists(self, name: str) -> bool:
        return self._uploads.exists(name) if self._uploads else super().exists(name)

    def delete(self, name: str) -> None:
        """While files are hashed only what was made meanwhile, and is not to stay, is deleted."""
        if self._uploads:
            self._uploads.delete(name)
        else:
            super().delete(name)

    def _save(self, name: str, content: Any) -> str:
        if self._uploads and name != self.manifest_name:
            return self._uploads.save(name, content)
        return super()._save(name, content)


class _Uploads:
    """Uploads of hashed files beside each other, each once; what is there is not sent again."""

    def __init__(self, save: Any, exists: Any, delete: Any) -> None:
        self._save, self._exists, self._delete = save, exists, delete
        self._known: dict[str, bool] = {}
        self._made: set[str] = set()
        self._unwanted: set[str] = set()
        self._pending: list[Future[str]] = []
        self._pool = ThreadPoolExecutor(WORKERS, "mogilefs-static")

    def exists(self, name: str) -> bool:
        if name not in self._known:
            self._known[name] = self._exists(name)
        return self._known[name]

    def save(self, name: str, content: Any) -> str:
        self._unwanted.discard(name)
        if not self.exists(name):
            self._known[name] = True
            self._made.add(name)
            if content.size > HELD_IN_MEMORY:
                self._save(name, content)
            else:
                held = ContentFile(b"".join(content.chunks()))
                self._pending.append(self._pool.submit(self._save, name, held))
        return name

    def delete(self, name: str) -> None:
        """In the end, if it was made here and is not saved again.

        A file has other names until all that it refers to has its last one. What was there
        before may be in use.
        """
        if name in self._made:
            self._unwanted.add(name)

    def finish(self) -> None:
        """Wait for what is on its way; raises what an upload or a deletion raised."""
        pending, self._pending = self._pending, []
        for upload in pending:
            upload.result()
        list(self._pool.map(self._delete, self._unwanted))

    def __enter__(self) -> _Uploads:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)
