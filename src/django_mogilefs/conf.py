"""Every setting and storage option: its name, its default, what is allowed.

A value is looked for in this order: the storage's constructor (which is where Django puts
``STORAGES[alias]["OPTIONS"]``), the storage's class, the ``MOGILEFS_…`` setting, the default.
Nothing is kept: a changed setting counts from the next look on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import Parameter, signature
from types import FunctionType
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import global_settings, settings
from django.core.exceptions import ImproperlyConfigured
from django.urls import get_script_prefix

from mogilefs.config import DEFAULT_TRACKER_PORT, LONGEST_TIMEOUT, is_timeout
from mogilefs.wire import CHECKSUMS

UNSET: Final = object()

_BY_NAME: Final = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)

ClassChooser = Callable[[str], "str | None"]


def text(value: Any) -> str:
    """Not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text that is not empty")
    return value


def text_or_none(value: Any) -> str | None:
    return None if value is None else text(value)


def header(value: Any) -> str:
    """The value of a header: printable ASCII."""
    if not (text(value).isascii() and value.isprintable()):
        raise ValueError("must be printable ASCII, for it is a header's value")
    return str(value)


def header_or_none(value: Any) -> str | None:
    return None if value is None else header(value)


def boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be True or False")  # noqa: TRY004 - one kind of error for all options
    return value


def seconds(value: Any) -> float:
    """Above 0, and no more than a system can wait."""
    if not is_timeout(value):
        raise ValueError(f"must be a number of seconds above 0, at most {LONGEST_TIMEOUT}")
    return float(value)


def size(value: Any) -> int:
    """Bytes, 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("must be a whole number of bytes, 0 or more")
    return value


def trackers(value: Any) -> tuple[str, ...]:
    """``["host:port", …]``, or the same as one text with commas; the port is 7001 by default."""
    listed = value.split(",") if isinstance(value, str) else value
    if not isinstance(listed, (list, tuple)) or not listed:
        raise ValueError('must list one tracker or more, as in ["127.0.0.1:7001"]')
    return tuple(_tracker(each) for each in listed)


def _tracker(value: Any) -> str:
    address = value.strip() if isinstance(value, str) else ""
    try:
        parts = urlsplit(f"//{address}")
        whole = bool(parts.hostname) and parts.netloc == address and "@" not in address
        valid = whole and (parts.port or DEFAULT_TRACKER_PORT) > 0
    except ValueError:
        valid = False
    if not valid or " " in address:
        raise ValueError(f'must list trackers as "host:port", which {value!r} is not')
    return address


def mogile_class(value: Any) -> str | ClassChooser | None:
    """A class's name, a function from a file's name to that, or None for the domain's default."""
    if value is None or callable(value):
        return value  # type: ignore[no-any-return]  # a callable is taken at its word
    if not isinstance(value, str) or not value:
        raise ValueError("must be the name of a class, a callable that returns one, or None")
    return value


def location(value: Any) -> str:
    """A prefix for keys, without slashes around it."""
    if not isinstance(value, str):
        raise ValueError("must be a text")  # noqa: TRY004 - one kind of error for all options
    prefix = value.strip("/")
    if "\\" in prefix or (prefix and not {".", "..", ""}.isdisjoint(prefix.split("/"))):
        raise ValueError("must be a prefix for keys without '.', '..', '//' and backslashes")
    return prefix


def base_url(value: Any) -> str | None:
    """An address or path that ends in a slash; a relative path is below the script's prefix.

    None (only as an option) is for files that have no address.
    """
    if value is None:
        return None
    url = text(value)
    if not url.endswith("/"):
        url += "/"
    if url.startswith("/") or urlsplit(url).scheme:
        return url
    return get_script_prefix() + url


def checksum(value: Any) -> str | None:
    if value not in (None, *CHECKSUMS):
        raise ValueError('must be "MD5", "SHA-1" or None')
    return value  # type: ignore[no-any-return]  # one of the three


