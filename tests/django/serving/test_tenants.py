"""The view follows its storage: an option that is a property, as tenants have, or that is set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar

import pytest
from django.core.files.base import ContentFile
from django.test import RequestFactory
from pytest_django import Settings

from django_mogilefs.delivery import deliver
from django_mogilefs.storage import MogileFSStorage
from django_mogilefs.views import serve_mogilefs_file

tenant: ContextVar[str] = ContextVar("tenant")
DOMAINS = {"acme": "demo", "evil": "other"}


class TenantStorage(MogileFSStorage):
    @property
    def location(self) -> str:  # type: ignore[override]  # read only
        return f"tenant-{tenant.get()}"

    @property
    def domain(self) -> str:  # type: ignore[override]  # read only
        return DOMAINS[tenant.get()]


@contextmanager
def of(name: str) -> Iterator[None]:
    token = tenant.set(name)
    try:
        yield
    finally:
        tenant.reset(token)


def served(storage: MogileFSStorage, key: str, query: str = "") -> tuple[int, bytes]:
    request = RequestFactory().get(f"/?{query}")
    with closing(serve_mogilefs_file(request, key, storage=storage)) as reply:
        return reply.status_code, reply.getvalue()  # type: ignore[attr-defined]  # all have it


def test_each_tenant_gets_its_own_files_and_no_others(site_settings: Settings) -> None:
    storage = TenantStorage()
    for name in DOMAINS:
        with of(name):
            storage.save("secret.txt", ContentFile(name.encode()))
    for name, other in (("acme", "evil"), ("evil", "acme"), ("acme", "evil")):
        with of(name):
            assert served(storage, f"tenant-{name}/secret.txt") == (200, name.encode())
            assert served(storage, f"tenant-{other}/secret.txt")[0] == 404


def test_a_storage_that_is_told_to_sign_later_is_asked_for_signatures(
    site_settings: Settings,
) -> None:
    storage = MogileFSStorage()
    name = storage.save("later.txt", ContentFile(b"later"))
    assert served(storage, name) == (200, b"later")
    storage.querystring_auth = True
    assert served(storage, name)[0] == 403
    assert served(storage, name, storage.url(name).partition("?")[2]) == (200, b"later")


@pytest.mark.parametrize("storage", [None, "default", MogileFSStorage(location="below")])
def test_what_cannot_change_is_put_together_once(
    site_settings: Settings, storage: str | MogileFSStorage | None
) -> None:
    options = {"active_types": ["text/html"], "local_directories": {"127.0.0.1:1": "/srv"}}
    first = deliver(storage, options)
    assert deliver(storage, options) is first
    site_settings.MOGILEFS_CACHE_CONTROL = "no-cache"
    assert deliver(storage, options).policy.cache_control == "no-cache"
