"""Saving: names, contents of every shape, what is left alone, and how often it waits."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, Storage
from django.core.files.uploadedfile import (
    InMemoryUploadedFile,
    SimpleUploadedFile,
    TemporaryUploadedFile,
)

from django_mogilefs.pathcache import Place
from django_mogilefs.storage import MogileFSStorage
from mogilefs import InvalidKey, TrackersUnavailable
from mogilefs.node import Node
from tests.support.misbehaving import Cluster, TinyStorage, TinyTracker
from tests.support.proxies import StorageProxy, TrackerProxy

BYTES = b"some content"


def temporary_upload() -> TemporaryUploadedFile:
    upload = TemporaryUploadedFile("t.txt", "text/plain", len(BYTES), None)
    upload.write(BYTES)
    upload.seek(0)
    return upload


class Chunked:
    """An upload that has nothing but chunks."""

    name = "chunked.txt"

    def chunks(self, chunk_size=None):
        yield BYTES[:5]
        yield BYTES[5:]


class Doubling(File):
    """A file whose chunks are not what it reads: they are what counts."""

    def chunks(self, chunk_size=None):
        return (chunk.upper() for chunk in super().chunks(chunk_size))


def pipe() -> io.BufferedReader:
    reading, writing = os.pipe()
    with open(writing, "wb") as file:
        file.write(BYTES)
    return open(reading, "rb")


def read_already() -> ContentFile:
    content = ContentFile(BYTES)
    content.read()
    return content


CONTENTS = {
    "content file": lambda: ContentFile(BYTES),
    "text": lambda: ContentFile(BYTES.decode()),
    "text file": lambda: io.StringIO(BYTES.decode()),
    "bytes file": lambda: io.BytesIO(BYTES),
    "pipe": pipe,
    "chunks only": Chunked,
    "uploaded to memory": lambda: SimpleUploadedFile("m.txt", BYTES),
    "text uploaded to memory": lambda: InMemoryUploadedFile(
        io.StringIO(BYTES.decode()), None, "m.txt", "text/plain", len(BYTES), "utf-8"
    ),
    "uploaded to disk": temporary_upload,
    "read already": read_already,
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_whatever_django_hands_over_is_stored_whole_and_stays_open(mogilefs_storage, kind):
    content = CONTENTS[kind]()
    name = mogilefs_storage.save("a.txt", content)
    assert mogilefs_storage.open(name).read() == BYTES
    assert not getattr(content, "closed", False)
    if hasattr(content, "close"):
        content.close()


def test_chunks_that_a_subclass_changes_are_what_is_stored(mogilefs_storage):
    mogilefs_storage.save("a.txt", Doubling(io.BytesIO(BYTES)))
    assert mogilefs_storage.open("a.txt").read() == BYTES.upper()


def test_a_closed_upload_is_read_from_its_path_and_stays_closed(mogilefs_storage, tmp_path):
    class Kept(TemporaryUploadedFile):
        def temporary_file_path(self):
            return str(tmp_path / "kept")

    (tmp_path / "kept").write_bytes(BYTES)
    upload = Kept("t.txt", "text/plain", len(BYTES), None)
    upload.close()
    mogilefs_storage.save("a.txt", upload)
    assert upload.closed
    assert mogilefs_storage.open("a.txt").read() == BYTES


def test_a_closed_file_is_opened_again_and_closed_again(mogilefs_storage, tmp_path):
    (tmp_path / "f").write_bytes(BYTES)
    with File(open(tmp_path / "f", "rb")) as file:
        pass
    mogilefs_storage.save("a.txt", file)
    assert file.closed
    assert mogilefs_storage.open("a.txt").read() == BYTES


def test_a_closed_upload_whose_file_is_gone_stores_nothing(mogilefs_storage):
    upload = temporary_upload()
    upload.close()
    with pytest.raises((ValueError, OSError)):
        mogilefs_storage.save("a.txt", upload)
    assert list(mogilefs_storage.names()) == []


def test_a_file_of_the_storage_is_saved_again(mogilefs_storage):
    mogilefs_storage.save("a.txt", ContentFile(BYTES))
    assert mogilefs_storage.save("b.txt", mogilefs_storage.open("a.txt")) == "b.txt"
    assert mogilefs_storage.open("b.txt").read() == BYTES


def test_the_name_may_be_the_contents_own(mogilefs_storage):
    assert mogilefs_storage.save(None, ContentFile(BYTES, "own.txt")) == "own.txt"
    assert mogilefs_storage.save(Path("p") / "a.txt", ContentFile(BYTES)) == "p/a.txt"


def test_a_name_too_long_for_the_field_is_shortened_and_stays_unique(mogilefs_storage):
    names = [
        mogilefs_storage.save(f"{'x' * 60}.txt", ContentFile(BYTES), max_length=20)
        for _ in range(3)
    ]
    assert all(len(name) <= 20 and name.endswith(".txt") for name in names)
    assert len(set(names)) == 3


def test_a_name_too_long_for_mogilefs_is_shortened(mogilefs_storage):
    name = mogilefs_storage.save(f"avatars/{'漢' * 100}.png", ContentFile(BYTES), max_length=200)
    assert len(name.encode()) <= 255
    assert mogilefs_storage.exists(name)


def test_a_key_over_255_bytes_is_refused_by_what_takes_names_as_they_are(mogilefs_storage):
    for method in ("exists", "size", "delete", "url", "open", "get_modified_time"):
        with pytest.raises(InvalidKey, match="255"):
            getattr(mogilefs_storage, method)("x" * 256)


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "..\\a", "\\a"])
@pytest.mark.parametrize("location", ["", "media"])
def test_names_that_lead_elsewhere_are_refused_everywhere(mogilefs_storage, name, location):
    storage = MogileFSStorage(location=location)
    for method in ("exists", "size", "delete", "open", "get_modified_time"):
        with pytest.raises(SuspiciousFileOperation):
            getattr(storage, method)(name)
    with pytest.raises(SuspiciousFileOperation):
        storage.save(name, ContentFile(BYTES))


def test_the_location_is_a_prefix_and_no_way_out(mogilefs_storage):
    storage = MogileFSStorage(location="media")
    assert storage.save("a.txt", ContentFile(BYTES)) == "a.txt"
    assert list(mogilefs_storage.names()) == ["media/a.txt"]
    assert storage.url("a.txt") == "/mogilefs/media/a.txt"
    assert storage.listdir("") == ([], ["a.txt"])
    assert not storage.exists("media/a.txt")


@pytest.mark.parametrize("overwrite", [False, True])
def test_exists_tells_the_truth_whether_saving_overwrites_or_not(mogilefs_storage, overwrite):
    storage = MogileFSStorage(file_overwrite=overwrite)
    assert not storage.exists("a.txt")
    storage.save("a.txt", ContentFile(BYTES))
    assert storage.exists("a.txt")
    assert (storage.get_available_name("a.txt") == "a.txt") is overwrite
    assert (storage.save("a.txt", ContentFile(b"new")) == "a.txt") is overwrite
    assert storage.open("a.txt").read() == (b"new" if overwrite else BYTES)


def test_a_subclass_that_calls_the_taken_name_free_overwrites(mogilefs_storage):
    class Overwriting(MogileFSStorage):
        def get_available_name(self, name, max_length=None):
            return name

    storage = Overwriting()
    for content in (BYTES, b"new"):
        assert storage.save("a.txt", ContentFile(content)) == "a.txt"
    assert storage.open("a.txt").read() == b"new"


def test_a_subclass_with_alternatives_of_its_own_is_asked_for_them(mogilefs_storage):
    class Numbering(MogileFSStorage):
        def get_alternative_name(self, file_root, file_ext):
            return f"{file_root.partition('-')[0]}-{len(list(self.names()))}{file_ext}"

    names = [Numbering().save("a.txt", ContentFile(BYTES)) for _ in range(3)]
    assert names == ["a.txt", "a-1.txt", "a-2.txt"]


def subclass(base: type[Storage], beside: Callable[[Any], object], **options: Any) -> Storage:
    """A storage that stores something beside each of its files."""

    class Both(base):
        def _save(self, name, content):
            if name.startswith("beside"):
                return super()._save(name, content)
            beside(self)
            saved = super()._save(name, content)
            beside(self)
            return saved

    return Both(**options)


@pytest.fixture(params=["MogileFS", "a disk"])
def storing(request, mogilefs_storage, tmp_path) -> Callable[[Callable[[Any], object]], Storage]:
    """Makes a storage that stores something beside: ours and Django's are to do alike."""
    if request.param == "MogileFS":
        return partial(subclass, MogileFSStorage)
    return partial(subclass, FileSystemStorage, location=str(tmp_path))


