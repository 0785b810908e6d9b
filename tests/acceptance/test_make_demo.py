"""``make demo`` as a user runs it: from a fresh clone, stopped, started again, in the way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from demo import fronts
from demo.processes import DemoError
from tests.support.browser import picture, upload
from tests.support.demo_site import MODULE, ROOT, Demo, behind, demo_running, environment

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clone = tmp_path_factory.mktemp("fresh") / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    return clone


def make_demo(clone: Path) -> AbstractContextManager[Demo]:
    return demo_running(clone / ".demo", command=["make", "demo", "PORT=0"], cwd=clone)


@pytest.mark.timeout(600)  # it installs everything into a new environment
def test_from_a_fresh_clone_stopped_and_started_again(clone: Path, page: Page) -> None:
    original = picture("tomato")
    with make_demo(clone) as first:
        upload(page, first.address, "Ada", original)
        expect(page.get_by_text("3 of 3 replicas")).to_be_visible()
        assert len(first.processes()) > 1
        first.stop()
        assert first.processes() == []
        assert not answers(first)
    with make_demo(clone) as second:
        page.goto(second.address)
        page.get_by_role("link", name="Ada").click()
        image = page.get_by_alt_text("Avatar of Ada")
        image.evaluate("image => image.decode()")
        assert image.evaluate("image => image.naturalWidth") == 320
        assert len(second.replicas(original)) == 3
        second.press_ctrl_c()
        assert second.processes() == []


@pytest.mark.parametrize(
    ("front", "number"),
    [
        (None, signal.SIGINT),
        (None, signal.SIGTERM),
        (None, signal.SIGHUP),
        *((front, signal.SIGTERM) for front in fronts.NAMES),
    ],
)
def test_a_signal_ends_all_that_was_started(
    front: str | None, number: signal.Signals, tmp_path: Path
) -> None:
    with demo_running(tmp_path, "--data", str(tmp_path), *behind(front)) as demo:
        assert any((front or "gunicorn") in line for line in demo.processes())
        assert demo.stop(number) == 0
        assert demo.processes() == []
        assert not answers(demo)


def answers(demo: Demo) -> bool:
    host, _, port = demo.address.removeprefix("http://").rstrip("/").partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_a_port_in_use_is_named_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = run_demo("--data", str(tmp_path), "--port", str(port))
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert failed.stderr.count("\n") == 1
    assert f"port {port} is in use" in failed.stderr


def test_a_directory_in_use_is_told_with_the_pid_that_holds_it(tmp_path: Path) -> None:
    with demo_running(tmp_path, "--data", str(tmp_path)):
        holder = (tmp_path / "node.lock").read_text().strip()
        failed = run_demo("--data", str(tmp_path), "--port", "0")
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert holder in failed.stderr


def test_a_part_that_dies_ends_the_demo_and_is_named(tmp_path: Path) -> None:
    with demo_running(tmp_path, "--data", str(tmp_path)) as demo:
        os.kill(int((tmp_path / "node.lock").read_text()), signal.SIGKILL)
        assert demo.process.wait(60) == 1
        assert demo.process.stderr is not None
        assert "the node ended" in demo.process.stderr.read()


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MODULE, *arguments], cwd=ROOT, env=environment(), capture_output=True, text=True
    )


@pytest.mark.parametrize("front", fronts.NAMES)
def test_a_missing_front_is_told_with_its_package(
    front: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fronts, "SEARCH", "/nowhere")
    with pytest.raises(DemoError, match=f"{front}.*apt-get install {front}"):
        fronts.find(front)
