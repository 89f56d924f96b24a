"""How a hyper-parameter is declared: once, with default, unit, range, choices and source.

`config.py` declares every hyper-parameter with :func:`setting`. From the same declaration come the
range check when a config is made, ``--set key=value`` on the command line, the fields that the
plugin shows, and the saved file.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from maskfree.errors import InputError, nearest

__all__ = [
    "Section",
    "Setting",
    "as_text",
    "changes",
    "from_dict",
    "iter_settings",
    "override",
    "setting",
    "to_dict",
]

S = TypeVar("S", bound="Section")
_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}
_NOTHING = {"none", "null"}
_LARGEST = 2**53
"""Whole numbers beyond it are no exact floats, and no setting needs them."""
_SHOWN = 60
"""Characters of a value that a message repeats."""
_KNOWN_HINTS: dict[type, dict[str, Any]] = {}
"""Looking them up takes most of the time of reading a config."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """One declared hyper-parameter of a config, with its current value.

    ``key`` is dotted (``temporal.search_radius``); ``kind`` is the Python type of the value;
    ``low`` and ``high`` are inclusive bounds or None.
    """

    key: str
    value: Any
    kind: type
    help: str
    unit: str
    low: float | None
    high: float | None
    choices: tuple[Any, ...]
    source: str


def setting(
    default: Any,
    help: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] = (),
    source: str = "",
) -> Any:
    """Declare one hyper-parameter as a dataclass field."""
    meta = {
        "help": help,
        "unit": unit,
        "low": low,
        "high": high,
        "choices": choices,
        "source": source,
    }
    return dataclasses.field(default=default, metadata=meta)


@dataclasses.dataclass(frozen=True)
class Section:
    """Base of every config class: checks each value against its declaration when made."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name), field.name)


def _hints(owner: type) -> dict[str, Any]:
    if owner not in _KNOWN_HINTS:
        _KNOWN_HINTS[owner] = typing.get_type_hints(owner)
    return _KNOWN_HINTS[owner]


def _kinds(field: dataclasses.Field[Any], owner: type) -> tuple[type, ...]:
    hint = _hints(owner)[field.name]
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return tuple(k for k in typing.get_args(hint))
    return (typing.get_origin(hint) or hint,)


def _check(field: dataclasses.Field[Any], value: Any, key: str) -> None:
    meta = field.metadata
    if not meta:
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{key} must be a finite number, got {value}.")
    if meta["choices"] and value not in meta["choices"]:
        options = ", ".join(str(c) for c in meta["choices"])
        hint = nearest(str(value), [str(c) for c in meta["choices"]])
        raise InputError(f'{key} must be one of {options}, got "{value}".{hint}')
    for item in value if isinstance(value, tuple) else (value,):
        if not isinstance(item, int | float) or isinstance(item, bool):
            continue
        low, high = meta["low"], meta["high"]
        if isinstance(item, int) and abs(item) > _LARGEST:
            raise InputError(f"{key} must lie in {-_LARGEST} to {_LARGEST}, got a larger number.")
        if (low is not None and item < low) or (high is not None and item > high):
            bounds = f"{'-inf' if low is None else low} to {'inf' if high is None else high}"
            unit = f" {meta['unit']}" if meta["unit"] else ""
            raise InputError(f"{key} must lie in {bounds}{unit}, got {value}.")


def iter_settings(config: Section, prefix: str = "") -> Iterator[Setting]:
    """Yield every declared hyper-parameter of ``config``, nested sections with dotted keys."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        key = f"{prefix}{field.name}"
        if isinstance(value, Section):
            yield from iter_settings(value, f"{key}.")
        elif field.metadata:
            kinds = [k for k in _kinds(field, type(config)) if k is not type(None)]
            yield Setting(key, value, kinds[0], **field.metadata)


def as_text(value: Any) -> str:
    """Return a value as ``--set key=value`` takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(str(each) for each in value)
    return str(value)


def changes(before: Section, after: Section) -> tuple[str, ...]:
    """Return what makes ``after`` of ``before``, as ``key=value`` words for ``--set``."""
    old = {each.key: each.value for each in iter_settings(before)}
    return tuple(
        f"{each.key}={as_text(each.value)}"
        for each in iter_settings(after)
        if each.value != old.get(each.key)
    )


