"""Copies between storages: ``mogilefs_copy``."""

from __future__ import annotations

import io
import os
import posixpath
import re
from pathlib import Path
from typing import ClassVar

import pytest
from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.core.management import CommandError, call_command
from django.test import override_settings

from django_mogilefs.copying import Copy, CopyFailed
from django_mogilefs.storage import MogileFSStorage
from mogilefs import StorageUnavailable
from tests.django.storage.commands import every_database, fill, refer_to, run, strictly
from tests.support.farm import Farm, until
from tests.support.misbehaving import Cluster, TinyStorage, TinyTracker


@pytest.mark.parametrize(("source", "destination"), [("disk", "default"), ("default", "disk")])
def test_all_that_is_listed_is_copied_either_way(aliases, source, destination):
    names = ["a.txt", "deep/b.txt", "deep/er/c.txt"]
    fill(source, *names)
    assert "3 copied, 0 failed" in run("mogilefs_copy", source, destination, "--list")
    for name in names:
        with storages[destination].open(name) as file:
            assert file.read() == name.encode()
        assert storages[source].exists(name)


def test_only_a_directory_is_copied_when_it_is_named(aliases):
    fill("disk", "a.txt", "deep/b.txt")
    run("mogilefs_copy", "disk", "default", "--list", "deep")
    assert list(storages["default"].names()) == ["deep/b.txt"]


def test_keys_in_no_directory_are_copied_and_uploads_that_go_on_are_not(aliases):
    odd = ["./a.txt", "b.txt", "b//c.txt"]
    for key in [*odd, ".incomplete/0123"]:
        storages["default"].client.store(key, b"x")
    assert "3 copied, 0 failed" in run("mogilefs_copy", "default", "other", "--list")
    assert sorted(storages["other"].names()) == odd


def test_a_name_that_the_destination_would_change_is_not_copied(aliases):
    storages["default"].client.store("./a.txt", b"x")
    err = io.StringIO()
    with pytest.raises(CommandError, match="1 of 1 files"):
        call_command("mogilefs_copy", "default", "disk", "--list", stdout=err, stderr=err)
    assert "it would have been 'a.txt'" in err.getvalue()
    assert not storages["disk"].exists("a.txt")


class Racing(MogileFSStorage):
    """Where somebody else saves a name right after it was found to be free."""

    def exists(self, name):
        there = super().exists(name)
        if not there:
            MogileFSStorage().save(name, ContentFile(b"theirs"))
        return there


def test_what_somebody_else_saves_meanwhile_is_theirs(aliases):
    fill("disk", "a.txt")
    racing = {"racing": {"BACKEND": f"{__name__}.Racing"}}
    with (
        override_settings(STORAGES={**settings.STORAGES, **racing}),
        pytest.raises(CommandError, match="1 of 1 files"),
    ):
        run("mogilefs_copy", "disk", "racing", "--list")
    assert list(storages["default"].names()) == ["a.txt"]
    assert storages["default"].open("a.txt").read() == b"theirs"


@every_database
def test_by_reference_only_what_fields_refer_to_is_copied(aliases):
    fill("disk", "pictures/a.png", "pictures/b.png", "unknown.png")
    refer_to("pictures/a.png", "pictures/b.png", "")
    assert "2 copied, 0 failed" in run("mogilefs_copy", "disk", "default")
    assert list(storages["default"].names()) == ["pictures/a.png", "pictures/b.png"]
    with pytest.raises(CommandError, match=r"no FileField gallery.Picture.nothing"):
        run("mogilefs_copy", "disk", "default", "--field", "gallery.Picture.nothing")


def test_a_second_run_copies_only_what_is_new_or_was_cut_short(aliases):
    fill("disk", "a.txt", "b.txt", "c.txt")
    fill("default", "a.txt")
    storages["default"].save("b.txt", ContentFile(b"b."))
    out = run("mogilefs_copy", "disk", "default", "--list", "--overwrite")
    assert "2 copied, 1 unchanged, 0 failed" in out
    assert storages["default"].open("b.txt").read() == b"b.txt"


