from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from mogilefs import Client
from mogilefs.cli import main

from .conftest import Run


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["nosuch"],
        ["ls", "--nosuch"],
        ["put"],
        ["put", "-"],
        ["put", "-r", "-", "k"],
        ["get", "-r", "k", "-"],
        ["get", "k", "x", "y"],
        ["ls", "--limit", "0"],
        ["ls", "--timeout", "-1"],
        ["ls", "--trackers", "not a host"],
        ["put", "-r", "/nosuch/dir"],
        ["put", "/tmp", "k"],
        ["class", "k"],
        ["rm", "x" * 256],
        ["device", "add", "h", "zero"],
    ],
)
def test_wrong_usage_is_one_line_and_code_2(run: Run, argv: list[str]):
    ended = run(*argv)
    assert (ended.code, ended.out) == (2, ""), ended
    assert ended.err.startswith("mogilefs: ")
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("name", ["MOGILEFS_TRACKERS", "MOGILEFS_DOMAIN"])
def test_what_is_missing_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.delenv(name)
    ended = run("ls")
    assert ended.code == 2
    assert name in ended.err


def test_options_win_over_the_environment(run: Run, client: Client, node, domain, monkeypatch):
    client.store("k", b"x")
    monkeypatch.setenv("MOGILEFS_TRACKERS", "127.0.0.1:1")
    monkeypatch.setenv("MOGILEFS_DOMAIN", "nosuch")
    assert run("ls").code == 4
    assert run("ls", "--trackers", node.tracker).code == 3
    assert run("-t", "127.0.0.1:1", "-t", node.tracker, "ls", "--domain", domain).out == "k\n"


def test_no_tracker_is_code_4_and_names_each(run: Run):
    ended = run("ls", "--trackers", "127.0.0.1:1,127.0.0.1:2")
    assert ended.code == 4
    assert "127.0.0.1:1" in ended.err
    assert "127.0.0.1:2" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_no_storage_is_code_5(run: Run, client: Client, node):
    client.store("k", b"x", mogile_class="one")
    [path] = client.paths("k")
    name = path.partition("/dev")[2]
    (Path(node.directory) / f"dev{name}").unlink()
    assert run("cat", "k").code == 5


def test_a_local_file_that_is_missing_is_named(run: Run):
    ended = run("put", "nosuch.txt", "k")
    assert (ended.code, ended.err) == (1, "mogilefs: nosuch.txt: No such file or directory\n")


def test_help_names_every_command_and_exit_code(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    words = "put get cat ls stat mv cp rm class status domain host device fsck rebalance node"
    for word in words.split(" "):
        assert f"    {word} " in text
    assert "4 no tracker answered" in text


def test_it_tells_its_version(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.strip() == metadata.version("django-mogilefs")


def test_the_manual_names_every_command(capsys: pytest.CaptureFixture[str]):
    manual = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = capsys.readouterr().out.partition("COMMAND\n")[2].partition("\n\nexit codes")[0]
    commands = [line.split()[0] for line in listed.splitlines() if line.startswith("    ")
                and not line.startswith("     ")]  # fmt: skip
    assert len(commands) >= 17
    for command in commands:
        assert f"`{command}" in manual or f"mogilefs {command}" in manual


def test_the_node_s_modules_are_not_imported_for_other_commands():
    code = "import sys; from mogilefs.cli.main import parse; parse(['ls']); print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = told.stdout.split()
    assert "mogilefs.cli.files" in modules
    assert "mogilefs.node" not in modules
