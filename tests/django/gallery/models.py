from __future__ import annotations

from django.db import models

from django_mogilefs.storage import MogileFSStorage


class AvatarStorage(MogileFSStorage):
    mogile_class = "avatar"


class Picture(models.Model):
    image = models.ImageField(
        upload_to="pictures", width_field="width", height_field="height", blank=True
    )
    avatar = models.ImageField(storage=AvatarStorage(), upload_to="avatars", blank=True)
    thumb = models.FileField(storage=MogileFSStorage(mogile_class="thumb"), blank=True)
    width = models.IntegerField(null=True)
    height = models.IntegerField(null=True)