class Torn(FileSystemStorage):
    """A disk that opens files and then cannot read them."""

    class File(File):
        def read(self, size=-1):
            raise OSError("torn")

    def _open(self, name, mode="rb"):
        return self.File(super()._open(name, mode).file)


def test_what_is_to_be_replaced_stays_until_there_is_something_better(aliases):
    fill("disk", "a.txt")
    storages["default"].save("a.txt", ContentFile(b"older bytes"))
    backend = {"BACKEND": f"{__name__}.Torn", "OPTIONS": {"location": storages["disk"].location}}
    with (
        override_settings(STORAGES={**settings.STORAGES, "torn": backend}),
        pytest.raises(CommandError, match="1 of 1 files"),
    ):
        run("mogilefs_copy", "torn", "default", "--list", "--overwrite")
    assert storages["default"].open("a.txt").read() == b"older bytes"
    assert list(storages["default"].names()) == ["a.txt"]


class Tidy(MogileFSStorage):
    """Where names are written in one way only."""

    def get_available_name(self, name, max_length=None):
        return posixpath.normpath(name)


def test_replacing_never_replaces_a_file_of_another_name(aliases):
    storages["other"].client.store("other/./a.txt", b"x")
    tidy = {"BACKEND": f"{__name__}.Tidy", "OPTIONS": {"location": "tidy"}}
    with override_settings(STORAGES={**settings.STORAGES, "tidy": tidy}):
        storages["tidy"].save("a.txt", ContentFile(b"another"))
        with pytest.raises(CommandError, match="1 of 1 files"):
            run("mogilefs_copy", "other", "tidy", "--list", "--overwrite")
        assert storages["tidy"].open("a.txt").read() == b"another"


def test_a_journal_spares_comparing_again(aliases, tmp_path):
    fill("disk", "a.txt", "b.txt")
    journal = f"--journal={tmp_path / 'journal'}"
    run("mogilefs_copy", "disk", "default", "--list", journal)
    fill("disk", "c.txt")
    told = run("mogilefs_copy", "disk", "default", "--list", journal)
    assert told == "1 copied, 2 in the journal, 0 failed\n"


def test_a_journal_is_of_two_storages_alone(aliases, tmp_path):
    journal = tmp_path / "journal"
    fill("disk", "a.txt")
    fill("default", "a.txt")
    copy = ["mogilefs_copy", "disk", "default", f"--journal={journal}", "--list"]
    run(*copy, "--dry-run")
    assert not journal.exists()
    run(*copy)
    noted = journal.read_bytes()
    first = r"cannot be the journal: its first line is not \\ .* but \\ disk \(.*disk\) to default"
    for others in (["disk", "other"], ["default", "disk"], ["default", "other"]):
        with pytest.raises(CommandError, match=first):
            run("mogilefs_copy", *others, *copy[3:])
    elsewhere = {**settings.STORAGES["default"], "OPTIONS": {"location": "elsewhere"}}
    with (
        override_settings(STORAGES={**settings.STORAGES, "default": elsewhere}),
        pytest.raises(CommandError, match=first),
    ):
        run(*copy)
    assert journal.read_bytes() == noted
    assert run(*copy) == "1 in the journal, 0 failed\n"


@pytest.mark.parametrize("content", [b"a.txt\nb.txt\n", b"no journal", b"\\ disk to default\n"])
def test_what_does_not_begin_as_a_journal_is_left_as_it_is(aliases, tmp_path, content):
    journal = tmp_path / "journal"
    journal.write_bytes(content)
    fill("disk", "a.txt")
    with pytest.raises(CommandError, match="cannot be the journal"):
        run("mogilefs_copy", "disk", "default", f"--journal={journal}", "--list")
    assert journal.read_bytes() == content
    assert not storages["default"].exists("a.txt")


