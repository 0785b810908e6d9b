"""A real Chromium shows an image and plays a sound, through each front and without one."""

from __future__ import annotations

import io
import math
import struct
import wave

import pytest

from mogilefs import Client
from tests.django.serving.conftest import FRONTS, Sites
from tests.support.browser import chromium, picture

pytestmark = pytest.mark.once

SECONDS = 40
RATE = 22050

# Plays from near the end: no browser gets there without asking for a range.
PLAY = """async () => {
    const sound = document.querySelector('audio');
    sound.muted = true;
    await sound.play();
    const seeked = new Promise(resolve => sound.addEventListener('seeked', resolve));
    sound.currentTime = 39.5;
    await seeked;
    const ended = new Promise(resolve => sound.addEventListener('ended', resolve));
    await sound.play();
    await ended;
    return [sound.duration, sound.currentTime, sound.error && sound.error.message];
}"""


def tone() -> bytes:
    """A tone of 40 seconds in a WAV file: 1.7 MB, so that it comes in parts."""
    data = io.BytesIO()
    samples = (int(9000 * math.sin(2 * math.pi * 440 * i / RATE)) for i in range(RATE))
    second = b"".join(struct.pack("<h", sample) for sample in samples)
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(second * SECONDS)
    return data.getvalue()


@pytest.mark.parametrize("server", ["uvicorn", *FRONTS, "nginx-local"])
def test_an_image_is_painted_and_a_sound_plays(server: str, client: Client, sites: Sites) -> None:
    client.store("browser.png", picture(size=(37, 23)))
    client.store("browser.wav", tone())
    address = sites.address(server)
    statuses: list[int] = []
    with chromium() as browser:
        page = browser.new_page()
        page.on("response", lambda reply: statuses.append(reply.status))
        page.goto(f"http://{address}/page/browser.png/browser.wav")
        shown = page.evaluate("() => document.querySelector('img').naturalWidth")
        duration, position, error = page.evaluate(PLAY)
    assert shown == 37
    assert error is None
    assert duration == pytest.approx(SECONDS, abs=0.1)
    assert position == pytest.approx(SECONDS, abs=0.1)
    assert 206 in statuses
