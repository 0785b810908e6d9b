"""Two storages of one domain: originals on three devices, thumbnails on one."""

from __future__ import annotations

from storages.backends.mogile import MogileFSStorage


class AvatarStorage(MogileFSStorage):
    """Originals cannot be made again: class ``avatar`` keeps three replicas."""

    mogile_class = "avatar"


class ThumbStorage(MogileFSStorage):
    """Thumbnails can be made again from the original: class ``thumb`` keeps one replica."""

    mogile_class = "thumb"
