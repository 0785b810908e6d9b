"""fsspec's own abstract suite on a node, and what is particular to MogileFS."""

from __future__ import annotations

import gc
import gzip
import io
import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress

import fsspec
import pytest
from fsspec.tests import abstract

from mogilefs.errors import ConfigurationError, TrackersUnavailable
from mogilefs.fs import MogileFSFileSystem
from mogilefs.node import Node
from mogilefs.testing import running_node


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with running_node({"files": {"one": 1, "two": 2}, "other": {"one": 1}}) as node:
        yield node


class Fixtures(abstract.AbstractFixtures):
    @pytest.fixture
    def fs(self, node: Node) -> MogileFSFileSystem:
        return MogileFSFileSystem(node.tracker, mogile_class="one")

    @pytest.fixture
    def fs_path(self) -> str:
        return "files/suite"

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        return lambda *parts: "/".join(parts)

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        return False


class TestCopy(abstract.AbstractCopyTests, Fixtures):
    pass


class TestGet(abstract.AbstractGetTests, Fixtures):
    pass


class TestPut(abstract.AbstractPutTests, Fixtures):
    pass


class TestOpen(abstract.AbstractOpenTests, Fixtures):
    pass


class TestPipe(abstract.AbstractPipeTests, Fixtures):
    pass


@pytest.fixture
def fs(node: Node) -> Iterator[MogileFSFileSystem]:
    fs = MogileFSFileSystem(node.tracker, mogile_class="one")
    yield fs
    for domain in ("files", "other"):
        client = fs.client(domain)
        for key in list(client.keys()):
            client.delete(key)


def test_a_url_opens_without_any_import_of_ours(fs, node, monkeypatch):
    monkeypatch.setenv("MOGILEFS_TRACKERS", node.tracker)
    with fsspec.open("mogilefs://files/a/b.txt", "w", mogile_class="two") as file:
        file.write("hello")
    with fsspec.open("mogilefs://files/a/b.txt", trackers=node.tracker) as file:
        assert file.read() == b"hello"
    assert fs.info("mogilefs://files/a/b.txt")["class"] == "two"


def test_trackers_are_needed(monkeypatch):
    monkeypatch.delenv("MOGILEFS_TRACKERS", raising=False)
    with pytest.raises(ConfigurationError, match="MOGILEFS_TRACKERS"):
        MogileFSFileSystem(skip_instance_cache=True)


def test_the_domains_are_the_first_level(fs):
    assert {"files", "other"} <= set(fs.ls("", detail=False))
    assert fs.isdir("")
    assert fs.isdir("files")
    assert fs.ls("files") == []
    assert not fs.exists("nosuch")
    with pytest.raises(FileNotFoundError):
        fs.ls("nosuch")
    with pytest.raises(IsADirectoryError):
        fs.open("files", "rb")


def test_a_level_lists_files_and_directories(fs):
    for name in ("a", "d/1", "d/2", "d/e/3", "z"):
        fs.pipe(f"files/{name}", name.encode())
    assert fs.ls("files", detail=False) == ["files/a", "files/d", "files/z"]
    a, d, _ = fs.ls("files")
    assert (a["type"], a["size"], a["class"], a["devcount"]) == ("file", 1, "one", 1)
    assert (d["type"], d["size"]) == ("directory", 0)
    assert fs.ls("files/d/1", detail=False) == ["files/d/1"]
    assert fs.find("files") == [f"files/{name}" for name in ("a", "d/1", "d/2", "d/e/3", "z")]
    assert fs.find("files/d", withdirs=True) == [
        "files/d", "files/d/1", "files/d/2", "files/d/e", "files/d/e/3",
    ]  # fmt: skip
    assert fs.find("files", detail=True)["files/d/e/3"]["size"] == 5
    assert fs.find("files", maxdepth=1) == ["files/a", "files/z"]
    assert fs.glob("files/d/*") == ["files/d/1", "files/d/2", "files/d/e"]
    assert fs.du("files") == 13


