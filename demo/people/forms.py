"""The one form: a name and an image, with the thumbnail made before anything is stored."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.files.base import File

from demo.people import images
from demo.people.models import Person


class PersonForm(forms.Form):
    """Valid only when the image is one that a thumbnail could be made of."""

    name = forms.CharField(max_length=80)
    avatar = forms.FileField(
        widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg,image/gif,image/webp"}),
        help_text=f"PNG, JPEG, GIF or WebP, at most {images.MAX_BYTES // 2**20} MB.",
        error_messages={
            "required": "Choose an image.",
            "empty": "The file is empty.",
        },
    )
    thumbnail: bytes

    def clean_avatar(self) -> File[Any]:
        upload: File[Any] = self.cleaned_data["avatar"]
        try:
            upload.name = images.check(upload, upload.size or 0)
            self.thumbnail = images.thumbnail(upload)
        except images.BadImage as error:
            raise forms.ValidationError(str(error)) from error
        upload.seek(0)
        return upload

    def save(self) -> Person:
        """Store both images and the person."""
        data = self.cleaned_data
        return Person.add(data["name"], data["avatar"], self.thumbnail)
