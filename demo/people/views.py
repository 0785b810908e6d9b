"""Pages that read as they are, without JavaScript; every button is a form."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from demo.people import cluster, images
from demo.people.forms import PersonForm
from demo.people.models import Person
from mogilefs.errors import MogileFSError


@require_http_methods(["GET", "HEAD", "POST"])
def people(request: HttpRequest) -> HttpResponse:
    """Everybody with a thumbnail, the devices, and a form for one more."""
    form = PersonForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            return redirect("person", pk=form.save().pk)
        except MogileFSError as error:
            form.add_error(None, f"The image could not be stored: {error}")
    everybody = Person.objects.all()
    context = {"form": form, "people": [(somebody, None) for somebody in everybody]}
    return show(request, "people/people.html", context, lambda seen: _thumbnails(seen, everybody))


@require_http_methods(["GET", "HEAD"])
def person(request: HttpRequest, pk: int) -> HttpResponse:
    """The original, and where every replica lies."""
    somebody = get_object_or_404(Person, pk=pk)
    return show(
        request, "people/person.html", {"person": somebody}, lambda seen: _files(seen, somebody)
    )


@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    somebody = get_object_or_404(Person, pk=pk)
    return attempt(request, somebody.remove, f"{somebody} is removed.", then="/")


@require_POST
def remake_thumbnail(request: HttpRequest, pk: int) -> HttpResponse:
    somebody = get_object_or_404(Person, pk=pk)
    return attempt(request, somebody.remake_thumbnail, "The thumbnail is made again.")


@require_POST
def take_away(request: HttpRequest, number: int) -> HttpResponse:
    told = f"Device {number} is dead. Files that lie elsewhere too are copied anew."
    return attempt(request, lambda: cluster.take_away(number), told)


@require_POST
def bring_back(request: HttpRequest, number: int) -> HttpResponse:
    return attempt(request, lambda: cluster.bring_back(number), f"Device {number} is back.")


@require_POST
def add_device(request: HttpRequest) -> HttpResponse:
    return attempt(request, cluster.add_device, "A fresh device is added.")


def show(
    request: HttpRequest,
    template: str,
    context: dict[str, Any],
    ask: Callable[[cluster.Cluster], dict[str, Any]],
) -> HttpResponse:
    """The page with what the cluster says, or, while no tracker answers, a 503 without it."""
    try:
        seen = cluster.Cluster()
        context |= {"devices": seen.devices, **ask(seen)}
    except MogileFSError as error:
        context["trouble"] = str(error)
    return render(request, template, context, status=503 if "trouble" in context else 200)


def attempt(
    request: HttpRequest, act: Callable[[], object], told: str, then: str | None = None
) -> HttpResponse:
    """Do it, say how it went, and go to `then` or back to the page with the button."""
    try:
        act()
    except (MogileFSError, images.BadImage) as error:
        messages.error(request, f"That failed: {error}")
    else:
        messages.success(request, told)
    return HttpResponseRedirect(then or _page_with_the_button(request))


def _page_with_the_button(request: HttpRequest) -> str:
    page = request.POST.get("next", "")
    return page if url_has_allowed_host_and_scheme(page, allowed_hosts=None) else "/"


def _thumbnails(seen: cluster.Cluster, everybody: Iterable[Person]) -> dict[str, Any]:
    return {"people": [(somebody, seen.kept(somebody.thumbnail)) for somebody in everybody]}


def _files(seen: cluster.Cluster, person: Person) -> dict[str, Any]:
    return {"original": seen.kept(person.avatar), "thumbnail": seen.kept(person.thumbnail)}