def test_ranges_are_read_as_python_slices(fs):
    content = bytes(range(200))
    fs.pipe("files/k", content)
    usual = [(None, None), (5, 20), (-5, None), (None, -5), (190, 500), (7, 7)]
    for start, end in [*usual, (5, 4), (5, 3), (0, -300), (-3, -4), (300, 299), (-300, 3)]:
        assert fs.cat_file("files/k", start, end) == content[start:end]
    with fs.open("files/k") as file:
        assert file.size == 200
        file.seek(-3, 2)
        assert file.read() == content[-3:]


def test_what_is_missing_is_told_on_opening(fs):
    for act in (fs.open, fs.cat_file, fs.info, fs.rm, fs.modified, fs.rm_file):
        with pytest.raises(FileNotFoundError):
            act("files/nosuch")


@pytest.mark.parametrize("mode", ["wb", "xb", "w", "wt", "x"])
@pytest.mark.parametrize("compression", [None, "gzip", "xz"])
def test_what_is_written_appears_when_it_is_closed(fs, mode, compression):
    part = b"half" if "b" in mode else "half"
    file = fs.open("files/k", mode, compression=compression)
    file.write(part)
    assert not fs.exists("files/k")
    file.close()
    assert file.closed
    assert fs.open("files/k", compression=compression).read() == b"half"


