"""Stored files as Django's File: lazy, seekable, opened again, text and binary, and written."""

from __future__ import annotations

import gc
import io
import pickle
import random
import socket
import time

import pytest
from django.core.files.base import ContentFile
from django.core.files.images import get_image_dimensions
from django.test import override_settings
from PIL import Image

from django_mogilefs.storage import MogileFSStorage
from mogilefs.node import Node
from tests.django.gallery.models import AvatarStorage, Picture
from tests.django.storage.test_saving import CountedTracker
from tests.support.proxies import StorageProxy

TEXT = "Grüße\nan alle\n"


@pytest.fixture
def text(mogilefs_storage):
    mogilefs_storage.save("t.txt", ContentFile(TEXT.encode()))
    return mogilefs_storage


def test_a_file_is_read_in_bytes_and_in_text_of_any_encoding(text):
    assert text.open("t.txt").read() == TEXT.encode()
    assert text.open("t.txt", "r").read() == TEXT
    assert text.open("t.txt", "rt").readlines() == ["Grüße\n", "an alle\n"]
    with text.open("l.txt", "w", encoding="latin-1") as file:
        file.write("Grüße")
    assert text.size("l.txt") == 5
    assert text.open("l.txt", "r", encoding="latin-1").read() == "Grüße"


def test_a_file_says_what_it_is(text):
    file = text.open("t.txt")
    assert (file.name, file.mode, file.closed, file.size) == ("t.txt", "rb", False, 16)
    assert len(file) == 16
    assert file.readable()
    assert not file.writable()
    file.close()
    assert file.closed
    with pytest.raises(ValueError, match=r"closed file 't\.txt'"):
        file.read()


def test_a_file_is_read_twice_and_opened_again(text):
    file = text.open("t.txt")
    assert file.read() == file.open().read() == TEXT.encode()
    file.close()
    file.close()
    assert file.open().read(2) == b"Gr"
    assert b"".join(file.chunks(4)) == TEXT.encode()
    assert file.open("r").read() == TEXT


def test_seeking_goes_anywhere(text):
    with text.open("t.txt") as file:
        file.seek(-5, io.SEEK_END)
        assert file.read() == b"alle\n"
        file.seek(2)
        assert file.tell() == 2
        assert file.read(3) == "ü".encode() + b"\xc3"


def test_a_missing_file_is_told_by_the_first_read(mogilefs_storage):
    file = mogilefs_storage.open("none.txt")
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        file.read()
    for method in ("size", "get_modified_time"):
        with pytest.raises(FileNotFoundError):
            getattr(mogilefs_storage, method)("none.txt")
    mogilefs_storage.delete("none.txt")


@pytest.mark.parametrize("mode", ["a", "ab", "r+", "rb+", "w+", "x", "xb", "nonsense"])
def test_what_cannot_be_done_to_a_whole_file_is_refused_at_once(mogilefs_storage, mode):
    with pytest.raises(io.UnsupportedOperation, match="replaced as a whole"):
        mogilefs_storage.open("a.txt", mode)


def test_what_was_written_is_there_when_the_file_is_closed(mogilefs_storage):
    file = mogilefs_storage.open("a.txt", "wb")
    file.write(b"one ")
    file.write(b"two")
    file.seek(4)
    assert file.size == 7
    assert not mogilefs_storage.exists("a.txt")
    file.close()
    assert mogilefs_storage.open("a.txt").read() == b"one two"


@pytest.mark.parametrize("mode", ["w", "wb"])
def test_nothing_written_makes_an_empty_file(mogilefs_storage, mode):
    mogilefs_storage.open("a.txt", mode).close()
    assert mogilefs_storage.size("a.txt") == 0
    assert mogilefs_storage.open("a.txt").read() == b""


@pytest.mark.parametrize("mode", ["w", "wb"])
def test_a_file_that_is_dropped_before_it_is_closed_is_not_stored(mogilefs_storage, mode):
    file = mogilefs_storage.open("a.txt", mode)
    file.write("half" if mode == "w" else b"half")
    del file
    gc.collect()
    assert not mogilefs_storage.exists("a.txt")


