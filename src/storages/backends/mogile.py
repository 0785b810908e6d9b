"""The dotted path of the classic backend: ``storages.backends.mogile.MogileFSStorage``."""

from django_mogilefs.storage import MogileFSStorage
from django_mogilefs.views import serve_mogilefs_file

__all__ = ["MogileFSStorage", "serve_mogilefs_file"]