class Elsewhere(Storage):
    """One file, on no disk of this machine's."""

    def listdir(self, path):
        return [], ["a.txt"]

    def exists(self, name):
        return name == "a.txt"

    def size(self, name):
        return 5

    def _open(self, name, mode="rb"):
        return ContentFile(b"a.txt")


def test_a_journal_names_the_class_of_a_storage_that_is_not_known_here(aliases, tmp_path):
    backend = {"BACKEND": f"{__name__}.Elsewhere"}
    journal = tmp_path / "journal"
    with override_settings(STORAGES={**settings.STORAGES, "far": backend}):
        run("mogilefs_copy", "far", "default", "--list", f"--journal={journal}")
    first = rb"\\ far \(tests\..*\.Elsewhere\) to default \(test: at 127\.0\.0\.1:[0-9]+\)\n"
    assert re.fullmatch(first + rb"a\.txt\n", journal.read_bytes())


def test_options_may_come_from_who_calls_the_command(aliases, tmp_path):
    fill("disk", "a.txt")
    options = {"list": "", "workers": 2, "journal": str(tmp_path / "journal")}
    assert run("mogilefs_copy", "disk", "default", **options) == "1 copied, 0 failed\n"
    assert run("mogilefs_copy", "disk", "default", **options) == "1 in the journal, 0 failed\n"


def test_what_was_only_copied_before_is_deleted_when_that_is_asked_for(aliases, tmp_path):
    fill("disk", "a.txt", "b.txt")
    copy = ["mogilefs_copy", "disk", "default", f"--journal={tmp_path / 'journal'}", "--list"]
    run(*copy)
    assert "2 unchanged, 0 failed" in run(*copy, "--delete-source")
    assert storages["disk"].listdir("") == ([], [])
    assert list(storages["default"].names()) == ["a.txt", "b.txt"]


@every_database
def test_what_was_uploaded_since_the_switch_is_no_failure(aliases, tmp_path):
    fill("disk", "pictures/old.png")
    fill("default", "pictures/new.png")
    refer_to("pictures/old.png", "pictures/new.png")
    copy = ["mogilefs_copy", "disk", "default", f"--journal={tmp_path / 'journal'}"]
    would_be = "copied pictures/old.png\nWould be: 1 copied, 1 only in the destination, 0 failed\n"
    assert run(*copy, "--dry-run") == would_be
    assert run(*copy) == "1 copied, 1 only in the destination, 0 failed\n"
    assert (tmp_path / "journal").read_text().splitlines()[1:] == ["pictures/old.png"]
    assert run(*copy[:-1]) == "1 only in the destination, 1 unchanged, 0 failed\n"


@every_database
def test_a_move_by_reference_goes_on_without_a_journal(aliases):
    move = ["mogilefs_copy", "disk", "default", "--delete-source"]
    fill("disk", "pictures/a.png")
    refer_to("pictures/a.png")
    assert run(*move) == "1 copied, 0 failed\n"
    assert run(*move) == "1 only in the destination, 0 failed\n"
    assert run(*move, "--field=gallery.Picture.image") == "1 only in the destination, 0 failed\n"
    assert list(storages["default"].names()) == ["pictures/a.png"]


@every_database
@pytest.mark.parametrize("field", [[], ["--field=gallery.Picture.image"]])
def test_what_a_field_on_the_source_refers_to_has_to_be_there(aliases, field):
    fill("disk", "pictures/a.png")
    refer_to("pictures/a.png")
    with pytest.raises(CommandError, match="1 of 1 files"):
        run("mogilefs_copy", "default", "disk", *field)