def test_a_name_asked_for_while_something_else_is_saved_is_free(storing):
    def note(storage):
        with storage.open(storage.get_available_name("beside.txt"), "wb") as file:
            file.write(BYTES)

    storage = storing(note)
    assert storage.save("a.txt", ContentFile(BYTES)) == "a.txt"
    assert storage.save("a.txt", ContentFile(BYTES)) != "a.txt"
    assert len(storage.listdir("")[1]) == 2 + 4


@pytest.mark.parametrize(("outer", "inner"), [(20, None), (None, 40)])
def test_a_save_within_a_save_keeps_its_own_limit(storing, outer, inner):
    names = []

    def thumbnail(storage):
        name = "beside/a/rather/long/directory/b.png"
        names.append(storage.save(name, ContentFile(BYTES), max_length=inner))

    storage = storing(thumbnail)
    with pytest.raises(SuspiciousFileOperation) if inner else nullcontext():
        storage.save("a.txt", ContentFile(BYTES), max_length=outer)
    assert len(set(names)) == (1 if inner else 2)


class Broken(io.BytesIO):
    """Breaks half-way, as a disk or a browser does."""

    def read(self, size=-1):
        if self.tell() > 2**20:
            raise OSError("the disk is broken")
        return super().read(min(size, 2**16) if size > 0 else 2**16)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_save_that_fails_half_way_leaves_nothing(mogilefs_storage, overwrite):
    storage = MogileFSStorage(file_overwrite=overwrite)
    with pytest.raises(OSError, match="the disk is broken"):
        storage.save("a.bin", Broken(bytes(3 * 2**20)))
    assert list(mogilefs_storage.names()) == []


