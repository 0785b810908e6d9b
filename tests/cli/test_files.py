from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from mogilefs import Client, wire
from mogilefs.listing import PAGE
from tests.support.misbehaving import Behaviour, Cluster, Connection, TinyTracker

from .conftest import Run


def test_what_is_put_is_got_back(run: Run, tmp_path: Path):
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) * 100)
    assert run("put", "a.bin", "some/key").code == 0
    ended = run("get", "some/key", "b.bin")
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert (tmp_path / "b.bin").read_bytes() == bytes(range(256)) * 100


def test_the_names_that_are_left_out_are_the_file_s(run: Run, client: Client, tmp_path: Path):
    (tmp_path / "a.txt").write_text("hello")
    assert run("put", "a.txt").code == 0
    assert run("put", "a.txt", "folder/").code == 0
    assert sorted(client.keys()) == ["a.txt", "folder/a.txt"]
    (tmp_path / "a.txt").unlink()
    assert run("get", "folder/a.txt").code == 0
    assert (tmp_path / "a.txt").read_text() == "hello"
    (tmp_path / "into").mkdir()
    assert run("get", "folder/a.txt", "into").code == 0
    assert (tmp_path / "into" / "a.txt").read_text() == "hello"


def test_put_gives_the_class_and_the_checksum_along(run: Run, client: Client, tmp_path: Path):
    (tmp_path / "a").write_text("hello")
    assert run("put", "a", "k", "--class", "one", "--checksum", "MD5", "--verify").code == 0
    assert client.info("k").mogile_class == "one"


def test_options_may_stand_between_arguments(run: Run, client: Client, tmp_path: Path):
    (tmp_path / "-f").write_bytes(b"x")
    assert run("put", "-n", "--class", "one", "./-f", "--checksum", "MD5", "k", "-q").code == 0
    assert run("put", "./-f", "--class=one", "--", "-k").code == 0
    assert run("ls", "--limit", "1", "k", "-l", "--json").json[0]["class"] == "one"
    assert run("class", "add", "--mindevcount", "1", "new", "--hashtype", "MD5").code == 0
    assert run("class", "k", "-q", "new").code == 0
    assert run("rm", "k", "-f", "nope", "--", "-k").code == 0
    assert list(client.keys()) == []
    assert run("put", "./-f", "-n", "k", "more").code == 2
    assert run("rm", "-f").code == 2


def test_what_stands_behind_two_dashes_is_a_key(run: Run, client: Client, tmp_path: Path):
    (tmp_path / "-f").write_bytes(b"x")
    for key in ("-r", "photos", "photos/1", "--"):
        client.store(key, b"x")
    assert run("rm", "--", "-r", "photos").code == 0
    assert sorted(client.keys()) == ["--", "photos/1"]
    assert run("-q", "put", "--", "-f", "-z").code == 0
    assert run("cat", "--", "-z", "--").out == "xx"
    assert run("class", "--", "-z", "one").code == 0
    assert run("stat", "--json", "--", "-z").json[0]["class"] == "one"
    assert run("mv", "--", "-z", "--json").code == 0
    assert run("get", "--", "--json", "-got").code == 0
    assert (tmp_path / "-got").read_bytes() == b"x"
    assert sorted(client.keys()) == ["--", "--json", "photos/1"]


@pytest.mark.parametrize(
    ("argv", "option"),
    [
        (["ls", "--after", "--", "k"], "--after"),
        (["ls", "-l", "--limit", "--", "1"], "--limit"),
        (["put", "file", "-c", "--", "one"], "-c/--class"),
        (["-t", "--", "ls"], "-t/--trackers/--tracker"),
    ],
)
def test_what_stands_behind_two_dashes_is_no_value(
    run: Run, client: Client, tmp_path: Path, argv: list[str], option: str
):
    (tmp_path / "file").write_bytes(b"x")
    ended = run(*argv)
    assert (ended.code, ended.out) == (2, "")
    assert f"argument {option}: expected one argument" in ended.err
    assert list(client.keys()) == []


@pytest.mark.parametrize("argv", [["put", "--class=--", "file", "key"], ["--domain=--", "ls"]])
def test_two_dashes_are_no_value(run: Run, argv: list[str]) -> None:
    ended = run(*argv)
    assert (ended.code, ended.out) == (2, "")
    assert "cannot be '--'" in ended.err