@every_database
def test_a_move_by_reference_goes_on_with_what_is_left(aliases, tmp_path):
    move = ["mogilefs_copy", "disk", "default", "--delete-source", f"--journal={tmp_path / 'j'}"]
    fill("disk", "pictures/a.png", "pictures/b.png")
    refer_to("pictures/a.png")
    assert "1 copied, 0 failed" in run(*move)
    refer_to("pictures/b.png")
    assert run(*move) == "1 copied, 1 in the journal, 0 failed\n"
    assert (tmp_path / "j").read_text().splitlines()[1:] == ["pictures/a.png", "pictures/b.png"]
    assert storages["disk"].listdir("pictures") == ([], [])


@pytest.mark.parametrize(
    ("alias", "options"),
    [
        ("default", {"location": "deep/er"}),
        ("default", {"location": "deep/er", "trackers": ["localhost"]}),
        ("other", {"location": "other/deep/er"}),
        ("disk", {"location": "linked/deep/er"}),
    ],
)
def test_a_move_into_a_place_below_goes_on_and_goes_no_deeper(
    aliases, mogilefs_node, tmp_path, monkeypatch, alias, options
):
    monkeypatch.chdir(tmp_path)
    Path("linked").symlink_to("disk")
    if "trackers" in options:  # under another name
        options["trackers"] = [mogilefs_node.tracker.replace("127.0.0.1", "localhost")]
    below = {"within": {**settings.STORAGES[alias], "OPTIONS": options}}
    names = ["a.txt", "b.txt", "deep/c.txt"]
    fill(alias, *names)
    move = ["mogilefs_copy", alias, "within", "--list", "--delete-source"]
    with override_settings(STORAGES={**settings.STORAGES, **below}):
        fill("within", "a.txt")  # as an interrupted run leaves it
        assert run(*move) == "2 copied, 1 the destination's own, 1 unchanged, 0 failed\n"
        assert run(*move) == "3 the destination's own, 0 failed\n"
        assert run(*move[:-1], "deep") == "3 the destination's own, 0 failed\n"
        for name in names:
            with storages["within"].open(name) as file:
                assert file.read() == name.encode()
            assert not storages[alias].exists(name)


def test_a_key_that_is_below_in_another_cluster_is_copied(aliases, tmp_path):
    fill("other", "a.txt", "b.txt")
    with Farm(tmp_path, devices=1, domains={"test": {}}) as farm:
        options = {"location": "other", "trackers": [farm.node.tracker]}
        far = {"BACKEND": "django_mogilefs.storage.MogileFSStorage", "OPTIONS": options}
        with override_settings(STORAGES={**settings.STORAGES, "far": far}):
            fill("far", "a.txt")
            copied = run("mogilefs_copy", "default", "far", "--list", "--delete-source")
            assert copied == "2 copied, 0 failed\n"
            assert sorted(storages["far"].names()) == ["a.txt", "other/a.txt", "other/b.txt"]


@every_database
def test_what_fields_refer_to_is_copied_also_from_a_place_below(aliases, tmp_path):
    fill("default", "other/a.png")
    refer_to("other/a.png")
    journal = f"--journal={tmp_path / 'journal'}"
    assert run("mogilefs_copy", "default", "other", "--list", journal).startswith("1 the dest")
    move = ["mogilefs_copy", "default", "other", "--field", "gallery.Picture.image", journal]
    assert run(*move) == "1 copied, 0 failed\n"
    assert storages["other"].exists("other/a.png")


class Interrupted(FileSystemStorage):
    """Where Ctrl-C is pressed while a file is read."""

    def open(self, name, mode="rb"):
        raise KeyboardInterrupt


def test_an_interrupt_is_told_in_a_line(aliases, tmp_path):
    fill("disk", "a.txt")
    location = {"location": storages["disk"].location}
    interrupted = {"interrupted": {"BACKEND": f"{__name__}.Interrupted", "OPTIONS": location}}
    with (
        override_settings(STORAGES={**settings.STORAGES, **interrupted}),
        pytest.raises(CommandError, match="Start it again") as failure,
    ):
        run("mogilefs_copy", "interrupted", "default", "--list")
    assert failure.value.returncode == 130


