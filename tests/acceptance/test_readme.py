"""Every code block of README.md, run in the order in which a reader meets them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.support.demo_site import ROOT, demo_running, environment

pytestmark = [pytest.mark.once, pytest.mark.timeout(600)]

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
EXAMPLE_TRACKER = "127.0.0.1:7001"
ANY_PORT = [f"--{door}=127.0.0.1:0" for door in ("tracker", "storage", "sidechannel")]

BEYOND_THE_README = """
SECRET_KEY = "for a test"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
"""
SAVE_AND_SERVE = """
import django
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client

django.setup()
name = default_storage.save("hello.txt", ContentFile(b"Hello, disks!"))
reply = Client().get(default_storage.url(name))
assert reply.status_code == 200, reply
assert b"".join(reply.streaming_content) == b"Hello, disks!"
"""
SAVE_A_PERSON = """
import django
from django.core.files.base import ContentFile
from django.core.management import call_command

django.setup()
call_command("migrate", run_syncdb=True, verbosity=0)
from people.models import Person

file = ContentFile(b"not looked into", "ada.png")
person = Person.objects.create(avatar=file, thumbnail=file)
for field, mogile_class in [(person.avatar, "avatar"), (person.thumbnail, "thumb")]:
    assert field.storage.client.info(field.name).mogile_class == mogile_class
"""
SAVE_BY_ALIAS = """
import django
from django.core.files.base import ContentFile
from django.core.files.storage import storages

django.setup()
name = storages["avatars"].save("ada.png", ContentFile(b""))
assert storages["avatars"].client.info(f"avatars/{name}").mogile_class == "avatar"
"""


class Reader:
    """Somebody with a clone and an empty environment who does what the README says."""

    def __init__(self, directory: Path, at_end: ExitStack) -> None:
        self.directory, self.at_end = directory, at_end
        self.clone, self.project = directory / "clone", directory / "project"
        self.project.mkdir()
        self.tracker = EXAMPLE_TRACKER
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(self.clone)], check=True)
        subprocess.run([sys.executable, "-m", "venv", str(directory / "venv")], check=True)
        path = os.pathsep.join([str(directory / "venv" / "bin"), os.environ["PATH"]])
        self.env = environment() | {"PATH": path}

    def follow(self, language: str, code: str) -> None:
        """Do what one block says; fail where nobody knows how to."""
        for beginning, does in self.WAYS.items():
            if f"{language}: {code}".startswith(beginning):
                return does(self, code)
        return pytest.fail(f"README.md has a block that no test runs:\n{code}")

    def make_demo(self, code: str) -> None:
        with demo_running(
            self.clone / ".demo", command=[*shlex.split(code), "PORT=0"], cwd=self.clone
        ) as demo:
            assert urlopen(demo.address).status == 200

    def make_test(self, code: str) -> None:
        # All of the tests would run this one again.
        self.run(*shlex.split(code), "ARGS=tests/test_wire.py", cwd=self.clone)

    def install(self, code: str) -> None:
        self.run(*shlex.split(code), cwd=self.clone)

    def start_node(self, code: str) -> None:
        command = shlex.split(code.replace("/var/lib/mogilefs", str(self.directory / "node")))
        node = subprocess.Popen(
            [*command, *ANY_PORT], env=self.env, stdout=subprocess.PIPE, text=True
        )
        self.at_end.callback(node.communicate)
        self.at_end.callback(node.terminate)
        assert node.stdout is not None
        ready = re.match(r"ready: tracker (\S+),", node.stdout.readline())
        assert ready
        self.tracker = ready[1]

    def write_settings(self, code: str) -> None:
        (self.project / "settings.py").write_text(self.here(code) + BEYOND_THE_README)

    def write_urls(self, code: str) -> None:
        (self.project / "urls.py").write_text(code)
        self.env["DJANGO_SETTINGS_MODULE"] = "settings"
        self.python(SAVE_AND_SERVE)

    def write_models(self, code: str) -> None:
        people = self.project / "people"
        people.mkdir()
        (people / "__init__.py").touch()
        (people / "models.py").write_text(code)
        self.add_to_settings('INSTALLED_APPS = ["people"]')
        self.python(SAVE_A_PERSON)

    def add_an_alias(self, code: str) -> None:
        self.add_to_settings(code)
        self.python(SAVE_BY_ALIAS)

    def add_to_settings(self, code: str) -> None:
        with (self.project / "settings.py").open("a") as settings:
            settings.write(f"\n{code}\n")

    def python(self, code: str) -> None:
        self.run("python", "-c", self.here(code), cwd=self.project)

    def shell(self, code: str) -> None:
        self.run("sh", "-ec", self.here(code), cwd=self.project)

    def here(self, code: str) -> str:
        return code.replace(EXAMPLE_TRACKER, self.tracker)

    def run(self, *command: str, cwd: Path) -> None:
        done = subprocess.run(command, cwd=cwd, env=self.env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    WAYS = {
        "sh: make demo": make_demo,
        "sh: make test": make_test,
        "sh: python -m pip install": install,
        "sh: mogilefs node": start_node,
        "sh: export MOGILEFS_TRACKERS": shell,
        "python: STORAGES = ": write_settings,
        'python: STORAGES["avatars"]': add_an_alias,
        "python: from django.db": write_models,
        "python: from django.urls": write_urls,
        "python: from mogilefs import": python,
    }


def test_every_block_of_the_readme_works(tmp_path: Path) -> None:
    with ExitStack() as at_end:
        reader = Reader(tmp_path, at_end)
        for language, code in BLOCKS:
            reader.follow(language, code)


def test_every_fence_of_the_readme_is_a_block() -> None:
    assert README.count("```") == 2 * len(BLOCKS)
