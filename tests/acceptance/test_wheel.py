"""The classic promise, word for word: the wheel, Django 4.2, and the classic settings alone."""

from __future__ import annotations

import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from mogilefs.node import Node
from tests.support.demo_site import ROOT, environment

pytestmark = [pytest.mark.once, pytest.mark.timeout(600)]

PROJECT = {
    "settings.py": """
        DEFAULT_FILE_STORAGE = 'storages.backends.mogile.MogileFSStorage'
        MOGILEFS_DOMAIN = "demo"
        MOGILEFS_TRACKERS = ["{tracker}", "127.0.0.1:1"]
        MOGILEFS_MEDIA_URL = "/mogilefs/"
        SERVE_WITH_PERLBAL = True

        SECRET_KEY = "for a test"
        INSTALLED_APPS = ["people"]
        ROOT_URLCONF = "urls"
        DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}}
        DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
        """,
    "urls.py": """
        from django.urls import path
        from django_mogilefs.views import serve_mogilefs_file

        urlpatterns = [path("mogilefs/<path:key>", serve_mogilefs_file)]
        """,
    "people/__init__.py": "",
    "people/models.py": """
        from django.db import models

        class Person(models.Model):
            avatar = models.ImageField(upload_to="avatars")
        """,
    "try_it.py": """
        import io
        import django
        from django.core.files.base import ContentFile
        from django.core.management import call_command
        from django.test import Client, override_settings
        from PIL import Image

        django.setup()
        from people.models import Person

        assert django.VERSION[:2] == (4, 2)
        call_command("migrate", run_syncdb=True, verbosity=0)
        png = io.BytesIO()
        Image.new("RGB", (3, 2)).save(png, "PNG")
        person = Person(avatar=ContentFile(png.getvalue(), "ada.png"))
        person.save()
        person = Person.objects.get()
        assert person.avatar.url == "/mogilefs/" + person.avatar.name == "/mogilefs/avatars/ada.png"
        assert (person.avatar.width, person.avatar.height) == (3, 2)
        handed_over = Client().get(person.avatar.url)
        assert handed_over.status_code == 200
        assert handed_over.content == b""
        urls = handed_over["X-REPROXY-URL"].split()
        assert urls and all(url.endswith(".fid") for url in urls), urls
        with override_settings(SERVE_WITH_PERLBAL=False):
            streamed = Client().get(person.avatar.url)
        assert "X-REPROXY-URL" not in streamed
        assert b"".join(streamed.streaming_content) == png.getvalue()
        person.avatar.delete()
        """,
}


class Installed:
    """An environment of its own, with a project in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        venv.create(directory / "venv", with_pip=True)
        self.pip("wheel", "--no-deps", "--wheel-dir", str(directory), str(ROOT))
        (self.wheel,) = directory.glob("django_mogilefs-*.whl")
        self.pip("install", "Django==4.2.*", "Pillow", str(self.wheel))

    def pip(self, *arguments: str) -> None:
        self.python("-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)

    def write(self, tracker: str) -> None:
        for name, text in PROJECT.items():
            path = self.directory / "project" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            code = dedent(text)
            path.write_text(code.format(tracker=tracker) if name == "settings.py" else code)

    def try_it(self) -> None:
        self.python("try_it.py", cwd=self.directory / "project")

    def python(self, *arguments: str, cwd: Path | None = None) -> None:
        done = subprocess.run(
            [str(self.directory / "venv" / "bin" / "python"), *arguments],
            cwd=cwd or self.directory,
            env=environment() | {"DJANGO_SETTINGS_MODULE": "settings"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[str]:
    with Node(
        tmp_path / "node",
        domains={"demo": {}},
        tracker="127.0.0.1:0",
        storage="127.0.0.1:0",
        sidechannel="127.0.0.1:0",
    ).in_thread() as node:
        yield node.tracker


def test_the_classic_settings_are_enough_with_and_without_django_storages(
    tmp_path: Path, tracker: str
) -> None:
    project = Installed(tmp_path)
    project.write(tracker)
    project.try_it()
    project.pip("install", "django-storages")  # after ours
    project.try_it()
    project.pip("uninstall", "--yes", "django-mogilefs")
    project.pip("install", str(project.wheel))  # before ours
    project.try_it()
    project.pip("uninstall", "--yes", "django-storages")
    project.try_it()
