"""Pages for people, and buttons for devices."""

from __future__ import annotations

from django.urls import path

from demo.people import views

urlpatterns = [
    path("", views.people, name="people"),
    path("people/<int:pk>/", views.person, name="person"),
    path("people/<int:pk>/remove/", views.remove, name="remove"),
    path("people/<int:pk>/thumbnail/", views.remake_thumbnail, name="remake-thumbnail"),
    path("devices/add/", views.add_device, name="add-device"),
    path("devices/<int:number>/take-away/", views.take_away, name="take-away"),
    path("devices/<int:number>/bring-back/", views.bring_back, name="bring-back"),
]
