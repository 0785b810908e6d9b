"""What may be uploaded, and thumbnails of it."""

from __future__ import annotations

import io
import uuid
from typing import IO, Any, cast

from django.core.files.base import File
from PIL import Image, ImageOps

THUMBNAIL = 128  # pixels, both ways
MAX_BYTES = 8 * 2**20
MAX_PIXELS = 40_000_000  # decoded, that is 160 MB of memory at most
TOO_MANY_PIXELS = f"The image is too large: at most {MAX_PIXELS // 10**6} megapixels."
EXTENSIONS = {"PNG": "png", "JPEG": "jpg", "GIF": "gif", "WEBP": "webp"}


class BadImage(ValueError):
    """This cannot be an avatar; the text says why to the one who uploaded it."""


def check(file: File[Any], size: int) -> str:
    """A key's last part for this image, random, with its true format's extension.

    Raises BadImage for what is too large, or no image of a known format.
    """
    if size > MAX_BYTES:
        raise BadImage(f"The image is too large: at most {MAX_BYTES // 2**20} MB.")
    with _opened(file) as image:
        if image.width * image.height > MAX_PIXELS:
            raise BadImage(TOO_MANY_PIXELS)
        return f"{uuid.uuid4().hex}.{EXTENSIONS[image.format or '']}"


def thumbnail(file: File[Any]) -> bytes:
    """A square PNG of `THUMBNAIL` pixels, cut from the middle and turned upright.

    Raises BadImage when the file cannot be decoded to its end.
    """
    with _opened(file) as image:
        try:
            upright = ImageOps.exif_transpose(image)
            small = ImageOps.fit(upright.convert("RGBA"), (THUMBNAIL, THUMBNAIL))
        except (OSError, SyntaxError, ValueError) as error:
            raise BadImage("The image is damaged.") from error
    png = io.BytesIO()
    small.save(png, "PNG", optimize=True)
    return png.getvalue()


def _opened(file: File[Any]) -> Image.Image:
    file.seek(0)
    try:
        return Image.open(cast(IO[bytes], file), formats=list(EXTENSIONS))
    except Image.DecompressionBombError as error:
        raise BadImage(TOO_MANY_PIXELS) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise BadImage("This is not an image (PNG, JPEG, GIF or WebP).") from error
