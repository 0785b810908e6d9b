"""Source distributions of other packages, for their own tests; fetched once, kept between runs."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "django-mogilefs-tests"


def sdist(name: str, version: str) -> Path:
    """The unpacked source distribution of this release."""
    kept = CACHE / f"{name.lower()}-{version}"
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
            unpacked = _fetch(f"{name}=={version}", Path(temporary))
            if not kept.exists():
                unpacked.rename(kept)
    return kept


def _fetch(requirement: str, directory: Path) -> Path:
    subprocess.run(
        [*_pip(), "download", "--quiet", "--no-deps", "--no-binary", ":all:", requirement],
        cwd=directory,
        check=True,
    )
    (archive,) = directory.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(directory / "unpacked", filter="data")
    (unpacked,) = (directory / "unpacked").iterdir()
    return unpacked


def _pip() -> list[str]:
    """An environment made by uv has no pip, but uv has."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    uv = shutil.which("uv")
    assert uv, "neither pip nor uv is here"
    return [uv, "tool", "run", "--quiet", "--python", sys.executable, "pip"]