@pytest.mark.parametrize("mode", ["wb", "w"])
@pytest.mark.parametrize("compression", [None, "gzip", "xz"])
def test_a_file_whose_block_raises_never_appears(fs, mode, compression):
    part = b"half" if "b" in mode else "half"
    with pytest.raises(ZeroDivisionError), fs.open("files/k", mode, compression=compression) as f:
        f.write(part + part * f.write(part) * (1 // 0))
    assert not fs.exists("files/k")


def test_compression_goes_by_the_name(fs):
    with fs.open("files/k.gz", "w", compression="infer", encoding="utf-16") as file:
        file.write("é")
    assert gzip.decompress(fs.cat("files/k.gz")).decode("utf-16") == "é"
    with fs.open("files/k.txt", "w", compression="infer") as file:
        file.write("a")
    assert fs.cat("files/k.txt") == b"a"


@pytest.mark.parametrize("mode", ["wb", "w"])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_a_file_that_is_dropped_is_not_stored(fs, mode, compression):
    fs.pipe("files/k", b"whole")
    fs.open("files/k", mode, compression=compression).write(b"half" if mode == "wb" else "half")
    gc.collect()
    assert fs.cat("files/k") == b"whole"


def test_text_whose_file_was_taken_away_is_dropped_in_peace(fs):
    text = fs.open("files/k", "w")
    text.write("whole")
    file = text.detach()
    del text
    file.close()
    assert fs.cat("files/k") == b"whole"


def test_a_transaction_holds_compressed_files_back(fs):
    with fs.transaction:
        with fs.open("files/k.gz", "w", compression="infer") as file:
            file.write("a")
        assert not fs.exists("files/k.gz")
    assert gzip.decompress(fs.cat("files/k.gz")) == b"a"


@pytest.mark.parametrize("mode", ["ab", "r+b", "w+b"])
def test_other_modes_are_refused(fs, mode):
    with pytest.raises(ValueError, match=mode.replace("+", r"\+")):
        fs.open("files/k", mode)


def test_a_transaction_stores_all_or_nothing(fs):
    with fs.transaction:
        with fs.open("files/a", "wb") as file:
            file.write(b"a")
        assert not fs.exists("files/a")
    assert fs.cat("files/a") == b"a"
    file = fs.open("files/b", "wb", autocommit=False)
    file.write(b"b")
    file.close()
    file.discard()
    assert not fs.exists("files/b")


@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize("mode", ["wb", "w"])
def test_a_file_whose_block_raises_is_no_part_of_the_transaction(fs, mode, compression):
    half = b"half" if mode == "wb" else "half"
    with fs.transaction:
        with (
            suppress(ZeroDivisionError),
            fs.open("files/a", mode, compression=compression) as file,
        ):
            file.write(half)
            file.write(half * (1 // 0))
        fs.pipe("files/b", b"b")
    assert fs.find("files") == ["files/b"]


@pytest.mark.parametrize("mode", ["wb", "w"])
def test_a_transaction_with_a_file_that_was_not_closed_stores_nothing(fs, mode):
    fs.pipe("files/a", b"before")

    def unfinished(path):
        file = fs.open(path, mode)
        file.write("after" if "b" not in mode else b"after")
        return file

    told = pytest.raises(ValueError, match="not closed before the transaction ended: a")
    with told, fs.transaction:
        fs.pipe("files/b", b"b")
        file = unfinished("files/a")
        fs.pipe("files/c", b"c")
    file.close()
    assert fs.find("files") == ["files/a"]
    assert fs.cat("files/a") == b"before"
    fs.pipe("files/d", b"d")
    assert fs.cat("files/d") == b"d"
    with suppress(ZeroDivisionError), fs.transaction:
        file = unfinished("files/a")
        file.write(1 // 0)
    assert fs.cat("files/a") == b"before"


def test_a_file_that_is_to_be_committed_must_be_closed(fs):
    file = fs.open("files/a", "wb", autocommit=False)
    with pytest.raises(ValueError, match="not closed before it was to be stored: a"):
        file.commit()
    file.close()
    assert not fs.exists("files/a")


def test_a_fetch_that_fails_leaves_the_local_file_as_it_was(fs, tmp_path):
    fs.pipe("files/d/k", b"new")
    (tmp_path / "k").write_bytes(b"old")
    with pytest.raises(FileNotFoundError):
        fs.get_file("files/nosuch", tmp_path / "k")
    assert (tmp_path / "k").read_bytes() == b"old"
    fs.get("files/d/k", str(tmp_path / "k"))
    fs.get("files/d", str(tmp_path / "tree"), recursive=True)
    assert (tmp_path / "k").read_bytes() == (tmp_path / "tree" / "k").read_bytes() == b"new"
    with pytest.raises(IsADirectoryError):
        fs.get_file("files/d/k", f"{tmp_path}/missing/")
    with (tmp_path / "open").open("wb") as file:
        fs.get_file("files/d/k", file)
    assert (tmp_path / "open").read_bytes() == b"new"


def test_a_file_is_fetched_into_one_that_is_open(fs):
    fs.pipe("files/k", b"content")
    target = io.BytesIO()
    fs.get_file("files/k", outfile=target)
    assert target.getvalue() == b"content"


def test_what_is_piped_is_a_part_of_the_transaction(fs):
    fs.pipe("files/a", b"before")
    with suppress(ZeroDivisionError), fs.transaction:
        fs.pipe({"files/a": b"a", "files/b": b"b"})
        fs.pipe_file("files/c", b"c", mode="create")
        fs.pipe("files/d", b"d" * (1 // 0))
    assert fs.find("files") == ["files/a"]
    assert fs.cat("files/a") == b"before"


def test_nobody_says_that_a_file_is_not_there_who_cannot_know(fs):
    lost = fsspec.filesystem("mogilefs", trackers="127.0.0.1:1", skip_instance_cache=True)
    for ask in (lost.exists, lost.isfile, lost.isdir, lost.lexists):
        with pytest.raises(TrackersUnavailable):
            ask("files/k")
    never = fsspec.filesystem("mogilefs", trackers="127.0.0.1:1", client_options={"timeout": 0})
    with pytest.raises(ConfigurationError):
        never.exists("files/k")


NO_TEXT = "\ud800"


@pytest.mark.parametrize(
    "path",
    [
        "nowhere/k",
        "files/" + "x" * 300,
        "/k",
        "mogilefs:///k",
        NO_TEXT,
        f"{NO_TEXT}/k",
        f"files/{NO_TEXT}",
    ],
)
def test_what_cannot_be_there_is_not_there(fs, path):
    for ask in (fs.exists, fs.isfile, fs.isdir, fs.lexists):
        assert not ask(path)


def test_mv_is_a_rename_within_a_domain(fs):
    fs.pipe("files/a", b"a")
    fid = fs.info("files/a")["fid"]
    fs.mv("files/a", "files/b")
    assert not fs.exists("files/a")
    assert fs.info("files/b")["fid"] == fid
    fs.pipe("files/taken", b"t")
    fs.mv("files/b", "files/taken")
    assert fs.cat("files/taken") == b"a"
    fs.mv("files/taken", "other/c")
    assert fs.cat("other/c") == b"a"
    assert not fs.exists("files/taken")
    fs.pipe("files/d/1", b"1")
    fs.mv("files/d", "files/e", recursive=True)
    assert fs.find("files") == ["files/e/1"]


@pytest.mark.parametrize(
    ("source", "target", "recursive"),
    [
        ("files/d/1", "mogilefs://files/d/1", False),
        ("files/d/1", "files/d/", False),
        ("files/d/*", "files/d/", False),
        ("files/d", "mogilefs://files/", True),
        (["files/d/1"], ["files/d/1"], False),
    ],
)
def test_what_is_moved_onto_itself_stays(fs, source, target, recursive):
    fs.pipe({"files/d/1": b"1", "files/d/2": b"2"})
    fs.mv(source, target, recursive=recursive)
    assert fs.cat(["files/d/1", "files/d/2"]) == {"files/d/1": b"1", "files/d/2": b"2"}


def test_mv_deletes_only_what_it_copied(fs):
    fs.pipe({"files/d/1": b"1", "files/d/2": b"2", "files/d/e/3": b"3"})
    fs.mv("files/d", "files/f/", recursive=True, maxdepth=1)
    assert fs.find("files/d") == ["files/d/e/3"]
    assert len(fs.find("files/f")) == 2
    fs.mv("files/d", "files/d/g", recursive=True)
    assert fs.find("files/d") == ["files/d/g/e/3"]


def test_mv_into_a_domain(fs):
    fs.pipe("files/d/1", b"1")
    fs.mv("files/d/1", "other")
    assert fs.find("other") == ["other/1"]


def test_directories_come_and_go_with_files(fs):
    fs.makedirs("files/d/e")
    assert not fs.exists("files/d")
    fs.touch("files/d/e/f")
    assert fs.isdir("files/d")
    with pytest.raises(OSError, match="not empty"):
        fs.rmdir("files/d")
    fs.rm("files/d", recursive=True)
    assert not fs.exists("files/d")
    fs.rmdir("files/d")


def test_rm_of_a_domain_leaves_it_empty(fs):
    fs.pipe({"other/1": b"1", "other/d/2": b"2"})
    with pytest.raises(IsADirectoryError, match="other"):
        fs.rm("other")
    fs.rm("other", recursive=True)
    assert fs.ls("other") == []


def test_rm_of_a_tree_deletes_also_what_ends_in_a_slash(fs):
    keys = ["d/", "d/1", "d/e/", "d/e/2"]
    for key in [*keys, "d", "d2", "z"]:
        fs.client("files").store(key, b"x")
    fs.rm("files/d", recursive=True)
    assert list(fs.client("files").keys()) == ["d2", "z"]
    fs.rm(["files/d*", "files/z"], recursive=True)
    assert list(fs.client("files").keys()) == []
    for missing in ("files/d", "nowhere", "nowhere/d"):
        with pytest.raises(FileNotFoundError):
            fs.rm(missing, recursive=True)


@pytest.mark.parametrize(
    "paths",
    [
        "files/d/**",
        "files/d*",
        "files/**",
        ["files/d", "files/d/e", "files/d/e/2", "files/d.txt"],
        ["files/d/e", "files/missing", "files/d", "files/d.txt"],
    ],
)
def test_rm_of_trees_that_lie_in_each_other(fs, paths):
    fs.pipe({"files/d/1": b"1", "files/d/e/2": b"2", "files/d/e/3": b"3", "files/d.txt": b""})
    fs.rm(paths, recursive=True)
    assert fs.find("files") == (["files/d.txt"] if paths == "files/d/**" else [])


def test_a_file_s_identity_changes_with_its_bytes(fs):
    fs.pipe("files/k", b"1")
    before = fs.ukey("files/k")
    assert fs.ukey("files/k") == before
    fs.pipe("files/k", b"2")
    assert fs.ukey("files/k") != before
    assert fs.modified("files/k").tzinfo is not None


def test_it_survives_pickling(fs):
    fs.pipe("files/k", b"x")
    assert pickle.loads(pickle.dumps(fs)).cat("files/k") == b"x"


def test_caches_of_fsspec_work_on_top(fs, node, tmp_path):
    fs.pipe("files/k", b"cached")
    cached = fsspec.filesystem(
        "filecache",
        target_protocol="mogilefs",
        target_options={"trackers": node.tracker},
        cache_storage=str(tmp_path),
    )
    assert cached.cat("files/k") == b"cached"
