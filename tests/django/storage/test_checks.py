"""What ``check`` finds, and that it asks the network only when told to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.test import override_settings
from django.urls import path

from django_mogilefs import checks
from django_mogilefs.static import MogileFSStaticStorage
from django_mogilefs.storage import MogileFSStorage

OURS = "django_mogilefs.storage.MogileFSStorage"
STATIC = "django_mogilefs.static.MogileFSStaticStorage"
ID = re.compile(r"mogilefs\.[EW]\d+")
UNSEEN = "mogilefs.W006"  # a front is configured here, and nobody looks whether it is there


def storages(**aliases: object) -> override_settings:
    plain = {"BACKEND": OURS}
    return override_settings(STORAGES={"default": plain, "staticfiles": plain, **aliases})


def found(**options: object) -> list[str]:
    return sorted({message.id for message in run_checks(tags=["mogilefs"], **options)})


def view(request, key): ...


view.__module__ = "django_mogilefs.views"


class Mounted:
    urlpatterns = [path("mogilefs/<path:key>", view)]


class CatchAll:
    urlpatterns = [path("<path:page>", lambda request, page: None)]


@pytest.fixture(autouse=True)
def mounted(settings):
    settings.ROOT_URLCONF = Mounted


def test_a_complete_project_has_nothing_to_mend():
    assert found() == []


def test_the_documentation_has_every_check():
    documented = (Path(__file__).parents[3] / "docs/storage.md").read_text()
    sources = "".join(file.read_text() for file in Path(checks.__file__).parent.glob("*.py"))
    assert set(ID.findall(documented)) == set(ID.findall(sources))


def test_every_message_has_a_hint(settings):
    settings.MOGILEFS_TRACKERS = "nonsense:x"
    settings.ROOT_URLCONF = CatchAll
    messages = run_checks(tags=["mogilefs"])
    assert len(messages) == 2
    assert all(message.hint for message in messages)


@pytest.mark.parametrize("setting", ["MOGILEFS_DOMAIN", "MOGILEFS_TRACKERS"])
def test_a_missing_setting_is_named_once(settings, setting):
    delattr(settings, setting)
    messages = [message for message in run_checks() if message.id == "mogilefs.E001"]
    assert all(setting in message.msg for message in messages)
    assert len({message.msg for message in messages}) == len(messages)


@pytest.mark.parametrize("timeout", ["soon", float("inf")])
def test_a_malformed_option_is_an_error_without_making_the_storage(timeout):
    with storages(other={"BACKEND": OURS, "OPTIONS": {"timeout": timeout}}):
        (message,) = run_checks(tags=["mogilefs"])
    assert (message.id, message.obj) == ("mogilefs.E001", "STORAGES['other']")
    assert "timeout" in message.msg


def test_an_unknown_option_is_an_error():
    with storages(other={"BACKEND": OURS, "OPTIONS": {"timeot": 3}}):
        (message,) = run_checks(tags=["mogilefs"])
    assert message.id == "mogilefs.E002"
    assert "'timeot'" in message.msg


class TenantStorage(MogileFSStorage):
    def __init__(self, tenant, **options):
        super().__init__(location=tenant, **options)


@pytest.mark.parametrize(
    ("backend", "options"),
    [
        ("django_mogilefs.static.MogileFSManifestStaticStorage", {"manifest_storage": None}),
        (f"{__name__}.TenantStorage", {"tenant": "one"}),
    ],
)
def test_what_a_constructor_takes_besides_options_is_no_error(settings, backend, options):
    settings.STATIC_URL = "/mogilefs/"
    with storages(other={"BACKEND": backend, "OPTIONS": options}):
        assert "mogilefs.E002" not in found()
    with storages(other={"BACKEND": backend, "OPTIONS": {**options, "timeot": 3}}):
        assert "mogilefs.E002" in found()


@pytest.mark.parametrize("urls", [CatchAll, type("Empty", (), {"urlpatterns": []})])
def test_a_view_that_is_not_mounted_is_a_warning(settings, urls):
    settings.ROOT_URLCONF = urls
    assert found() == ["mogilefs.W001"]


def test_the_hint_is_a_pattern_that_serves_that_storage(settings):
    settings.ROOT_URLCONF = CatchAll
    options = {"domain": "elsewhere"}
    with storages(staticfiles={"BACKEND": STATIC, "OPTIONS": options}):
        hints = [message.hint for message in run_checks(tags=["mogilefs"])]
    assert len(hints) == 2
    assert 'path("mogilefs/<path:key>", serve_mogilefs_file)' in hints[0]
    assert 'path("static/<path:key>", serve_mogilefs_file, {"storage": "staticfiles"})' in hints[1]


def test_files_of_another_host_need_no_view_here(settings):
    settings.ROOT_URLCONF = CatchAll
    settings.MOGILEFS_MEDIA_URL = "https://media.example/"
    assert found() == []


def test_static_files_between_other_files_are_a_warning(settings):
    settings.STATIC_URL = "/mogilefs/"
    with storages(staticfiles={"BACKEND": STATIC}):
        assert found() == ["mogilefs.W003"]
    with storages(staticfiles={"BACKEND": STATIC, "OPTIONS": {"location": "static"}}):
        assert found() == []


def test_a_storage_below_the_static_files_is_a_warning_too(settings):
    settings.STATIC_URL = "/mogilefs/"
    uploads = {"BACKEND": OURS, "OPTIONS": {"location": "static/uploads"}}
    beside = {"BACKEND": OURS, "OPTIONS": {"location": "statics"}}
    static = {"BACKEND": STATIC, "OPTIONS": {"location": "static"}}
    with storages(staticfiles=static, uploads=uploads):
        assert found() == ["mogilefs.W003"]
    with storages(staticfiles=static, uploads=beside):
        assert found() == []


class StaticFilesOfATenant(MogileFSStaticStorage):
    @property
    def location(self):
        return "static/tenant"


def test_static_files_whose_place_is_a_property_are_no_warning(settings):
    settings.STATIC_URL = "/mogilefs/"
    uploads = {"BACKEND": OURS, "OPTIONS": {"location": "media"}}
    with storages(default=uploads, staticfiles={"BACKEND": f"{__name__}.StaticFilesOfATenant"}):
        assert found() == []


class StorageOfNobody(MogileFSStorage):
    """Its domain cannot be told without a tenant, and there is none while checks run."""

    @property
    def domain(self):
        raise AttributeError("no tenant")


def test_what_a_property_tells_is_not_asked_for(settings):
    settings.MOGILEFS_DOMAIN = None
    tenants = {"BACKEND": f"{__name__}.StorageOfNobody"}
    with override_settings(STORAGES={"default": tenants, "staticfiles": tenants}):
        run_checks(tags=["mogilefs"], include_deployment_checks=True)
        messages = run_checks(tags=["mogilefs"])
    assert [each.id for each in messages if "STORAGES" in str(each.obj)] == []


def test_a_project_without_a_front_is_warned_before_it_is_deployed(settings):
    assert "mogilefs.W002" in found(include_deployment_checks=True)
    settings.SERVE_WITH_PERLBAL = True
    assert "mogilefs.W002" not in found(include_deployment_checks=True)


def test_the_network_is_only_asked_when_told_to():
    quiet = {message.id for message in run_checks(include_deployment_checks=True)}
    assert not quiet & {"mogilefs.E101", "mogilefs.E102", "mogilefs.E103"}
    with pytest.raises(CommandError, match=r"127.0.0.1:1 does not answer"):
        call_command("check", deploy=True, tags=["mogilefs"])
    call_command("check", tags=["mogilefs"])
    call_command("check", deploy=True)
    call_command("check", deploy=True, tags=["security"])
    call_command("check", deploy=True, list_tags=True)
    call_command("check", deploy=True)


def test_a_cluster_with_all_that_storages_name_passes(mogilefs_storage, settings):
    settings.MOGILEFS_FRONT = "nginx"
    with storages(avatars={"BACKEND": OURS, "OPTIONS": {"mogile_class": "avatar"}}):
        assert found(include_deployment_checks=True) == [UNSEEN]


def test_a_domain_or_class_that_is_not_there_is_an_error(mogilefs_storage, settings):
    settings.MOGILEFS_FRONT = "nginx"
    with storages(nowhere={"BACKEND": OURS, "OPTIONS": {"domain": "nowhere"}}):
        assert found(include_deployment_checks=True) == ["mogilefs.E102", UNSEEN]
    with storages(nothing={"BACKEND": OURS, "OPTIONS": {"mogile_class": "nothing"}}):
        assert found(include_deployment_checks=True) == ["mogilefs.E103", UNSEEN]


def test_one_silent_tracker_of_two_is_told(mogilefs_storage, settings):
    settings.MOGILEFS_FRONT = "nginx"
    settings.MOGILEFS_TRACKERS = [*settings.MOGILEFS_TRACKERS, "127.0.0.1:1"]
    assert found(include_deployment_checks=True) == ["mogilefs.E101", UNSEEN]


def test_a_field_of_a_model_is_a_use_too(mogilefs_storage):
    from django_mogilefs.project import storage_uses

    classes = {use.where: use.look_up("mogile_class") for use in storage_uses()}
    assert classes["gallery.Picture.avatar"] == "avatar"
    assert classes["gallery.Picture.thumb"] == "thumb"
    assert isinstance(mogilefs_storage, MogileFSStorage)