def test_put_without_overwriting_tells_a_taken_key(run: Run, client: Client, tmp_path: Path):
    (tmp_path / "a").write_text("new")
    client.store("k", b"old")
    ended = run("put", "-n", "a", "k")
    assert ended.code == 6
    assert client.read("k") == b"old"


def test_a_missing_key_has_its_own_exit_code_and_one_line(run: Run, tmp_path: Path):
    for argv in (["get", "nope", "x"], ["cat", "nope"], ["stat", "nope"], ["rm", "nope"]):
        ended = run(*argv)
        assert (ended.code, ended.out) == (3, ""), argv
        assert ended.err == "mogilefs: no such key: nope\n"
    assert list(tmp_path.iterdir()) == []


def test_get_leaves_nothing_and_touches_nothing_when_it_fails(run: Run, tmp_path: Path):
    (tmp_path / "mine").write_text("precious")
    assert run("get", "nope", "mine").code == 3
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine").read_text() == "precious"


@pytest.mark.parametrize("target", ["nowhere/back", "file/back"])
def test_get_names_what_cannot_be_written(run: Run, client: Client, tmp_path: Path, target: str):
    client.store("k", b"x")
    (tmp_path / "file").touch()
    ended = run("get", "k", target)
    assert ended.code == 1
    assert ended.err.startswith(f"mogilefs: {tmp_path / target}: No")


def test_get_takes_the_longest_names(run: Run, client: Client, tmp_path: Path):
    name = "あ" * 85
    client.store(name, b"x")
    assert run("get", name).code == 0
    assert (tmp_path / name).read_bytes() == b"x"


