"""Pages of people, and the files that MogileFS keeps."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("mogilefs/", include("django_mogilefs.urls")),
    path("", include("demo.people.urls")),
]