@pytest.mark.parametrize(("mode", "content"), [("r", "x"), ("rb", b"x")])
def test_a_file_that_nobody_holds_can_be_read(mogilefs_storage, mode, content):
    mogilefs_storage.save("a.txt", ContentFile(b"x"))
    read = mogilefs_storage.open("a.txt", mode).read
    gc.collect()
    assert read() == content


@pytest.mark.parametrize("mode", ["w", "wb"])
def test_a_block_that_raises_writes_nothing(mogilefs_storage, mode):
    file = mogilefs_storage.open("a.txt", mode)
    file.write("half" if mode == "w" else b"half")
    with pytest.raises(ZeroDivisionError), file:
        raise ZeroDivisionError
    assert file.closed
    assert not mogilefs_storage.exists("a.txt")


def test_writing_replaces_the_whole_file(text):
    with text.open("t.txt", "w") as file:
        file.write("new")
    assert text.open("t.txt").read() == b"new"


def test_closing_a_file_that_was_only_read_writes_nothing(text):
    fid = text.client.info("t.txt").fid
    with text.open("t.txt") as file:
        file.read()
    assert text.client.info("t.txt").fid == fid


@pytest.mark.parametrize("use_tz", [True, False])
def test_times_honour_use_tz(mogilefs_storage, use_tz):
    before = time.time() - 2  # Last-Modified has no fractions
    mogilefs_storage.save("a.txt", ContentFile(b"x"))
    with override_settings(USE_TZ=use_tz, TIME_ZONE="Asia/Tokyo"):
        modified = mogilefs_storage.get_modified_time("a.txt")
        assert mogilefs_storage.get_created_time("a.txt") == modified
        assert (modified.tzinfo is not None) is use_tz
        assert before <= modified.timestamp() <= time.time()
    with pytest.raises(NotImplementedError):
        mogilefs_storage.get_accessed_time("a.txt")
    with pytest.raises(NotImplementedError):
        mogilefs_storage.path("a.txt")


def noise(size: int) -> bytes:
    picture = Image.frombytes("RGB", (size, size), random.Random(1).randbytes(3 * size * size))
    file = io.BytesIO()
    picture.save(file, "BMP")
    return file.getvalue()


def test_a_pictures_header_is_read_without_the_picture(mogilefs_storage, mogilefs_node, settings):
    data = noise(1500)
    mogilefs_storage.save("noise.bmp", ContentFile(data))
    with Meter(mogilefs_node.storage) as storage, CountedTracker(mogilefs_node, storage) as tracker:
        settings.MOGILEFS_TRACKERS = [tracker.address]
        counted = MogileFSStorage()
        with counted.open("noise.bmp") as file:
            assert get_image_dimensions(file) == (1500, 1500)
        counted.client.close()
    assert len(data) > 6 * 2**20
    assert storage.received < len(data) / 2


class Meter(StorageProxy):
    """Counts the bytes that storage sent; holds back little of them for who does not read on."""

    received = 0

    def serve(self, client: socket.socket) -> None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**16)
        super().serve(client)

    def on_reply(self, data: bytes) -> bytes:
        self.received += len(data)
        return super().on_reply(data)


@pytest.mark.django_db
def test_an_image_field_keeps_its_dimensions_and_its_bytes(mogilefs_storage):
    data = noise(20)
    picture = Picture()
    picture.image.save("n.bmp", ContentFile(data))
    picture.avatar.save("n.bmp", ContentFile(data))
    picture.thumb.save("n.bmp", ContentFile(data))
    picture = Picture.objects.get()
    assert (picture.width, picture.height) == (20, 20)
    assert picture.image.url == "/mogilefs/pictures/n.bmp"
    with picture.avatar.open() as file:
        assert file.read() == data
    classes = {k: mogilefs_storage.client.info(k).mogile_class for k in mogilefs_storage.names()}
    assert classes == {"pictures/n.bmp": "default", "avatars/n.bmp": "avatar", "n.bmp": "thumb"}
    picture.image.delete()
    assert not mogilefs_storage.exists("pictures/n.bmp")