def whole_seconds(value: Any) -> int:
    """0 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("must be a whole number of seconds, 0 or more")
    return value


def lifetime(value: Any) -> int:
    """Whole seconds, above 0."""
    if not whole_seconds(value):
        raise ValueError("must be a whole number of seconds above 0")
    return int(value)


def signed_lifetime(value: Any) -> int:
    """Whole seconds, 4 or more: an address ends at a whole second, and may lose a quarter."""
    if whole_seconds(value) < 4:
        raise ValueError("must be a whole number of seconds, 4 or more")
    return int(value)


def one_of(*words: str) -> Callable[[Any], str]:
    """One of these words."""

    def parse(value: Any) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(map(repr, words))}")
        return str(value)

    return parse


def texts(value: Any) -> frozenset[str]:
    """A list (or set) of texts."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError("must be a list of texts")  # noqa: TRY004 - one kind of error for all options
    return frozenset(text(each) for each in value)


def directories(value: Any) -> dict[str, str]:
    """``{"host:port": "/a/directory"}``; the directories are absolute."""
    if not isinstance(value, Mapping):
        raise ValueError('must map storage nodes to directories, {"host:port": "/directory"}')  # noqa: TRY004 - one kind of error for all options
    found = {text(node): directory for node, directory in value.items()}
    for node, directory in found.items():
        if not _is_directory_name(directory):
            raise ValueError(f"must have an absolute directory for {node}")
    return {node: os.fspath(directory) for node, directory in found.items()}


def _is_directory_name(value: Any) -> bool:
    if not isinstance(value, (str, os.PathLike)):
        return False
    path = os.fspath(value)
    return isinstance(path, str) and os.path.isabs(path) and "\n" not in path


def http_address(value: Any) -> str | None:
    """A full ``http://`` or ``https://`` address, also as browsers show it, or None."""
    if value is not None and not _is_http_address(text(value)):
        raise ValueError('must be a full address, as "https://www.example.org/media/logo.png"')
    return value  # type: ignore[no-any-return]  # a text, as was looked at


def _is_http_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        host, _ = (parts.hostname or "").encode("idna"), parts.port
        return parts.scheme in ("http", "https") and bool(host)
    except ValueError:  # no port, or no name that a host can have
        return False


def cache_alias(value: Any) -> str | None:
    """The name of a cache in CACHES, or None."""
    if value is not None and not (isinstance(value, str) and value in settings.CACHES):
        raise ValueError("must be the alias of a cache in CACHES, or None")
    return value


class Option:
    """One option, as an attribute of the storage class: reading it looks the value up.

    ``settings`` are asked in turn, by default only ``MOGILEFS_<NAME>``; without a default the
    option is required, and asking for it where it is not set raises ImproperlyConfigured.
    """

    def __init__(
        self, parse: Callable[[Any], Any], default: Any = UNSET, settings: tuple[str, ...] = ()
    ) -> None:
        self.parse = parse
        self.default = default
        self.settings = settings
        self.of_class: Any = UNSET

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.settings = self.settings or (f"MOGILEFS_{name.upper()}",)

    def for_class(self, value: Any) -> Option:
        """The same option with the value that a subclass gives."""
        option = type(self)(self.parse, self.default, self.settings)
        option.name = self.name
        option.of_class = value
        return option

    def __get__(self, storage: Configured | None, owner: type[Configured]) -> Any:
        if storage is None:
            return self if self.of_class is UNSET else self.of_class
        return self.look_up(owner, storage.given, storage)

    def __set__(self, storage: Configured, value: Any) -> None:
        storage.given[self.name] = value
        storage.changes += 1

    def look_up(
        self, owner: type[Configured], given: Mapping[str, Any], storage: Configured | None = None
    ) -> Any:
        """The option's value, parsed; ImproperlyConfigured names what is missing or malformed."""
        where, value = next(self._sources(owner, given))
        if isinstance(value, FunctionType) and where.startswith(owner.__name__ + "."):
            value = _bound(value, storage)
        try:
            return self.parse(value)
        except ValueError as error:
            raise ImproperlyConfigured(f"{where} {error}; it is {value!r}.") from error

    def _sources(
        self, owner: type[Configured], given: Mapping[str, Any]
    ) -> Iterator[tuple[str, Any]]:
        if self.name in given:
            yield f"The option {self.name!r} of {owner.__name__}", given[self.name]
        if self.of_class is not UNSET:
            yield f"{owner.__name__}.{self.name}", self.of_class
        for setting in self.settings:
            if is_set(setting):
                yield f"The setting {setting}", getattr(settings, setting)
        if self.default is UNSET:
            raise ImproperlyConfigured(
                f"{' or '.join(self.settings)} is not set, and {owner.__name__} was given no"
                f" option {self.name!r}."
            )
        yield f"The default of {self.name!r}", self.default


