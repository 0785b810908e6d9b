"""The command ``mogilefs``."""

from .main import main

__all__ = ["main"]