def test_migrations_keep_what_was_given_and_no_address():
    field = Picture._meta.get_field("avatar")
    path, args, kwargs = field.deconstruct()[3]["storage"].deconstruct()
    assert (path, args, kwargs) == ("tests.django.gallery.models.AvatarStorage", (), {})
    path, args, kwargs = MogileFSStorage(mogile_class="thumb").deconstruct()
    assert (path, args) == ("django_mogilefs.storage.MogileFSStorage", ())
    assert kwargs == {"mogile_class": "thumb"}


def test_a_storage_survives_a_pickle(mogilefs_storage):
    storage = pickle.loads(pickle.dumps(AvatarStorage(location="x")))
    storage.save("a.txt", ContentFile(b"x"))
    assert list(mogilefs_storage.names()) == ["x/a.txt"]


def test_storages_of_one_configuration_share_one_client(mogilefs_storage):
    assert AvatarStorage().client is MogileFSStorage(location="x").client
    assert MogileFSStorage(timeout=3).client is not MogileFSStorage().client


def test_what_needs_no_network_needs_no_network(settings):
    settings.MOGILEFS_TRACKERS = ["192.0.2.1:7001"]  # an address that nobody has
    storage = MogileFSStorage()
    assert storage.url("a b.png") == "/mogilefs/a%20b.png"
    storage.open("a.txt").close()
    storage.generate_filename("a b.txt")
    assert storage.client is MogileFSStorage().client


DEEP = ["a.txt", "d/1", "d/2", "d/e/3", "d-e/4", "d.txt", "d0", "e/f/g/5", "ä/6", "E/7"]


@pytest.fixture
def tree(mogilefs_storage):
    for name in DEEP:
        mogilefs_storage.save(name, ContentFile(b"x"))
    return mogilefs_storage


def test_listing_shows_one_level(tree):
    directories, files = tree.listdir("")
    assert sorted(directories) == ["E", "d", "d-e", "e", "ä"]
    assert sorted(files) == ["a.txt", "d.txt", "d0"]
    for path in ("d", "d/", "./d"):
        assert tree.listdir(path) == (["e"], ["1", "2"])
    assert tree.listdir("e") == (["f"], [])
    assert tree.listdir("ä") == ([], ["6"])
    assert tree.listdir("nothing") == ([], [])
    assert MogileFSStorage(location="e/f").listdir("") == (["g"], [])


@pytest.mark.parametrize("path", ["a%b", "a_b", "(a|b)*", "[", "a+b ä?", "\N{PILE OF POO}"])
def test_directories_of_odd_names_are_listed_like_others(mogilefs_storage, path):
    for number in range(70):
        mogilefs_storage.client.store(f"{path}/{number:03}/x", b"")
    mogilefs_storage.client.store(f"{path}/z", b"")
    directories, files = mogilefs_storage.listdir(path)
    assert (len(directories), files) == (70, ["z"])


def test_listing_costs_what_is_listed_and_not_what_lies_below(
    mogilefs_storage, mogilefs_node: Node, settings
):
    for directory in ("a", "b"):
        for number in range(80):
            mogilefs_storage.client.store(f"{directory}/{number}", b"")
    mogilefs_storage.client.store("c", b"")
    with (
        StorageProxy(mogilefs_node.storage) as storage,
        CountedTracker(mogilefs_node, storage) as tracker,
    ):
        settings.MOGILEFS_TRACKERS = [tracker.address]
        counted = MogileFSStorage()
        assert counted.listdir("") == (["a", "b"], ["c"])
        commands, waits = tracker.take()
        counted.client.close()
    assert commands == ["list_keys"] * 3
    assert waits == 3
