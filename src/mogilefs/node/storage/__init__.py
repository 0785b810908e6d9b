"""The node's HTTP door: PUT, GET, HEAD and DELETE of the files on its devices."""

from mogilefs.node.storage.door import StorageDoor
from mogilefs.node.storage.limits import Limits

__all__ = ["Limits", "StorageDoor"]
