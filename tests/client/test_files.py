"""What a client does with files; the same for both faces, on any cluster."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import pickle
import select
import shutil
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mogilefs import (
    ClassNotFound,
    Client,
    ConfigurationError,
    ContentMismatch,
    DomainNotFound,
    InvalidKey,
    KeyExists,
    KeyNotFound,
    ReadOnlyError,
    StorageUnavailable,
    TrackerError,
)
from tests.client.conftest import MakeClient, WholeCluster

BODY = b"four score and seven years ago " * 40_000

ODD_KEYS = [
    "100%",
    "%41%zz",
    "a&b=c+d",
    "two words",
    "line\nbreak\r\nand return",
    "tab\tand\x01control\x7f",
    "grüße/Ελλάδα/日本/🦆",
    "../../etc/passwd",
    "/leading/slash",
    "trailing/",
    "a//b",
    "back\\slash",
    "quote'\"`;--",
    "0",
    " ",
    "\N{LATIN SMALL LETTER E}\N{COMBINING ACUTE ACCENT}",
]


class Unseekable(io.RawIOBase):
    """A pipe-like file that counts what is read from it."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._file = io.BytesIO(data)
        self.given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = self._file.readinto(buffer)
        self.given += size
        return size


class Counted(io.BytesIO):
    """A seekable file that counts what is read from it."""

    given = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.given += len(data)
        return data


# Storing and reading


@pytest.mark.parametrize("size", [0, 1, 4096, 65_537, len(BODY)])
def test_bytes_come_back_as_they_were(client: Any, name: str, size: int) -> None:
    info = client.store(name, BODY[:size])
    assert (info.key, info.length, info.mogile_class) == (name, size, "default")
    assert client.read(name) == BODY[:size]
    assert client.info(name).fid == info.fid


@pytest.mark.parametrize(
    "content",
    [
        lambda: bytearray(b"bytes"),
        lambda: memoryview(b"bytes"),
        lambda: io.BytesIO(b"bytes"),
        lambda: io.BufferedReader(Unseekable(b"bytes")),
        lambda: [b"by", b"", b"tes"],
    ],
    ids=["bytearray", "memoryview", "file", "pipe", "list"],
)
def test_content_may_be_many_things(client: Any, name: str, content: Any) -> None:
    assert client.store(name, content()).length == 5
    assert client.read(name) == b"bytes"


def test_content_may_be_a_generator(client: Any, name: str) -> None:
    client.store(name, (b"%d," % number for number in range(1000)))
    assert client.read(name) == b"".join(b"%d," % number for number in range(1000))


