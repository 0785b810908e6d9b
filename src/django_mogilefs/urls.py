"""``path("mogilefs/", include("django_mogilefs.urls"))``: every file of the site's storage."""

from django.urls import path

from .views import serve_mogilefs_file

app_name = "mogilefs"

urlpatterns = [path("<path:key>", serve_mogilefs_file, name="file")]
