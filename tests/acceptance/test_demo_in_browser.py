"""What a visitor of the demo does and sees, in a real Chromium, without and with a front."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Response, expect

from tests.support.browser import picture, upload
from tests.support.demo_site import Demo

pytestmark = pytest.mark.once

INTERNAL = re.compile(r"x-reproxy|x-accel|x-mogile|:\d+/dev\d", re.IGNORECASE)


@pytest.fixture(
    scope="module", params=[None, "perlbal", "nginx"], ids=["alone", "perlbal", "nginx"]
)
def front(request: pytest.FixtureRequest) -> str | None:
    return request.param  # type: ignore[no-any-return]  # pytest's params have no type


@pytest.fixture(autouse=True)
def _nobody_there(demo: Demo, page: Page) -> Iterator[None]:
    """Every test leaves the demo as it was: nobody there, all devices alive."""
    yield
    page.goto(demo.address)
    while page.locator(".people a").count():
        page.locator(".people a").first.click()
        page.get_by_role("button", name=re.compile("^Remove ")).click()
    while page.get_by_role("button", name=re.compile("^Bring ")).count():
        page.get_by_role("button", name=re.compile("^Bring ")).first.click()


def painted(page: Page, alt: str) -> int:
    """The width of an image as the browser decoded it; 0 if it could not."""
    image = page.get_by_alt_text(alt, exact=True)
    expect(image).to_be_visible()
    image.evaluate("image => image.decode()")
    return int(image.evaluate("image => image.naturalWidth"))


def reply_for(page: Page, url: str) -> Response:
    reply = page.goto(url)
    assert reply is not None
    return reply


def test_an_upload_is_seen_in_the_list_and_kept_three_times(demo: Demo, page: Page) -> None:
    original = picture("teal")
    upload(page, demo.address, "Ada", original)
    expect(page.get_by_text("3 of 3 replicas")).to_be_visible()
    assert painted(page, "Avatar of Ada") == 320
    assert len(demo.replicas(original)) == 3
    page.goto(demo.address)
    assert painted(page, "Thumbnail of Ada") == 128


def test_the_view_serves_the_very_bytes_and_the_thumbnail_lies_once(demo: Demo, page: Page) -> None:
    original = picture("orchid")
    upload(page, demo.address, "Grace", original)
    expect(page.get_by_text("3 of 3 replicas")).to_be_visible()
    avatar = reply_for(page, source(demo, page, "Avatar of Grace"))
    assert hashlib.sha256(avatar.body()).digest() == hashlib.sha256(original).digest()
    assert avatar.headers["content-type"] == "image/png"
    page.goto(demo.address)
    thumbnail = reply_for(page, source(demo, page, "Thumbnail of Grace")).body()
    assert Image.open(io.BytesIO(thumbnail)).size == (128, 128)
    assert len(demo.replicas(thumbnail)) == 1


def source(demo: Demo, page: Page, alt: str) -> str:
    return demo.url(page.get_by_alt_text(alt, exact=True).get_attribute("src") or "")


def test_behind_a_front_the_site_sends_no_body_and_nothing_internal_is_seen(
    demo: Demo, page: Page, front: str | None
) -> None:
    original = picture("coral")
    upload(page, demo.address, "Linus", original)
    url = source(demo, page, "Avatar of Linus")
    reply = reply_for(page, url)
    assert reply.body() == original
    assert not INTERNAL.search(repr(reply.headers_array()))
    seen = demo.requests_seen(url.removeprefix(demo.address.rstrip("/")))
    lengths = {line.length for line in seen if line.status == "200"}
    assert lengths, "the request passed the site"
    if front is None:
        assert lengths == {str(len(original))}
    else:
        assert lengths <= {"-", "0"}


def test_an_avatar_survives_a_dead_device_and_heals(demo: Demo, page: Page) -> None:
    original = picture("gold")
    upload(page, demo.address, "Barbara", original)
    expect(page.get_by_text("3 of 3 replicas")).to_be_visible()
    victim = demo.replicas(original)[0]
    page.get_by_role("button", name=f"Take {victim} away").click()
    expect(page.get_by_role("status")).to_contain_text("is dead")
    assert painted(page, "Avatar of Barbara") == 320
    expect(page.get_by_text("3 of 3 replicas")).to_be_visible(timeout=90_000)
    assert len(demo.replicas(original)) == 4, "three, and the one left on the dead device"
    assert painted(page, "Avatar of Barbara") == 320


def test_a_lost_thumbnail_is_offered_to_be_made_again(demo: Demo, page: Page) -> None:
    upload(page, demo.address, "Edsger", picture("navy"))
    expect(page.get_by_text("1 of 1 replica")).to_be_visible()
    page.goto(demo.address)
    thumbnail = reply_for(page, source(demo, page, "Thumbnail of Edsger")).body()
    (only,) = demo.replicas(thumbnail)
    page.goto(demo.address)
    page.get_by_role("button", name=f"Take {only} away").click()
    expect(page.get_by_role("img", name="The thumbnail is lost")).to_be_visible()
    page.get_by_role("button", name="Make it again").click()
    assert painted(page, "Thumbnail of Edsger") == 128


def test_a_thumbnail_is_not_made_again_from_an_original_that_is_lost(
    demo: Demo, page: Page
) -> None:
    upload(page, demo.address, "Donald", picture("olive"))
    alive = page.get_by_role("button", name=re.compile("^Take "))
    while alive.count():
        alive.first.click()
    expect(page.get_by_text("The original is lost")).to_be_visible()
    expect(page.get_by_role("button", name="Make it again")).to_have_count(0)
    page.goto(demo.address)
    page.get_by_role("button", name="Make it again").click()
    expect(page.get_by_role("status")).to_contain_text("replica")


@pytest.mark.parametrize("spare", ["back", "fresh"])
def test_a_device_comes_back_or_a_fresh_one_takes_its_place(
    demo: Demo, page: Page, spare: str
) -> None:
    original = picture("plum")
    upload(page, demo.address, "Alan", original)
    expect(page.get_by_text("3 of 3 replicas")).to_be_visible()
    alive = page.get_by_role("button", name=re.compile("^Take "))
    while alive.count() > 2:
        alive.first.click()
    expect(page.get_by_text("2 of 3 replicas: too few devices")).to_be_visible()
    button = "Add a fresh device" if spare == "fresh" else re.compile("^Bring dev1 ")
    page.get_by_role("button", name=button).click()
    expect(page.get_by_text("3 of 3 replicas")).to_be_visible(timeout=90_000)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(b"GIF89a, but no more", "not an image", id="not an image"),
        pytest.param(picture()[:-60], "damaged", id="cut short"),
        pytest.param(b"", "empty", id="empty"),
        pytest.param(picture() + bytes(8 * 2**20), "too large", id="too large"),
    ],
)
def test_a_bad_upload_is_told_and_stores_nothing(
    demo: Demo, page: Page, content: bytes, told: str
) -> None:
    before = set(demo.data.glob("dev*/**/*.fid"))
    upload(page, demo.address, "Nobody", content)
    expect(page.get_by_role("alert")).to_contain_text(told)
    expect(page.get_by_text("Nobody is here yet")).to_be_visible()
    stored = set(demo.data.glob("dev*/**/*.fid")) - before  # what was there may go meanwhile
    assert not stored


def test_it_fits_a_phone_needs_no_javascript_and_loads_nothing_from_elsewhere(
    demo: Demo, browser: Browser
) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, java_script_enabled=False)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    upload(page, demo.address, "Somebody with a name that is rather long " * 2, picture())
    expect(page.get_by_text("3 of 3 replicas")).to_be_visible()
    assert width(page) <= 390
    page.goto(demo.address)
    expect(page.get_by_role("button", name="Take dev1 away")).to_be_visible()
    assert width(page) <= 390
    assert {url for url in asked if not url.startswith(demo.address)} == set()
    context.close()


def width(page: Page) -> float:
    """Of all that is on the page; more than the window's means scrolling sideways."""
    boxes = [element.bounding_box() for element in page.locator("body *").all()]
    return max(box["x"] + box["width"] for box in boxes if box)