def test_the_class_is_the_storages_or_what_a_callable_says(mogilefs_storage):
    class AvatarStorage(MogileFSStorage):
        mogile_class = "avatar"

    def by_name(name):
        return "thumb" if name.startswith("thumbs/") else None

    AvatarStorage().save("a", ContentFile(BYTES))
    MogileFSStorage(mogile_class="thumb").save("b", ContentFile(BYTES))
    chosen = MogileFSStorage(mogile_class=by_name)
    chosen.save("thumbs/c", ContentFile(BYTES))
    chosen.save("d", ContentFile(BYTES))
    with AvatarStorage().open("e", "wb") as file:
        file.write(BYTES)
    client = mogilefs_storage.client
    classes = {key: client.info(key).mogile_class for key in client.keys("")}
    assert classes == {
        "a": "avatar",
        "b": "thumb",
        "thumbs/c": "thumb",
        "d": "default",
        "e": "avatar",
    }


class CountedTracker(TrackerProxy):
    """Counts packets, and sends the client to a counted storage."""

    def __init__(self, node: Node, storage: StorageProxy) -> None:
        super().__init__(node.tracker)
        self.storage, self.packets = storage, 0
        self._ports = [each.rpartition(":")[2].encode() for each in (node.storage, storage.address)]

    def on_request(self, data: bytes) -> bytes:
        self.packets += 1
        real, counted = self._ports
        return super().on_request(data).replace(counted, real)

    def on_reply(self, data: bytes) -> bytes:
        real, counted = self._ports
        return data.replace(real, counted)

    def take(self) -> tuple[list[str], int]:
        """The commands, and how often it was waited, since this was last asked."""
        taken = self.commands, self.packets + len(self.storage.requests)
        self.commands, self.packets, self.storage.requests = [], 0, []
        return taken


@pytest.fixture
def counted(mogilefs_storage, mogilefs_node: Node, settings):
    with (
        StorageProxy(mogilefs_node.storage) as storage,
        CountedTracker(mogilefs_node, storage) as tracker,
    ):
        settings.MOGILEFS_TRACKERS = [tracker.address]
        yield tracker
        MogileFSStorage().client.close()


def test_how_often_it_waits_counted_on_the_wire(counted: CountedTracker):
    storage = MogileFSStorage()
    storage.save("a.txt", ContentFile(BYTES))
    assert counted.take() == (["file_info", "create_open", "create_close", "rename"], 3)
    MogileFSStorage(file_overwrite=True).save("a.txt", ContentFile(BYTES))
    assert counted.take() == (["create_open", "create_close"], 3)
    storage.open("a.txt").close()
    storage.url("a.txt")
    assert counted.take() == ([], 0)
    with storage.open("a.txt") as file:
        assert file.read() == BYTES
    assert counted.take()[1] == 2
    assert storage.save("a.txt", ContentFile(BYTES)) != "a.txt"
    assert counted.take()[1] == 4  # once more to see that the other name is free


def written(storage: MogileFSStorage, name: str, content: ContentFile) -> None:
    with storage.open(name, "wb") as file:
        file.write(content.read())


@pytest.mark.parametrize("store", [MogileFSStorage.save, written])
def test_what_may_have_been_stored_is_looked_up_anew(store):
    cluster = Cluster()
    tiny, tracker = TinyStorage(cluster), TinyTracker(cluster)
    try:
        tracker.on["create_close"] = lambda connection, request, answer: connection.close()
        storage = MogileFSStorage(
            trackers=[tracker.address], path_cache="default", file_overwrite=True
        )
        storage.places.put("a.txt", Place(1, 1, (tiny.url(1),)))
        with pytest.raises(TrackersUnavailable):
            store(storage, "a.txt", ContentFile(b"new"))
        assert storage.places.get("a.txt") is None
    finally:
        tracker.stop()
        tiny.stop()