def test_content_may_be_a_path(client: Any, name: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(BODY)
    assert client.store(name, path).length == len(BODY)
    assert client.read(name) == BODY


def test_content_may_be_a_pipe_on_disk(client: Any, name: str, tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(BODY,))
    writer.start()
    assert client.store(name, path).length == len(BODY)
    writer.join()
    assert client.read(name) == BODY


def test_content_may_be_a_path_that_does_not_know_its_size(client: Any, name: str) -> None:
    path = Path("/proc/version")
    if not path.exists():
        pytest.skip("no /proc here")
    assert client.store(name, path).length == len(path.read_bytes())
    assert client.read(name) == path.read_bytes()


class NotReady(io.RawIOBase):
    """A non-blocking pipe whose writer is slow."""

    def __init__(self) -> None:
        super().__init__()
        self._answers: list[Any] = [b"by", None, b"tes", b""]

    def read(self, size: int = -1) -> Any:
        return self._answers.pop(0)


class NotReadyAwaited:
    """The same, to be awaited."""

    def __init__(self) -> None:
        self._file = NotReady()

    async def read(self, size: int = -1) -> Any:
        return self._file.read(size)


async def odd_chunks() -> Any:
    for chunk in (b"by", None, b"tes"):
        yield chunk


@pytest.mark.parametrize("content", [NotReady, NotReadyAwaited, odd_chunks])
def test_content_that_is_not_ready_is_not_taken_for_its_end(
    client: Any, name: str, content: Any
) -> None:
    with pytest.raises(TypeError, match=r"must be bytes, not NoneType|needs an AsyncClient"):
        client.store(name, content())
    assert not client.exists(name)


@pytest.mark.parametrize("content", ["text", io.StringIO("text"), [1, 2], 7, None])
def test_what_is_no_content_is_refused(client: Any, name: str, content: Any) -> None:
    with pytest.raises(TypeError, match="must be bytes"):
        client.store(name, content)
    assert not client.exists(name)


def test_a_file_is_stored_from_where_it_stands_and_stays_open(client: Any, name: str) -> None:
    file = Counted(b"head|body")
    file.seek(5)
    client.store(name, file)
    assert client.read(name) == b"body"
    assert not file.closed
    assert file.given == len(b"body")


def test_what_cannot_be_rewound_is_read_once(whole: WholeCluster, face: MakeClient) -> None:
    client = face(whole.domain, whole.trackers, max_spool=1000)
    raw = Unseekable(BODY)
    file = io.BufferedReader(raw)
    client.store("pipe", file)
    assert client.read("pipe") == BODY
    assert raw.given == len(BODY)
    assert not file.closed


def test_the_promised_size_is_checked(client: Any, name: str) -> None:
    with pytest.raises(ContentMismatch, match="5 bytes long, not 6"):
        client.store(name, b"bytes", size=6)
    with pytest.raises(ContentMismatch):
        client.store(name, iter([b"by", b"tes"]), size=4)
    assert not client.exists(name)
    assert client.store(name, iter([b"by", b"tes"]), size=5).length == 5


def test_the_error_of_a_callers_file_is_the_callers(client: Any, name: str) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("the disk is on fire")

    with pytest.raises(OSError, match="on fire"):
        client.store(name, Broken(b"bytes"))
    assert not client.exists(name)


@pytest.mark.parametrize("key", ODD_KEYS)
def test_keys_arrive_as_they_are(client: Any, name: str, key: str) -> None:
    key = f"{key}{name}" if key != "0" else key
    client.store(key, b"odd")
    assert client.read(key) == b"odd"
    assert client.info(key).key == key
    assert key in list(client.keys(key[:4]))
    client.rename(key, name)
    client.rename(name, key)
    client.delete(key)
    assert not client.exists(key)


def test_a_key_has_at_most_255_bytes(client: Any) -> None:
    for key in ("k" * 255, "ü" * 127 + "k"):
        client.store(key, b"long")
        assert client.read(key) == b"long"
    for key in ("k" * 256, "ü" * 128, "", "\ud800"):
        with pytest.raises(InvalidKey):
            client.store(key, b"too long")
        with pytest.raises(InvalidKey):
            client.open(key)
    with pytest.raises(TypeError):
        client.read(b"bytes")


def test_a_name_that_is_no_text_is_refused_by_name(client: Any, name: str) -> None:
    client.store(name, b"bytes")
    for wrong in (
        lambda: list(client.keys("a\ud800")),
        lambda: client.set_class(name, "a\ud800"),
        lambda: client.store(name, b"other", mogile_class="a\ud800"),
        lambda: client.admin.create_domain("a\ud800"),
    ):
        with pytest.raises(ConfigurationError, match=r"no text: '.*a\\ud800'"):
            wrong()
    assert client.read(name) == b"bytes"


def test_a_second_store_replaces_the_file(client: Any, name: str) -> None:
    first = client.store(name, b"one")
    second = client.store(name, b"two", mogile_class="thumb")
    assert first.fid != second.fid
    assert client.read(name) == b"two"
    assert client.info(name).mogile_class == "thumb"


def test_without_overwriting_a_taken_key_is_refused(client: Any, name: str) -> None:
    client.store(name, b"one", overwrite=False)
    with pytest.raises(KeyExists) as raised:
        client.store(name, b"two", overwrite=False)
    assert isinstance(raised.value, FileExistsError)
    assert raised.value.key == name
    assert client.read(name) == b"one"
    assert not list(client.keys(".incomplete/"))


def test_of_two_who_store_one_key_exactly_one_gets_it(whole: WholeCluster, name: str) -> None:
    outcomes: list[bytes] = []
    with Client(whole.domain, whole.trackers) as client:

        def store(body: bytes) -> None:
            try:
                client.store(name, body, overwrite=False)
            except KeyExists:
                return
            outcomes.append(body)

        threads = [threading.Thread(target=store, args=(b"%d" % n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert outcomes == [client.read(name)]
        assert not list(client.keys(".incomplete/"))


def test_the_class_reaches_the_tracker(client: Any, name: str) -> None:
    client.store(name, b"face", mogile_class="avatar")
    assert client.info(name).mogile_class == "avatar"
    client.store(name, b"face", mogile_class="default")
    assert client.info(name).mogile_class == "default"
    with pytest.raises(ClassNotFound):
        client.store(name, b"face", mogile_class="nosuch")


@pytest.mark.parametrize(
    ("mogile_class", "algorithm", "digest"),
    [("md5", "MD5", hashlib.md5), ("sha1", "SHA-1", hashlib.sha1)],
)
@pytest.mark.parametrize("verify", [False, True])
def test_checksums_are_computed_on_the_way(
    client: Any, name: str, mogile_class: str, algorithm: str, digest: Any, verify: bool
) -> None:
    expected = f"{algorithm}:{digest(BODY).hexdigest()}"
    stored = client.store(
        name,
        iter([BODY[:9], BODY[9:]]),
        mogile_class=mogile_class,
        checksum=algorithm,
        verify=verify,
    )
    assert stored.checksum == expected
    assert client.info(name).checksum == expected


def test_a_checksum_for_all_uploads(whole: WholeCluster, face: MakeClient, name: str) -> None:
    client = face(whole.domain, whole.trackers, checksum="MD5")
    client.store(name, b"bytes", mogile_class="md5", overwrite=False)
    assert client.info(name).checksum == f"MD5:{hashlib.md5(b'bytes').hexdigest()}"
    with pytest.raises(ConfigurationError, match="MD5 or SHA-1"):
        client.store(name, b"bytes", checksum="CRC32")


# Opening


def test_an_opened_file_reads_where_one_seeks(client: Any, name: str) -> None:
    client.store(name, BODY)
    with client.open(name) as file:
        assert file.read(10) == BODY[:10]
        assert file.seek(-10, os.SEEK_END) == len(BODY) - 10
        assert file.read() == BODY[-10:]
        assert file.read(1) == b""
        assert file.seek(500_000) == 500_000
        assert file.read(300_000) == BODY[500_000:800_000]
        assert file.seek(-100_000, os.SEEK_CUR) == 700_000
        assert file.tell() == 700_000
        assert file.read() == BODY[700_000:]
        assert file.seek(len(BODY) + 10)
        assert file.read() == b""
        with pytest.raises(ValueError, match="negative"):
            file.seek(-1)
        assert file.size == len(BODY)
    assert file.closed
    with pytest.raises(ValueError, match="closed"):
        file.read(1)


def test_an_opened_file_is_pinned(client: Any, name: str) -> None:
    client.store(name, BODY)
    with client.open(name) as file:
        assert file.read(5) == BODY[:5]
        client.store(name, b"another")
        file.seek(0)
        # The cluster deletes the old bytes when it likes: then there is no answer, never another.
        with suppress(StorageUnavailable):
            assert file.read(5) == BODY[:5]


def test_nothing_is_read_where_nothing_is_wanted(client: Any, name: str) -> None:
    client.store(name, b"0123456789")
    with client.open(name) as file:
        assert file.read(0) == b""
        if isinstance(client, Client):
            assert file.raw.read(0) == b""
        assert file.read() == b"0123456789"


def test_an_opened_file_reads_all_that_is_left(client: Any, name: str) -> None:
    client.store(name, b"0123456789")
    with client.open(name) as file:
        for size in (None, -1):
            file.seek(4)
            assert file.read(size) == b"456789"


@pytest.mark.parametrize("mode", ["rb", "wb"])
def test_a_closed_file_does_nothing_more(client: Any, name: str, mode: str) -> None:
    client.store(name, b"bytes")
    file = client.open(name, mode)
    assert file.tell() == 0
    file.close()
    assert file.closed
    for act in (file.tell, (lambda: file.write(b"")) if mode == "wb" else file.read):
        with pytest.raises(ValueError, match="closed"):
            act()
    file.close()


def test_opening_asks_nothing_and_reading_tells_what_is_missing(client: Any, name: str) -> None:
    with client.open(name) as file, pytest.raises(KeyNotFound):
        file.read(1)


@pytest.mark.parametrize("mode", ["r", "w", "ab", "r+b", "", "x"])
def test_other_modes_are_refused(client: Any, name: str, mode: str) -> None:
    with pytest.raises(ValueError, match="mode"):
        client.open(name, mode)


@pytest.fixture
def blocking(whole: WholeCluster) -> Iterator[Client]:
    with Client(whole.domain, whole.trackers) as client:
        yield client


def test_zipfile_reads_and_writes(blocking: Client, name: str) -> None:
    with blocking.open(name, "wb") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("one.txt", "1" * 300_000)
        archive.writestr("two.txt", "2")
    with blocking.open(name) as file, zipfile.ZipFile(file) as archive:
        assert archive.read("two.txt") == b"2"
        assert archive.read("one.txt") == b"1" * 300_000


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])  # which is begun anew at the end
def test_pillow_reads_and_writes(blocking: Client, name: str, kind: str) -> None:
    with blocking.open(name, "wb") as file:
        Image.new("RGB", (320, 200), "teal").save(file, kind)
    with blocking.open(name) as file, Image.open(file) as image:
        assert image.size == (320, 200)
        assert image.getpixel((5, 5)) == (0, 128, 128)


def test_copyfileobj_and_lines(blocking: Client, name: str) -> None:
    with blocking.open(name, "wb") as target:
        shutil.copyfileobj(io.BytesIO(b"one\ntwo\n" * 50_000), target)
    with blocking.open(name) as source:
        assert source.readline() == b"one\n"
        rest = io.BytesIO()
        shutil.copyfileobj(source, rest)
    assert len(rest.getvalue()) == 8 * 50_000 - 4
    with io.TextIOWrapper(blocking.open(name), encoding="ascii") as text:
        assert next(iter(text)) == "one\n"


def test_a_written_file_appears_when_it_is_closed(client: Any, name: str) -> None:
    with client.open(name, "wb", mogile_class="thumb") as file:
        file.write(b"one")
        file.write(b"two")
        assert not client.exists(name)
    assert client.read(name) == b"onetwo"
    assert client.info(name).mogile_class == "thumb"
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.write(b"three")


def test_what_was_written_can_be_written_over(blocking: Client, name: str) -> None:
    with blocking.open(name, "wb") as file:
        file.write(b"one two")
        assert file.seek(-3, os.SEEK_END) == 4
        file.write(b"T")
        assert (file.tell(), file.size) == (5, 7)
    assert blocking.read(name) == b"one Two"


def test_a_written_file_never_appears_when_its_block_raised(client: Any, name: str) -> None:
    with pytest.raises(ZeroDivisionError):
        _write_half(client, name)
    assert not client.exists(name)


def _write_half(client: Any, name: str) -> None:
    with client.open(name, "wb") as file:
        file.write(b"half")
        raise ZeroDivisionError


def test_a_dropped_writer_stores_nothing(blocking: Client, name: str) -> None:
    file = blocking.open(name, "wb")
    file.write(b"half")
    del file
    assert not blocking.exists(name)


def test_a_writer_of_nothing_makes_an_empty_file(client: Any, name: str) -> None:
    client.open(name, "wb").close()
    assert client.read(name) == b""
    with client.open(name) as file:
        assert file.read() == b""
        assert file.size == 0


def test_a_writer_that_does_not_overwrite(client: Any, name: str) -> None:
    client.store(name, b"first")
    file = client.open(name, "wb", overwrite=False)
    file.write(b"second")
    with pytest.raises(KeyExists):
        file.close()
    assert client.read(name) == b"first"


# Other ways to read


def test_a_stream_gives_a_part(client: Any, name: str) -> None:
    client.store(name, BODY)
    assert b"".join(client.stream(name)) == BODY
    assert b"".join(client.stream(name, start=7, stop=700_000)) == BODY[7:700_000]
    assert b"".join(client.stream(name, start=len(BODY) - 3)) == BODY[-3:]
    assert b"".join(client.stream(name, start=5, stop=5)) == b""
    assert b"".join(client.stream(name, start=5, stop=3)) == b""
    assert b"".join(client.stream(name, start=len(BODY) + 1)) == b""
    assert b"".join(client.stream(name, stop=len(BODY) + 9)) == BODY
    with pytest.raises(ValueError, match="count from 0"):
        client.stream(name, start=-1)


def test_a_stream_may_be_left_early(client: Any, name: str) -> None:
    client.store(name, BODY)
    with client.stream(name) as stream:
        assert BODY.startswith(next(iter(stream)))
        assert stream.size == len(BODY)
    assert client.read(name) == BODY


def test_a_stream_that_was_closed_does_not_begin_again(client: Any, name: str) -> None:
    client.store(name, BODY)
    for stream in (client.stream(name), client.stream(name, paths=client.paths(name))):
        stream.close()
        with pytest.raises(ValueError, match="closed"):
            next(iter(stream))
    whole = client.stream(name)
    assert b"".join(whole) == BODY
    whole.close()
    assert list(whole) == []


def test_known_paths_spare_the_question(client: Any, name: str) -> None:
    client.store(name, BODY)
    paths = client.paths(name)
    client.rename(name, f"{name}.new")
    assert b"".join(client.stream(name, paths=paths)) == BODY
    assert b"".join(client.stream(name, paths=paths, start=9, stop=20)) == BODY[9:20]
    assert b"".join(client.stream(name, paths=paths, size=len(BODY))) == BODY


def test_a_download_is_a_whole_file_or_none(client: Any, name: str, tmp_path: Path) -> None:
    client.store(name, BODY)
    path = tmp_path / "file"
    path.write_bytes(b"old")
    client.download(name, path)
    assert path.read_bytes() == BODY
    with pytest.raises(KeyNotFound):
        client.download(f"{name}.missing", path)
    client.download(name, str(path))
    assert path.read_bytes() == BODY
    with pytest.raises(FileNotFoundError):
        client.download(name, tmp_path / "nosuch" / "file")
    assert os.listdir(tmp_path) == ["file"]


def test_a_download_keeps_links_and_permissions(client: Any, name: str, tmp_path: Path) -> None:
    client.store(name, BODY)
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "file").chmod(0o600)
    (tmp_path / "link").symlink_to("file")
    client.download(name, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == BODY
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_a_download_replaces_a_link_that_leads_in_a_circle(
    client: Any, name: str, tmp_path: Path
) -> None:
    client.store(name, BODY)
    (tmp_path / "link").symlink_to(tmp_path / "link")
    client.download(name, tmp_path / "link")
    assert (tmp_path / "link").read_bytes() == BODY


@pytest.mark.parametrize("path", ["", ".", "missing/", "missing/.", "missing/..", "file/"])
def test_a_download_is_never_a_directory(
    client: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    client.store(name, BODY)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(IsADirectoryError):
        client.download(name, path)
    assert os.listdir() == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.parametrize("content", [b"bytes", b""])
def test_a_download_into_a_pipe(client: Any, name: str, tmp_path: Path, content: bytes) -> None:
    client.store(name, content)
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with open(reader, "rb") as pipe:
        client.download(name, tmp_path / "pipe")
        assert select.select([pipe], [], [], 0)[0]  # a reader that waits hears of the end
        assert pipe.read() == content
    assert os.listdir(tmp_path) == ["pipe"]


def test_an_empty_download(client: Any, name: str, tmp_path: Path) -> None:
    client.store(name, b"")
    client.download(name, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b""


# Asking


def test_paths_name_replicas(client: Any, name: str) -> None:
    fid = client.store(name, b"bytes").fid
    paths = client.paths(name)
    assert paths
    assert all(path.startswith("http://") and path.endswith(f"{fid}.fid") for path in paths)
    assert len(client.paths(name, count=1)) == 1
    assert client.paths(name, verify=True)
    assert client.paths(name, zone="alt")
    with pytest.raises(ValueError, match="count"):
        client.paths(name, count=0)


def test_locate_tells_both_at_once(client: Any, name: str) -> None:
    client.store(name, b"bytes")
    located = client.locate(name)
    assert located.info.fid == client.info(name).fid  # devcount grows in the meantime
    assert set(located.paths) <= set(client.paths(name))


def test_what_is_known_about_a_file(client: Any, name: str, whole: WholeCluster) -> None:
    before = datetime.now(timezone.utc)
    client.store(name, b"bytes", mogile_class="thumb")
    info = client.info(name)
    assert (info.domain, info.length, info.mogile_class) == (whole.domain, 5, "thumb")
    assert info.devcount >= 1
    assert client.size(name) == 5
    assert client.exists(name) is True
    assert abs(client.modified(name) - before) < timedelta(seconds=60)
    assert client.modified(name).tzinfo == timezone.utc
    assert client.debug(name)["fid_dkey"] == name


MISSING = ["read", "paths", "locate", "info", "size", "modified", "debug", "delete"]


@pytest.mark.parametrize("method", MISSING)
def test_a_missing_key_is_a_missing_file(client: Any, name: str, method: str) -> None:
    assert client.exists(name) is False
    with pytest.raises(KeyNotFound) as raised:
        getattr(client, method)(name)
    assert isinstance(raised.value, FileNotFoundError)
    assert raised.value.errno == errno.ENOENT
    assert raised.value.key == name
    assert raised.value.code == "unknown_key"
    assert raised.value.tracker
    assert name in str(raised.value)


def test_errors_can_be_pickled(client: Any, name: str) -> None:
    with pytest.raises(KeyNotFound) as raised:
        client.read(name)
    copy = pickle.loads(pickle.dumps(raised.value))
    assert (type(copy), str(copy), copy.key) == (KeyNotFound, str(raised.value), name)


# Changing


def test_delete(client: Any, name: str) -> None:
    client.store(name, b"bytes")
    client.delete(name)
    assert not client.exists(name)


def test_rename(client: Any, name: str) -> None:
    client.store(name, b"bytes")
    client.store(f"{name}.taken", b"other")
    client.rename(name, f"{name}.new")
    assert not client.exists(name)
    assert client.read(f"{name}.new") == b"bytes"
    with pytest.raises(KeyNotFound):
        client.rename(name, f"{name}.newer")


def test_copy(client: Any, name: str) -> None:
    original = client.store(name, BODY, mogile_class="thumb")
    copied = client.copy(name, f"{name}.copy")
    assert copied.fid != original.fid
    assert client.read(f"{name}.copy") == client.read(name) == BODY
    assert client.info(f"{name}.copy").mogile_class == "thumb"
    with pytest.raises(KeyExists):
        client.copy(name, f"{name}.copy", overwrite=False)
    client.copy(name, f"{name}.copy", mogile_class="avatar")
    assert client.info(f"{name}.copy").mogile_class == "avatar"
    with pytest.raises(KeyNotFound):
        client.copy(f"{name}.missing", f"{name}.other")


def test_set_class(client: Any, name: str) -> None:
    client.store(name, b"bytes")
    client.set_class(name, "thumb")
    assert client.info(name).mogile_class == "thumb"
    client.set_class(name, "default")
    assert client.info(name).mogile_class == "default"
    with pytest.raises(ClassNotFound):
        client.set_class(name, "nosuch")
    with pytest.raises(KeyNotFound):
        client.set_class(f"{name}.missing", "thumb")


# Listing


def test_keys_come_by_prefix(client: Any, name: str) -> None:
    keys = [f"{name}/{letter}" for letter in "abcde"]
    for key in keys:
        client.store(key, b"")
    assert list(client.keys(f"{name}/")) == keys
    assert list(client.keys(f"{name}/c")) == keys[2:3]
    assert list(client.keys(f"{name}/", after=keys[1])) == keys[2:]
    assert list(client.keys(f"{name}/", after="")) == keys
    assert list(client.keys(f"{name}/", after="!")) == keys
    assert list(client.keys(f"{name}/", after="~")) == []
    assert list(client.keys(f"{name}/", limit=2)) == keys[:2]
    assert list(client.keys(f"{name}/", limit=0)) == []
    assert list(client.keys(f"{name}/nosuch")) == []
    with pytest.raises(ValueError, match="limit"):
        list(client.keys(limit=-1))


@pytest.mark.parametrize("letter", [*"%_\\.*+?([{^$|", "[a-", "é"])
def test_a_prefix_means_itself(client: Any, name: str, letter: str) -> None:
    keys = [f"{name}{letter}{number}" for number in range(3)]
    for key in [*keys, f"{name}x0", f"{name}xx"]:
        client.store(key, b"")
    assert list(client.keys(f"{name}{letter}")) == keys
    assert list(client.keys(f"{name}{letter}", after=keys[0])) == keys[1:]


def test_a_prefix_does_not_match_the_other_case(client: Any, name: str) -> None:
    client.store(f"{name}/UPPER", b"")
    client.store(f"{name}/upper", b"")
    assert list(client.keys(f"{name}/upp")) == [f"{name}/upper"]


def test_a_prefix_may_end_within_a_character(client: Any, name: str) -> None:
    half = f"{name}\udcc3"
    for key in (f"{half}", f"{half}A", f"{name}ß", f"{half}\udcc3", f"{name}é"):
        client.store(key, b"")
    assert list(client.keys(half)) == [half, f"{half}A", f"{half}\udcc3"]
    assert list(client.keys(half, after=f"{name}ß")) == [f"{half}\udcc3"]
    assert list(client.keys(half, after=half, limit=2)) == [f"{half}A", f"{half}\udcc3"]


def test_a_page_may_end_at_another_spelling_of_the_prefix(client: Any, name: str) -> None:
    for key in ("UPPER", "Upper", "between", "upper", "uppers"):
        client.store(f"{name}/{key}", b"")
    assert list(client.keys(f"{name}/upp", limit=1)) == [f"{name}/upper"]
    assert list(client.keys(f"{name}/Upp", limit=1)) == [f"{name}/Upper"]
    assert list(client.keys(f"{name}/UPP", limit=2)) == [f"{name}/UPPER"]


@pytest.fixture(scope="module")
def many(whole: WholeCluster) -> list[str]:
    """More keys than fit into one reply."""
    keys = [f"pages({number:04d}" for number in range(1203)]
    with Client(whole.domain, whole.trackers) as client, ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda key: client.store(key, b""), keys))
    return keys


@pytest.mark.parametrize("prefix", ["pages", "pages("])
def test_more_keys_than_a_page(client: Any, many: list[str], prefix: str) -> None:
    assert list(client.keys(prefix)) == many
    assert list(client.keys(prefix, limit=1100)) == many[:1100]
    assert list(client.keys(prefix, after=many[999])) == many[1000:]


# The client itself


def test_a_read_only_client_changes_nothing(
    whole: WholeCluster, face: MakeClient, client: Any, name: str
) -> None:
    client.store(name, b"bytes")
    reader = face(whole.domain, whole.trackers, readonly=True)
    assert reader.read(name) == b"bytes"
    assert name in list(reader.keys(name))
    unread = iter([b"other"])
    for change in (
        lambda: reader.store(name, unread),
        lambda: reader.open(name, "wb"),
        lambda: reader.store(name, b"other", overwrite=False),
        lambda: reader.delete(name),
        lambda: reader.rename(name, "new"),
        lambda: reader.copy(name, "new"),
        lambda: reader.set_class(name, "thumb"),
        lambda: reader.admin.create_domain("new"),
    ):
        with pytest.raises(ReadOnlyError):
            change()
    assert list(unread) == [b"other"]
    assert client.read(name) == b"bytes"


def test_a_domain_that_is_not_there(whole: WholeCluster, face: MakeClient, name: str) -> None:
    client = face("nosuch-domain", whole.trackers)
    for ask in (client.read, client.exists, client.delete, lambda key: client.store(key, b"")):
        with pytest.raises(DomainNotFound):
            ask(name)


def test_a_client_without_domain_administers(whole: WholeCluster, face: MakeClient) -> None:
    client = face(None, whole.trackers)
    assert whole.domain in [domain.name for domain in client.admin.domains()]
    with pytest.raises(ConfigurationError, match="domain"):
        client.read("key")


def test_a_closed_client_can_be_used_again(client: Any, name: str) -> None:
    client.store(name, b"bytes")
    client.close()
    assert client.read(name) == b"bytes"


def test_every_error_of_a_tracker_is_typed(client: Any, name: str) -> None:
    with pytest.raises(TrackerError) as raised:
        client.admin.set_device_state("nosuch-host", 999_999, "alive")
    assert raised.value.code == "no_device"
    assert raised.value.command == "set_state"