def test_what_fails_is_reported_and_the_rest_copied(aliases):
    fill("disk", "a.txt", "b.txt")
    storages["default"].save("a.txt", ContentFile(b"other"))
    err = io.StringIO()
    with pytest.raises(CommandError, match="1 of 2 files") as failure:
        call_command("mogilefs_copy", "disk", "default", "--list", stderr=err, stdout=err)
    assert failure.value.returncode == 1
    assert "a.txt: is in the destination with other content" in err.getvalue()
    assert storages["default"].open("a.txt").read() == b"other"
    assert storages["default"].exists("b.txt")


@every_database
def test_a_reference_that_the_source_lacks_is_a_failure(aliases):
    refer_to("lost.png")
    with pytest.raises(CommandError, match="1 of 1 files"):
        run("mogilefs_copy", "disk", "default")


def test_what_cannot_be_read_any_more_is_replaced_where_that_is_asked_for(aliases, tmp_path):
    fill("disk", "a.txt", "b.txt")
    copy = ["mogilefs_copy", "disk", "spoilt", "--list"]
    err = io.StringIO()
    with Farm(tmp_path / "node", devices=1) as farm:
        options = {"domain": "demo", "trackers": [farm.node.tracker]}
        spoilt = {**settings.STORAGES["default"], "OPTIONS": options}
        with override_settings(STORAGES={**settings.STORAGES, "spoilt": spoilt}):
            run(*copy)
            farm.copy(1, farm.fid("a.txt")).unlink()
            with pytest.raises(CommandError, match="1 of 2 files"):
                call_command(*copy, stdout=err, stderr=err)
            assert "a.txt: cannot be read in the destination (--overwrite repl" in err.getvalue()
            assert run(*copy, "--overwrite", "--dry-run").startswith("copied a.txt\nWould be: 1 ")
            assert run(*copy, "--overwrite") == "1 copied, 1 unchanged, 0 failed\n"
            assert farm.client.read("a.txt") == b"a.txt"


def test_what_cannot_be_read_in_the_source_replaces_nothing(aliases):
    fill("disk", "a.txt")
    fill("default", "a.txt")
    backend = {"BACKEND": f"{__name__}.Torn", "OPTIONS": {"location": storages["disk"].location}}
    for delete in [], ["--delete-source"]:
        with (
            override_settings(STORAGES={**settings.STORAGES, "torn": backend}),
            pytest.raises(CommandError, match="1 of 1 files"),
        ):
            run("mogilefs_copy", "torn", "default", "--list", "--overwrite", *delete)
    assert storages["default"].open("a.txt").read() == b"a.txt"
    assert storages["disk"].exists("a.txt")


class Absent(MogileFSStorage):
    """Of which no replica can be read the first time."""

    asked: ClassVar[set[str]] = set()

    def _open(self, name, mode="rb"):
        if name not in self.asked:
            self.asked.add(name)
            raise StorageUnavailable("no replica")
        return super()._open(name, mode)


def test_what_is_one_file_in_both_is_not_deleted_where_it_was_away_for_a_moment(aliases):
    fill("default", "a.txt")
    absent = {"absent": {"BACKEND": f"{__name__}.Absent"}}
    move = ["mogilefs_copy", "default", "absent", "--list", "--overwrite", "--delete-source"]
    with override_settings(STORAGES={**settings.STORAGES, **absent}):
        with pytest.raises(CommandError, match="1 of 1 files"):
            run(*move)
        assert Absent.asked == {"a.txt"}
        assert storages["default"].open("a.txt").read() == b"a.txt"


def test_a_dry_run_tells_and_changes_nothing(aliases):
    fill("disk", "a.txt")
    out = run("mogilefs_copy", "disk", "default", "--list", "--dry-run", "--delete-source")
    assert "copied a.txt" in out
    assert not storages["default"].exists("a.txt")
    assert storages["disk"].exists("a.txt")