def to_dict(config: Section) -> dict[str, Any]:
    """Return ``config`` as nested plain dictionaries, ready for JSON."""
    return dataclasses.asdict(config)


def from_dict(
    kind: type[S], data: Mapping[str, Any], where: str = "config", *, kept: bool = False
) -> S:
    """Build a ``kind`` from nested dictionaries; absent values keep their defaults.

    Parameters
    ----------
    kept
        It was kept by a program of another version: settings that only that one has are passed
        over.

    Raises
    ------
    InputError
        For an unknown key (with the nearest valid one), a value of the wrong type or out of range.
    """
    if not isinstance(data, Mapping):
        raise InputError(f"{where} must be a section of settings, got {_short(data)}.")
    values: dict[str, Any] = {}
    fields = {f.name: f for f in dataclasses.fields(kind)}
    owner: type = kind
    hints = _hints(owner)
    for name, value in data.items():
        if name not in fields:
            if kept:
                continue
            raise InputError(f'{where} has no setting "{name}".{nearest(name, fields)}')
        hint = hints[name]
        if isinstance(hint, type) and issubclass(hint, Section):
            values[name] = from_dict(hint, value, f"{where}.{name}", kept=kept)
        else:
            values[name] = _cast(fields[name], kind, value, f"{where}.{name}")
    return kind(**values)


def override(config: S, values: Mapping[str, Any]) -> S:
    """Return a copy of ``config`` with dotted keys replaced; text is parsed by the declared type.

    >>> override(Config(), {"temporal.search_radius": "5"})

    Raises
    ------
    InputError
        For an unknown key (naming the nearest valid one), an unreadable or out-of-range value.
    """
    for key, value in values.items():
        config = _override_one(config, key.split("."), value, key)
    return config


def _override_one(config: S, path: list[str], value: Any, key: str) -> S:
    fields = {f.name: f for f in dataclasses.fields(config)}
    if path[0] not in fields:
        raise InputError(f'There is no setting "{key}".{_nearest_key(config, path, key)}')
    field, current = fields[path[0]], getattr(config, path[0])
    new: Any
    if isinstance(current, Section):
        if len(path) == 1:
            names = ", ".join(f"{key}.{f.name}" for f in dataclasses.fields(current))
            raise InputError(f'"{key}" is a group of settings; set one of: {names}.')
        new = _override_one(current, path[1:], value, key)
    elif len(path) > 1:
        raise InputError(f'There is no setting "{key}".{_nearest_key(config, path, key)}')
    elif not field.metadata:
        raise InputError(f'"{key}" is not set on its own. Choose it with --{key}.')
    else:
        new = _cast(field, type(config), value, key)
    return dataclasses.replace(config, **{path[0]: new})


def _nearest_key(config: Section, path: list[str], key: str) -> str:
    prefix = key[: len(key) - len(".".join(path))]
    valid = [prefix + s.key for s in iter_settings(config)]
    by_tail = [v for v in valid if v.rsplit(".", 1)[-1] == path[-1]]
    return f' Did you mean "{by_tail[0]}"?' if by_tail else nearest(key, valid)


def _cast(field: dataclasses.Field[Any], owner: type, value: Any, key: str) -> Any:
    kinds = _kinds(field, owner)
    named = value in field.metadata.get("choices", ())  # there "none" may be one of the words
    if value is None or (isinstance(value, str) and value.lower() in _NOTHING and not named):
        if type(None) in kinds:
            return None
        raise InputError(f"{key} needs a value, got none.")
    kind = next(k for k in kinds if k is not type(None))
    try:
        result = _parse(kind, value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{key} must be {_describe(kind)}, got {_short(value)}.") from None
    _check(field, result, key)
    return result


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _describe(kind: type) -> str:
    names = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "text",
        tuple: "a list of numbers like 32,64,96",
    }
    return names.get(kind, kind.__name__)


def _parse(kind: type, value: Any) -> Any:
    if kind is bool:
        text = str(value).lower()
        if text in _TRUE | _FALSE:
            return text in _TRUE
        raise ValueError(text)
    if kind is tuple:
        items = value.split(",") if isinstance(value, str) else list(value)
        return tuple(_whole(item) for item in items)
    if kind is int:
        return _whole(value)
    if kind is float and isinstance(value, bool):
        raise ValueError(value)
    return kind(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    return int(value)
