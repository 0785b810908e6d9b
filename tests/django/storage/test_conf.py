"""Where an option comes from, what it may be, and what is said where it cannot be used."""

from __future__ import annotations

from typing import Any

import django.conf
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_mogilefs import conf
from django_mogilefs.conf import Configured, option
from django_mogilefs.storage import MogileFSStorage


class Shop(Configured):
    domain: str = option(conf.text)
    trackers: tuple[str, ...] = option(conf.trackers)
    mogile_class: Any = option(conf.mogile_class, None)
    location: str = option(conf.location, "")
    timeout: float = option(conf.seconds, 10.0)
    zone: Any = option(conf.text_or_none, None)
    readonly: bool = option(conf.boolean, False)
    max_spool: int = option(conf.size, 1)
    base_url: str = option(conf.base_url, settings=("MOGILEFS_MEDIA_URL", "MEDIA_URL"))


class Bakery(Shop):
    location = "bread/"
    timeout = 3


def test_the_constructor_beats_the_class_which_beats_the_setting_which_beats_the_default():
    assert Shop().location == ""
    with override_settings(MOGILEFS_LOCATION="by-setting"):
        assert Shop().location == "by-setting"
        assert Bakery().location == "bread"
        assert Bakery(location="rolls").location == "rolls"


def test_a_changed_setting_counts_from_the_next_look_on():
    shop = Shop()
    with override_settings(MOGILEFS_DOMAIN="one"):
        assert shop.domain == "one"
    with override_settings(MOGILEFS_DOMAIN="two"):
        assert shop.domain == "two"


def test_a_setting_that_was_simply_assigned_counts():
    django.conf.settings.MOGILEFS_ZONE = "assigned"
    try:
        assert Shop().zone == "assigned"
    finally:
        del django.conf.settings.MOGILEFS_ZONE


def test_several_of_one_class_have_their_own_options():
    assert [Bakery(domain=name).domain for name in ("a", "b")] == ["a", "b"]


def test_a_mixin_that_knows_nothing_of_options_can_set_them():
    class Slow:
        timeout = 60

    class SlowShop(Slow, Shop):
        pass

    assert SlowShop().timeout == 60.0


def test_unknown_options_are_refused_when_it_is_made():
    with pytest.raises(ImproperlyConfigured, match=r"Bakery has no option 'lokation'.*location"):
        Bakery(lokation="x")


@pytest.mark.parametrize("setting", ["MOGILEFS_DOMAIN", "MOGILEFS_TRACKERS"])
def test_what_is_missing_is_named_when_it_is_needed(settings, setting):
    delattr(settings, setting)
    shop = Shop()
    with pytest.raises(ImproperlyConfigured, match=setting):
        getattr(shop, setting.removeprefix("MOGILEFS_").lower())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("domain", ""),
        ("domain", 7),
        ("trackers", []),
        ("trackers", ""),
        ("trackers", {"127.0.0.1": 7001}),
        ("trackers", ["127.0.0.1:port"]),
        ("trackers", ["127.0.0.1:70010"]),
        ("trackers", ["127.0.0.1:7001", ""]),
        ("trackers", ["http://127.0.0.1:7001"]),
        ("trackers", ["127.0.0.1:7001/x"]),
        ("trackers", [7001]),
        ("mogile_class", 3),
        ("mogile_class", ""),
        ("location", "../up"),
        ("location", "a\\b"),
        ("location", "."),
        ("location", "a/./b"),
        ("location", "a//b"),
        ("timeout", 0),
        ("timeout", "10"),
        ("timeout", True),
        ("readonly", "no"),
        ("max_spool", -1),
        ("base_url", ""),
        ("base_url", 5),
    ],
)
def test_what_is_malformed_is_named(settings, name, value):
    with pytest.raises(ImproperlyConfigured, match=f"option '{name}' of Shop"):
        Shop(**{name: value})
    setting = "MOGILEFS_MEDIA_URL" if name == "base_url" else f"MOGILEFS_{name.upper()}"
    setattr(settings, setting, value)
    with pytest.raises(ImproperlyConfigured, match=f"setting {setting} "):
        getattr(Shop(), name)


def test_trackers_are_a_list_or_one_text_with_commas():
    wanted = ("127.0.0.1:7001", "[::1]:7002", "tracker.example")
    assert Shop(trackers=list(wanted)).trackers == wanted
    assert Shop(trackers="127.0.0.1:7001, [::1]:7002,tracker.example").trackers == wanted


def test_the_media_url_falls_back_to_djangos_and_ends_in_a_slash(settings):
    settings.MEDIA_URL = "/uploads"
    del settings.MOGILEFS_MEDIA_URL
    assert Shop().base_url == "/uploads/"
    settings.MOGILEFS_MEDIA_URL = "https://media.example/m"
    assert Shop().base_url == "https://media.example/m/"


def test_without_any_media_url_it_is_said_which_is_missing(settings):
    del settings.MOGILEFS_MEDIA_URL
    del settings.MEDIA_URL
    with pytest.raises(ImproperlyConfigured, match="MOGILEFS_MEDIA_URL or MEDIA_URL is not set"):
        Shop().base_url  # noqa: B018 - reading it is what fails


def test_a_class_can_be_chosen_by_function_or_method():
    class Chooser(Shop):
        mogile_class = lambda name: name.upper()  # noqa: E731 - the short form is the case here

    class Methodical(Shop):
        def mogile_class(self, name):
            return f"{self.location}-{name}"

    assert Chooser().mogile_class("a") == "A"
    assert Methodical(location="x").mogile_class("a") == "x-a"
    assert Shop(mogile_class=str.lower).mogile_class("A") == "a"


@pytest.mark.parametrize(
    ("name", "value"),
    [("querystring_expire", 3), ("path_cache", "nowhere"), ("path_cache", ["default"])],
)
def test_what_is_malformed_about_serving_is_named(name, value):
    with pytest.raises(ImproperlyConfigured, match=f"option '{name}' of MogileFSStorage"):
        MogileFSStorage(**{name: value})
