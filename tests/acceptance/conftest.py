"""A demo for each front, a browser for each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import chromium
from tests.support.demo_site import Demo, behind, demo_running

PATIENCE = 30_000
"""Milliseconds that a page may take to become what is expected of it."""

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Not for the session: while Playwright runs, no other module could run an event loop.
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    yield page
    page.close()


@pytest.fixture(scope="module")
def front() -> str | None:
    """No front; a module with fronts parametrizes this."""
    return None


@pytest.fixture(scope="module")
def demo(front: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo on a directory and a port of its own."""
    data = tmp_path_factory.mktemp("demo")
    with demo_running(data, "--data", str(data), *behind(front)) as demo:
        yield demo
        assert demo.stop() == 0