def test_the_source_is_deleted_only_of_what_was_verified(aliases):
    fill("disk", "a.txt", "b.txt")
    storages["default"].save("a.txt", ContentFile(b"other"))
    with pytest.raises(CommandError):
        run("mogilefs_copy", "disk", "default", "--list", "--delete-source")
    assert storages["disk"].exists("a.txt")
    assert not storages["disk"].exists("b.txt")


def test_what_two_zones_name_otherwise_is_one_file_too(aliases):
    fill("default", "a.txt")
    admin = storages["default"].client.admin
    (host,) = admin.hosts()
    alternate = {"BACKEND": settings.STORAGES["default"]["BACKEND"], "OPTIONS": {"zone": "alt"}}
    admin.update_host(host.name, altip="localhost", altmask="10.0.0.0/8")
    try:
        with override_settings(STORAGES={**settings.STORAGES, "alternate": alternate}):
            with pytest.raises(CommandError, match="1 of 1 files were not copied"):
                run("mogilefs_copy", "default", "alternate", "--list", "--delete-source")
            assert storages["default"].exists("a.txt")
    finally:
        admin.update_host(host.name, altip="", altmask="")


@pytest.mark.parametrize("source", ["default", "disk"])
@pytest.mark.parametrize("how", ["itself", "otherwise", "under another name"])
def test_what_is_one_file_in_both_is_never_deleted(aliases, mogilefs_node, tmp_path, source, how):
    fill(source, "a.txt")
    (tmp_path / "linked").symlink_to("disk")
    elsewhere = {"trackers": [mogilefs_node.tracker.replace("127.0.0.1", "localhost")]}
    options = {
        ("default", "otherwise"): {"mogile_class": "avatar"},
        ("default", "under another name"): elsewhere,
        ("disk", "under another name"): {"location": str(tmp_path / "linked")},
    }
    given = settings.STORAGES[source]
    chosen = {**given.get("OPTIONS", {}), **options.get((source, how), {})}
    same = {"same": {**given, "OPTIONS": chosen}}
    destination = source if how == "itself" else "same"
    with override_settings(STORAGES={**settings.STORAGES, **same}):
        with pytest.raises(CommandError, match="1 of 1 files were not copied"):
            run("mogilefs_copy", source, destination, "--list", "--delete-source")
        with storages[source].open("a.txt") as file:
            assert file.read() == b"a.txt"


def test_what_is_moved_to_another_device_meanwhile_is_one_file_too():
    tracker = TinyTracker(cluster := Cluster())
    nodes = [TinyStorage(cluster), TinyStorage(cluster)]
    file = cluster.add("key", b"the only one")
    first, second = ([url] for url in file.urls)
    file.urls = first

    def move(connection, request, proper):
        connection.send(proper)
        if request.args.get("zone"):
            file.urls = second

    tracker.on["get_paths"] = move
    options = {"domain": "d", "trackers": [tracker.address]}
    one, other = MogileFSStorage(**options), MogileFSStorage(**options, mogile_class="other")
    with pytest.raises(CopyFailed, match="is one file in both"):
        Copy(one, other, delete_source=True)("key")
    assert list(cluster.files) == ["key"]
    for server in (tracker, *nodes):
        server.stop()


class Shaky(FileSystemStorage):
    """Cannot be read."""

    def _open(self, name, mode="rb"):
        raise OSError(24, "Too many open files")


