"""The wheel on Django 4.2 with the classic settings, with django-storages and without."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mogilefs.node import Node

pytestmark = [pytest.mark.once, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
UV = shutil.which("uv")

SETTINGS = """
SECRET_KEY = "not-secret"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["album"]
ROOT_URLCONF = "urls"
USE_TZ = True
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DEFAULT_FILE_STORAGE = 'storages.backends.mogile.MogileFSStorage'
MOGILEFS_DOMAIN = "test"
MOGILEFS_TRACKERS = ["{tracker}"]
MOGILEFS_MEDIA_URL = "/mogilefs/"
SERVE_WITH_PERLBAL = {perlbal}
"""

MODELS = """
from django.db import models

class Photo(models.Model):
    image = models.ImageField(upload_to="photos")
"""

URLS = """
from django.urls import path
from django_mogilefs.views import serve_mogilefs_file

urlpatterns = [path("mogilefs/<path:key>", serve_mogilefs_file)]
"""

SITE = """
import io, os, warnings
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
import django
warnings.simplefilter("ignore")
django.setup()
assert django.VERSION[:2] == (4, 2)
from album.models import Photo
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.test import Client
from PIL import Image
from mogilefs import Client as MogileFS

call_command("migrate", run_syncdb=True, verbosity=0)
png = io.BytesIO()
Image.new("RGB", (3, 2), "teal").save(png, "PNG")
photo = Photo()
photo.image.save("a photo.png", ContentFile(png.getvalue()))
photo = Photo.objects.get()
assert photo.image.name == "photos/a_photo.png"
assert photo.image.url == "/mogilefs/photos/a_photo.png", photo.image.url
assert (photo.image.width, photo.image.height) == (3, 2)
key = photo.image.name
with MogileFS("test", settings.MOGILEFS_TRACKERS) as client:
    assert client.read(key) == png.getvalue()
    paths = client.paths(key)
    answer = Client().get(photo.image.url)
    assert answer.status_code == 200
    body = b"".join(answer) if answer.streaming else answer.content
    if settings.SERVE_WITH_PERLBAL:
        assert body == b""
        assert sorted(answer["X-REPROXY-URL"].split()) == sorted(paths)
    else:
        assert body == png.getvalue()
    assert answer["Content-Type"] == "image/png"
    client.delete(key)

try:
    import storages.utils
except ImportError:
    print("alone")
else:
    import storages.backends.ftp
    print("beside django-storages")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from this tree."""
    out = tmp_path_factory.mktemp("wheel")
    if UV:
        run(UV, "build", "--quiet", "--wheel", "--out-dir", str(out), str(ROOT))
    else:
        run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", str(out), str(ROOT))
    (built,) = out.glob("*.whl")
    return built


def run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def python_for_django_4_2() -> str:
    """Django 4.2 knows Pythons up to 3.12."""
    if sys.version_info < (3, 13):
        return sys.executable
    found = [shutil.which(f"python3.{minor}") for minor in (12, 11, 10)]
    return next(each for each in found if each and runs(each))


def runs(python: str) -> bool:
    """A pyenv's shim stands on PATH for Pythons that it will not start."""
    return subprocess.run([python, "-c", ""], capture_output=True).returncode == 0


def environment(directory: Path) -> Path:
    """A new virtual environment; its Python."""
    if UV:
        run(UV, "venv", "--quiet", "--python", python_for_django_4_2(), str(directory))
    else:
        run(python_for_django_4_2(), "-m", "venv", str(directory))
    return directory / "bin" / "python"


def install(python: Path, *requirements: str) -> None:
    if UV:
        run(UV, "pip", "install", "--quiet", "--python", str(python), *requirements)
    else:
        run(str(python), "-m", "pip", "install", "--quiet", *requirements)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ([], [], "alone"),
        (["django-storages"], [], "beside django-storages"),
        ([], ["django-storages"], "beside django-storages"),
    ],
    ids=["alone", "after django-storages", "before django-storages"],
)
def test_an_image_field_saves_through_the_classic_settings(
    wheel: Path,
    tmp_path: Path,
    mogilefs_node: Node,
    before: list[str],
    after: list[str],
    told: str,
):
    python = environment(tmp_path / "venv")
    for requirements in (["Django==4.2.*", "Pillow", *before], [str(wheel)], after):
        if requirements:
            install(python, *requirements)
    site = tmp_path / "site"
    (site / "album").mkdir(parents=True)
    (site / "album" / "__init__.py").touch()
    (site / "album" / "models.py").write_text(MODELS)
    (site / "urls.py").write_text(URLS)
    (site / "main.py").write_text(SITE)
    for perlbal in (True, False):
        settings = SETTINGS.format(tracker=mogilefs_node.tracker, perlbal=perlbal)
        (site / "settings.py").write_text(settings)
        assert run(str(python), "-B", "main.py", cwd=site).strip() == told


def test_the_wheel_claims_no_package_of_django_storages(wheel: Path):
    listed = run(sys.executable, "-m", "zipfile", "-l", str(wheel))
    theirs = [line.split()[0] for line in listed.splitlines() if line.startswith("storages/")]
    assert theirs == ["storages/backends/mogile.py"]