def test_get_keeps_a_link_and_the_permissions_of_what_it_replaces(
    run: Run, client: Client, tmp_path: Path
):
    client.store("k", b"new")
    (tmp_path / "real").write_text("old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    assert run("get", "k", "link").code == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o640


def test_get_writes_to_a_device_as_it_is(run: Run, client: Client):
    client.store("k", b"new")
    assert run("get", "k", "/dev/null").code == 0
    assert Path("/dev/null").is_char_device()


def test_ls_lists_keys_by_prefix(run: Run, client: Client):
    for key in ("a/1", "a/2", "b"):
        client.store(key, b"x")
    assert run("ls").out == "a/1\na/2\nb\n"
    assert run("ls", "a/").out == "a/1\na/2\n"
    assert run("ls", "-0", "a/").out == "a/1\0a/2\0"
    assert run("ls", "--limit", "1").out == "a/1\n"
    assert run("ls", "--after", "a/1").out == "a/2\nb\n"
    assert run("ls", "nothing").out == ""


def test_ls_in_json(run: Run, client: Client):
    assert run("ls", "--json").json == []
    client.store("é\n", b"four", mogile_class="one")
    assert run("ls", "--json").json == [{"key": "é\n"}]
    [found] = run("--json", "ls", "-l").json
    assert {"key": "é\n", "class": "one", "length": 4}.items() <= found.items()
    assert isinstance(found["fid"], int)


def test_ls_long_is_a_table(run: Run, client: Client):
    client.store("key one", b"four", mogile_class="one")
    client.store("k2", b"", mogile_class="one")
    lines = run("ls", "-l").out.splitlines()
    assert lines[0].split() == ["fid", "class", "copies", "size", "key"]
    assert re.fullmatch(r"\d+ +one +1 +0 +k2", lines[1])
    assert re.fullmatch(r"\d+ +one +1 +4 +key one", lines[2])


def test_ls_long_of_many_keeps_the_order(run: Run, client: Client):
    keys = [f"k{n:03}" for n in range(60)]
    for key in keys:
        client.store(key, b"x", mogile_class="one")
    assert [found["key"] for found in run("ls", "-l", "--json").json] == keys


def test_a_key_of_bytes_that_are_no_text_goes_out_as_it_is(run: Run, client: Client):
    client.store("bad\udcff", b"x", mogile_class="one")
    assert run("ls", "--json").json == [{"key": "bad\udcff"}]


def test_stat_tells_all_of_a_file(run: Run, client: Client):
    client.store("k", b"four", mogile_class="one")
    [found] = run("stat", "k", "--json").json
    assert {"key": "k", "class": "one", "length": 4, "devcount": 1}.items() <= found.items()
    assert found["paths"] == client.paths("k")
    assert found["modified"].endswith("+00:00")
    text = run("stat", "k").out
    assert re.search(r"^length +4$", text, re.MULTILINE)
    assert client.paths("k")[0] in text


def test_mv_renames_and_never_replaces(run: Run, client: Client):
    client.store("a", b"1")
    client.store("b", b"2")
    assert run("mv", "a", "b").code == 6
    assert run("mv", "a", "c").code == 0
    assert sorted(client.keys()) == ["b", "c"]
    assert run("mv", "a", "d").code == 3


def test_cp_copies_with_the_class(run: Run, client: Client):
    client.store("a", b"1", mogile_class="one")
    assert run("cp", "a", "b").code == 0
    assert client.read("b") == b"1"
    assert client.info("b").mogile_class == "one"
    assert run("cp", "a", "b").code == 0
    assert run("cp", "nope", "b").code == 3
    assert client.read("b") == b"1"


def test_rm_deletes_several_and_tells_each_that_fails(run: Run, client: Client):
    for key in "abc":
        client.store(key, b"x")
    ended = run("rm", "a", "nope", "b")
    assert ended.code == 3
    assert ended.err == "mogilefs: no such key: nope\n"
    assert list(client.keys()) == ["c"]
    ended = run("rm", "-f", "nope", "c")
    assert (ended.code, ended.err) == (0, "")


def test_rm_deletes_trees(run: Run, client: Client):
    for key in ("t", "tree", "t/a", "t/b/c", "u/d"):
        client.store(key, b"x")
    ended = run("rm", "-r", "t", "nope", "u/")
    assert (ended.code, ended.err) == (3, "mogilefs: no such key: nope/\n")
    assert list(client.keys()) == ["t", "tree"]
    assert run("rm", "-rf", "nope").code == 0
    assert run("rm", "-r", "").code == 2
    assert list(client.keys()) == ["t", "tree"]


def test_rm_deletes_more_than_it_lines_up(run: Run, client: Client):
    for number in range(9):
        client.store(f"t/{number}", b"")
    assert run("rm", "-r", "t", "-j", "2").code == 0
    assert list(client.keys()) == []


def cannot_list_more_of(prefix: str) -> Behaviour:
    """The tracker gives one page of the keys below ``prefix``, and then an error."""

    def behaviour(connection: Connection, request: Any, proper: bytes) -> None:
        if request.args["prefix"] == prefix and "after" in request.args:
            error = wire.Err("failure", "the database is busy", request.args["callid"])
            connection.send(wire.encode_reply(error))
        else:
            connection.send(proper)

    return behaviour


def test_rm_goes_on_with_the_next_tree_where_one_cannot_be_listed(run: Run):
    cluster = Cluster()
    tracker = TinyTracker(cluster)
    for number in range(PAGE):
        cluster.add(f"a/{number:04}", b"")
    cluster.add("b/1", b"")
    tracker.on["list_keys"] = cannot_list_more_of("a/")
    ended = run("--trackers", tracker.address, "--domain=d", "rm", "-r", "a", "b")
    tracker.stop()
    assert ended.code == 1
    assert "the database is busy" in ended.err
    assert len(ended.err.splitlines()) == 1
    assert not cluster.files


def test_class_sets_the_class_of_keys(run: Run, client: Client):
    for key in ("a", "list"):
        client.store(key, b"x", mogile_class="one")
    assert run("class", "a", "three").code == 0
    assert client.info("a").mogile_class == "three"
    assert run("class", "set", "list", "three").code == 0
    assert client.info("list").mogile_class == "three"
    assert run("class", "a", "nosuch").code == 3
    assert run("class", "nope", "three").code == 3


def test_class_takes_options_anywhere(run: Run, client: Client, node, domain, monkeypatch):
    monkeypatch.delenv("MOGILEFS_DOMAIN")
    client.store("a", b"x", mogile_class="one")
    assert run("class", "-d", domain, "a", "three").code == 0
    assert run("--domain", domain, "class", "a", "one").code == 0
    assert client.info("a").mogile_class == "one"


@pytest.mark.parametrize("name", ["../evil", "/evil", "a//b", "a/../../evil", "."])
def test_no_key_leads_out_of_the_directory(run: Run, client: Client, tmp_path: Path, name: str):
    client.store(f"t/{name}", b"x", mogile_class="one")
    client.store("t/good", b"fine", mogile_class="one")
    (tmp_path / "in").mkdir()
    ended = run("get", "-r", "t", "in/out")
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1
    found = [
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    ]
    assert found == ["in/out/good"]


def make_tree(root: Path) -> dict[str, bytes]:
    files = {f"d{n % 3}/e/f{n}": b"x" * n for n in range(25)} | {"top é": b"top", "empty": b""}
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return files


def tree(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_a_tree_goes_up_and_comes_back(run: Run, client: Client, tmp_path: Path):
    files = make_tree(tmp_path / "tree")
    assert run("put", "-r", "tree", "up", "--class", "one", "-j", "8").code == 0
    assert set(client.keys()) == {f"up/{name}" for name in files}
    assert client.info("up/empty").mogile_class == "one"
    ended = run("get", "-r", "up", "down")
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert tree(tmp_path / "down") == files


def test_a_tree_without_names_keeps_its_own(run: Run, client: Client, tmp_path: Path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a").write_text("a")
    assert run("put", "-r", "photos").code == 0
    assert list(client.keys()) == ["photos/a"]
    (tmp_path / "elsewhere").mkdir()
    assert run("get", "-r", "photos", "elsewhere").code == 0
    assert tree(tmp_path / "elsewhere") == {"a": b"a"}
    assert run("get", "-r", "", "all").code == 0
    assert tree(tmp_path / "all") == {"photos/a": b"a"}


@pytest.mark.parametrize("here", [".", "./", "../photos", "../photos/inner/.."])
def test_the_directory_one_is_in_has_a_name_too(
    run: Run, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: str
):
    (tmp_path / "photos" / "inner").mkdir(parents=True)
    (tmp_path / "photos" / "a").write_text("a")
    monkeypatch.chdir(tmp_path / "photos")
    assert run("put", "-r", here).code == 0
    assert list(client.keys()) == ["photos/a"]


def test_get_of_an_empty_tree_is_a_missing_key(run: Run, client: Client):
    client.store("upper", b"x")
    assert run("get", "-r", "up", "x").code == 3


def test_a_tree_goes_on_where_one_file_fails(run: Run, client: Client, tmp_path: Path):
    client.store("t/a", b"x")
    client.store("t/b", b"y")
    (tmp_path / "out" / "a").mkdir(parents=True)
    ended = run("get", "-r", "t", "out")
    assert ended.code == 1
    assert ended.err.startswith("mogilefs: t/a: ")
    assert (tmp_path / "out" / "b").read_bytes() == b"y"


def make_too_deep(root: Path) -> None:
    """Below ``root`` files and a directory whose paths are longer than the system takes."""
    here = os.open(root, os.O_RDONLY)
    for level in range(17):
        for name in ("f", "g" * 250) if level >= 15 else ():
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=here))
        os.mkdir("d" * 250, dir_fd=here)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def test_a_tree_goes_up_but_for_what_cannot_be_read(run: Run, client: Client, tmp_path: Path):
    root = tmp_path / "tree"
    files = make_tree(root)
    (root / "nowhere").symlink_to("nothing")
    (root / "circle").symlink_to("circle")
    (root / "a").mkdir()
    make_too_deep(root / "a")
    ended = run("put", "-r", "tree", "up")
    assert ended.code == 1
    assert "File name too long" in ended.err
    assert set(client.keys()) == {f"up/{name}" for name in files}


def test_a_tree_s_default_directory_is_never_the_parent(run: Run, client: Client, tmp_path: Path):
    client.store("../a", b"x")
    assert run("get", "-r", "..").code == 0
    assert (tmp_path / "a").read_bytes() == b"x"


def test_a_file_that_tells_no_size_is_put(run: Run, client: Client):
    assert run("put", "/proc/version", "v").code == 0
    assert client.read("v") == Path("/proc/version").read_bytes()
