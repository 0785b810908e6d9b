"""Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window; the test skips where the package chromium is missing."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs the Debian package chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        browser.close()


def picture(color: str = "teal", size: tuple[int, int] = (320, 240)) -> bytes:
    """A PNG of one colour."""
    png = io.BytesIO()
    Image.new("RGB", size, color).save(png, "PNG")
    return png.getvalue()


def upload(page: Page, address: str, name: str, content: bytes) -> None:
    """Fill in the demo's form and send it."""
    page.goto(address)
    page.get_by_label("Name").fill(name)
    file = {"name": "face.png", "mimeType": "image/png", "buffer": content}
    page.get_by_label("Avatar").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