def test_what_cannot_be_read_is_not_replaced_by_itself(tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to("here")
    (tmp_path / "here" / "a.txt").write_text("only copy")
    here, link = FileSystemStorage(tmp_path / "here"), Shaky(tmp_path / "link")
    with pytest.raises(CopyFailed, match="is one file in both"):
        Copy(here, link, overwrite=True)("a.txt")
    assert (tmp_path / "here" / "a.txt").read_text() == "only copy"


def test_an_empty_file_of_which_no_replica_is_left_is_one_file_too(tmp_path):
    with Farm(tmp_path, devices=1) as farm:
        farm.store("empty", b"")
        farm.set_state(1, "dead")
        until(lambda: not farm.client.paths("empty"))
        options = {"domain": "demo", "trackers": [farm.node.tracker]}
        lost = {"BACKEND": "django_mogilefs.storage.MogileFSStorage", "OPTIONS": options}
        with (
            override_settings(STORAGES={**settings.STORAGES, "lost": lost, "again": lost}),
            pytest.raises(CommandError, match="1 of 1 files were not copied"),
        ):
            run("mogilefs_copy", "lost", "again", "--list", "--delete-source")
        assert farm.client.exists("empty")


@every_database
def test_a_tracker_or_directory_that_is_not_there_is_told_in_a_line(aliases):
    with pytest.raises(CommandError, match=r"disk cannot be listed: .*No such file"):
        run("mogilefs_copy", "disk", "default", "--list")
    storages["default"].given["trackers"] = ["127.0.0.1:1"]
    with pytest.raises(CommandError, match="default cannot be listed: no tracker answered"):
        run("mogilefs_copy", "default", "disk", "--list")
    with pytest.raises(CommandError, match="no tracker answered"):
        run("mogilefs_orphans")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--list", "--workers=0"], "argument --workers"),
        (["--list=.."], "disk cannot be listed: .*outside"),
        (["--list", "--journal=nosuch/journal"], "nosuch/journal cannot be the journal"),
        (["--list", "--journal=."], r"\. cannot be the journal"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(aliases, options, told):
    fill("disk", "a.txt")
    with pytest.raises(CommandError, match=told):
        run("mogilefs_copy", "disk", "default", *options)


def test_an_alias_that_is_not_there_is_named(aliases):
    with pytest.raises(CommandError, match="nosuch"):
        run("mogilefs_copy", "nosuch", "default", "--list")


def test_a_journal_takes_no_name_for_several(aliases, tmp_path):
    copy = ["mogilefs_copy", "disk", "default", f"--journal={tmp_path / 'journal'}", "--list"]
    odd = ["a\nb", "c\rd", "e\\nf", "g\x85h", "é"]
    fill("disk", *odd)
    assert run(*copy) == "5 copied, 0 failed\n"
    assert run(*copy) == "5 in the journal, 0 failed\n"
    fill("disk", "a", "b", "c", "d", "g", "h", "e\nf")
    assert run(*copy) == "7 copied, 5 in the journal, 0 failed\n"


def test_a_line_that_a_journal_could_not_end_counts_for_nothing(aliases, tmp_path):
    journal = tmp_path / "journal"
    copy = ["mogilefs_copy", "disk", "default", f"--journal={journal}", "--list"]
    fill("disk", "done")
    run(*copy)
    fill("disk", "cut", "cutoff")
    noted = journal.read_bytes()
    journal.write_bytes(noted + b"cut")
    assert run(*copy) == "2 copied, 1 in the journal, 0 failed\n"
    assert run(*copy) == "3 in the journal, 0 failed\n"
    journal.write_bytes(noted[:9])
    assert run(*copy) == "3 unchanged, 0 failed\n"
    assert run(*copy) == "3 in the journal, 0 failed\n"


@every_database
def test_names_that_are_no_text_are_copied_and_told(aliases, tmp_path):
    name = os.fsdecode(b"caf\xe9.txt")
    fill("disk", name)
    copy = ["mogilefs_copy", "disk", "default", "--list", f"--journal={tmp_path / 'journal'}"]
    assert strictly(*copy, "--dry-run") == "copied caf\\udce9.txt\nWould be: 1 copied, 0 failed\n"
    assert strictly(*copy) == "1 copied, 0 failed\n"
    assert strictly(*copy) == "1 in the journal, 0 failed\n"
    assert storages["default"].open(name).read() == os.fsencode(name)
    assert "orphan test:caf\\udce9.txt\n" in strictly("mogilefs_orphans", "--min-age=0")
