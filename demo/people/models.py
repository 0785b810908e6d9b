"""One table: people."""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from django.core.files.base import ContentFile, File
from django.db import models

from demo.people import images
from demo.people.storages import AvatarStorage, ThumbStorage


class Person(models.Model):
    """Somebody with a name, an original image and a thumbnail of it."""

    name: models.CharField[str, str] = models.CharField(max_length=80)
    avatar = models.ImageField(storage=AvatarStorage(), upload_to="avatars/")
    thumbnail = models.ImageField(storage=ThumbStorage(), upload_to="thumbs/")
    added: models.DateTimeField[datetime, datetime] = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-added", "-pk"]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def add(cls, name: str, original: File[Any], thumbnail: bytes) -> Person:
        """Keep both files and the row, or, when anything fails, none of them."""
        person = cls(name=name)
        try:
            person.avatar.save(original.name or "avatar", original, save=False)
            person._save_thumbnail(thumbnail)
            person.save()
        except BaseException:
            person._delete_files()
            raise
        return person

    def remake_thumbnail(self) -> None:
        """Make the thumbnail anew from the original; the lost one's key is deleted."""
        lost = self.thumbnail.name
        with self.avatar.open("rb") as original:
            content = ContentFile(original.read())
        self._save_thumbnail(images.thumbnail(content))
        self.save(update_fields=["thumbnail"])
        self.thumbnail.storage.delete(str(lost))

    def remove(self) -> None:
        """Delete the files, then the row: as long as one is left, it can be tried again."""
        self._delete_files()
        self.delete()

    def _save_thumbnail(self, content: bytes) -> None:
        name = PurePosixPath(str(self.avatar.name)).with_suffix(".png").name
        self.thumbnail.save(name, ContentFile(content), save=False)

    def _delete_files(self) -> None:
        for file in (self.thumbnail, self.avatar):
            if file:
                file.delete(save=False)
