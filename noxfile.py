"""The matrix: every pair of Python and Django that Django itself supports."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import nox

# Debian's and pyenv's interpreters alike, as far as they are found.
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
SUPPORTED = {
    "4.2": ("3.10", "3.11", "3.12"),
    "5.2": ("3.10", "3.11", "3.12", "3.13"),
    "6.0": ("3.12", "3.13"),
    "6.1": ("3.12", "3.13"),
}
# pyenv's shims stand on PATH for every version it has, but run only the chosen one.
PYENV = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
os.environ["PATH"] = os.pathsep.join(
    [*(str(path) for path in sorted(PYENV.glob("versions/3.1[0-9]*/bin"))), os.environ["PATH"]]
)

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"


def runs(python: str) -> bool:
    try:
        return subprocess.run([f"python{python}", "-c", ""], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


FOUND = [python for python in PYTHONS if runs(python)]


def pairs() -> list[Any]:
    """Every supported pair on an interpreter found; tagged `ci`: one for each long-lived line."""
    found = {django: [p for p in pythons if p in FOUND] for django, pythons in SUPPORTED.items()}
    on_ci = {("4.2", *found["4.2"][:1]), ("5.2", *found["5.2"][-2:-1]), ("6.1", *found["6.1"][-1:])}
    return [
        nox.param(python, django, tags=["ci"] if (django, python) in on_ci else [])
        for django, pythons in found.items()
        for python in pythons
    ]


@nox.session
@nox.parametrize("python,django", pairs())
def tests(session: nox.Session, django: str) -> None:
    """Run the tests, less those that one pair suffices for; arguments go to pytest."""
    session.install("--group", "test", "-e", ".", f"Django=={django}.*")
    session.run("python", "-X", "dev", "-m", "pytest", "-m", "not once", *session.posargs)
