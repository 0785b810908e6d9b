"""The dotted path of the classic backend: ``storages.backends.mogile.MogileFSStorage``."""

from django_mogilefs.storage import MogileFSStorage

__all__ = ["MogileFSStorage"]