def option(
    parse: Callable[[Any], Any], default: Any = UNSET, settings: tuple[str, ...] = ()
) -> Any:
    """An Option, typed so that a class can declare what reading it gives."""
    return Option(parse, default, settings)


def _bound(function: FunctionType, storage: Configured | None) -> Any:
    """A class's function as it is meant: ``def f(self, name)`` a method, ``def f(name)`` not."""
    if storage is None or function.__code__.co_argcount < 2:
        return function
    return function.__get__(storage)


def is_set(setting: str) -> bool:
    """Whether the project gives this setting a value; Django's own defaults do not count."""
    if hasattr(global_settings, setting) and not settings.is_overridden(setting):
        return False
    return getattr(settings, setting, None) is not None


class Configured:
    """What has options: takes them by keyword, refuses unknown ones, lets subclasses set them."""

    given: dict[str, Any]
    is_fixed = True
    """Whether no option is a property, which may tell something else every time."""
    changes = 0
    """How often an option was set since it was made."""

    def __init__(self, **options: Any) -> None:
        unknown = sorted(options.keys() - self.option_names())
        if unknown:
            raise ImproperlyConfigured(unknown_options(type(self), unknown))
        self.given = options
        for name in options:
            getattr(self, name)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, option in cls.declared().items():
            value = _raw(cls, name)
            if not isinstance(value, (Option, property)):
                setattr(cls, name, option.for_class(value))
        cls.is_fixed = cls.options().keys() == cls.option_names()

    @classmethod
    def declared(cls) -> dict[str, Option]:
        """Every option by name, also behind a property."""
        found: dict[str, Option] = {}
        for each in cls.__mro__:
            for name, value in vars(each).items():
                if isinstance(value, Option):
                    found.setdefault(name, value)
        return found

    @classmethod
    def options(cls) -> dict[str, Option]:
        """Every option by name, as this class has it; not those that it has as properties."""
        declared = cls.declared()
        return {name: option for name, option in declared.items() if _raw(cls, name) is option}

    @classmethod
    def option_names(cls) -> set[str]:
        return set(cls.declared())

    @classmethod
    def keywords(cls) -> set[str]:
        """What the constructor takes: options, and what subclasses' own constructors name."""
        made = [vars(each)["__init__"] for each in cls.__mro__[:-1] if "__init__" in vars(each)]
        named = [each for init in made for each in list(signature(init).parameters.values())[1:]]
        return cls.option_names() | {each.name for each in named if each.kind in _BY_NAME}


def _raw(cls: type, name: str) -> Any:
    value = next(vars(each)[name] for each in cls.__mro__ if name in vars(each))
    return value.__func__ if isinstance(value, staticmethod) else value


def unknown_options(cls: type[Configured], unknown: list[str]) -> str:
    """What to say of options that do not exist."""
    known = ", ".join(sorted(cls.keywords()))
    return f"{cls.__name__} has no option {', '.join(map(repr, unknown))}; it has {known}."
