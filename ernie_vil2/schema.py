"""Dataclasses from the data of YAML or JSON and back: unknown keys, wrong types and values out of range are named."""

import dataclasses
import itertools
import math
import os
import types
import typing
from collections.abc import Mapping
from dataclasses import field

from .errors import ConfigError, nearest
from .messages import quoted
from .plugins import hint

Record = typing.TypeVar("Record")
"""A dataclass of the configuration"""
WORDS = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}
"""What a truth value may be written as"""
MOST_LEVELS, MOST_VALUES = 64, 50_000
"""Values inside of each other, and values in all, of what one key holds"""

FURTHER: dict[type, dict[str, type]] = {}
"""First dataclass of a union -> {kind: dataclass} of what was registered beside those that the union names"""


def document(default: object, text: str, **options: object) -> typing.Any:
    """A dataclass field with its documentation; mutable defaults are given as factories."""
    if callable(default):
        return field(default_factory=default, metadata={"doc": text, **options})
    return field(default=default, metadata={"doc": text, **options})


def as_dict(value: typing.Any) -> typing.Any:
    """Dataclasses to plain dictionaries and lists."""
    if dataclasses.is_dataclass(value):
        return {item.name: as_dict(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [as_dict(item) for item in value]
    if isinstance(value, dict):
        return {key: as_dict(item) for key, item in value.items()}
    return value


def build(cls: type[Record], mapping: typing.Any, where: str | os.PathLike, path: str = "") -> Record:
    """A dataclass from a mapping: unknown keys, wrong types and values out of range raise ConfigError."""
    if dataclasses.is_dataclass(mapping):
        return mapping
    presets = getattr(cls, "presets", None)
    if presets and isinstance(mapping, str):
        if mapping not in presets():
            raise ConfigError(f"{where}: {path} is {quoted(mapping)}, but the presets are {', '.join(presets())}")
        return dataclasses.replace(presets()[mapping])
    if not isinstance(mapping, dict):
        raise ConfigError(f"{where}: {path or 'the file'} must be a mapping of keys to values, not {quoted(mapping)}")
    fields = {item.name: item for item in dataclasses.fields(cls)}
    for key in mapping:
        if key not in fields:
            close = nearest(key, fields)
            known = (
                f"did you mean {(path + '.' if path else '') + close!r}?"
                if close
                else "known here: " + ", ".join(fields)
            )
            raise ConfigError(f"{where}: unknown key {quoted(f'{path}.{key}' if path else key)}; {known}")
    hints = typing.get_type_hints(cls)
    values = {}
    for name, item in fields.items():
        if name in mapping:
            full = f"{path}.{name}" if path else name
            values[name] = coerce(hints[name], mapping[name], where, full)
            check_range(values[name], item.metadata, where, full)
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def coerce(kind: typing.Any, value: typing.Any, where: str | os.PathLike, path: str) -> typing.Any:
    """`value` as `kind`, or ConfigError; YAML's '1e-4' strings become floats."""
    origin = typing.get_origin(kind)
    if isinstance(value, str) and any(map(kind_of, (kind, *typing.get_args(kind)))):
        value = {"kind": value}
    if dataclasses.is_dataclass(kind):
        return build(kind, {} if value is None else value, where, path)
    if origin in (typing.Union, types.UnionType):
        members = typing.get_args(kind)
        if value is None and type(None) in members:
            return None
        rest = [member for member in members if member is not type(None)]
        kinds = {kind_of(member): member for member in rest if kind_of(member)}
        if len(kinds) > 1:
            more = f"; {hint('tower')}" if rest[0] in FURTHER else ""
            return build_kind(kinds | FURTHER.get(rest[0], {}), value, where, path, more)
        for member in rest:
            try:
                return coerce(member, value, where, path)
            except ConfigError:
                if member is rest[-1]:
                    raise
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(coerce(typing.get_args(kind)[0], item, where, path) for item in value)
    if origin is list and isinstance(value, (list, tuple)):
        return [coerce(typing.get_args(kind)[0], item, where, f"{path}[{index}]") for index, item in enumerate(value)]
    if kind is float and not isinstance(value, bool):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    if kind is bool and isinstance(value, str) and value.lower() in WORDS:
        return WORDS[value.lower()]
    wrong = text_error(value) if kind is str and isinstance(value, str) else None
    wrong = size_error(value) if origin is dict or kind is typing.Any else wrong
    if wrong:
        raise ConfigError(f"{where}: {path} is {quoted(value)}, which {wrong}")
    if (
        kind is typing.Any
        or kind is not float
        and (isinstance(kind, type) and isinstance(value, kind) and not (kind is int and isinstance(value, bool)))
    ):
        return value
    if origin is dict and isinstance(value, dict):
        of_key = typing.get_args(kind)[0]
        named = {str(key) if of_key is str and type(key) is int else key: item for key, item in value.items()}
        for key in named:
            coerce(of_key, key, where, f"a key of {path}")
        return named
    name = getattr(kind, "__name__", str(kind))
    quotes = "; put it in quotes" if kind is str and isinstance(value, (bool, int, float)) else ""
    raise ConfigError(f"{where}: {path} must be of type {name}, not {quoted(value)}{quotes}")


def text_error(text: str) -> str | None:
    """Why a text can be no name of a file or of anything else, as a clause, or None."""
    if "\0" in text:
        return "holds a zero character; leave it out"
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        return f"holds half a surrogate pair at character {error.start + 1}; write the character itself"
    return None


def size_error(value: typing.Any) -> str | None:
    """Why a nested value is too large for whoever walks it, as a clause, or None."""
    left = [(value, 1)]
    for count in itertools.count(1):
        if not left:
            return None
        item, level = left.pop()
        parts = item.values() if isinstance(item, dict) else item if isinstance(item, (list, tuple)) else ()
        if level > MOST_LEVELS or len(parts) + len(left) + count > MOST_VALUES:
            return f"has over {MOST_LEVELS} levels or {MOST_VALUES:,} values; make it smaller"
        left.extend((part, level + 1) for part in parts)


def kind_of(cls: typing.Any) -> str | None:
    """The default of the field `kind`, by which dataclasses that stand in one place are told apart; else None."""
    fields = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
    return next((item.default for item in fields if item.name == "kind"), None)


def build_kind(
    kinds: Mapping[str, type], value: typing.Any, where: str | os.PathLike, path: str, more: str = ""
) -> typing.Any:
    """The dataclass of {kind: dataclass} that `kind` names, or a key that is a kind; without both the first one.

    more: the end of the message on a kind that is not known."""
    if dataclasses.is_dataclass(value):
        return value
    named = next(iter(kinds))
    if isinstance(value, dict):
        named = value.get("kind", next((key for key in value if key in kinds), named))
    if not isinstance(named, str) or named not in kinds:
        close = nearest(named, kinds) if isinstance(named, str) else None
        known = f"did you mean {close!r}?" if close else "known here: " + ", ".join(kinds)
        raise ConfigError(f"{where}: {path}.kind is {quoted(named)}; {known}{more}")
    return build(kinds[named], value, where, path)


def check_range(value: typing.Any, rules: Mapping[str, typing.Any], where: str | os.PathLike, path: str) -> None:
    """The bounds that `document` declared for a field; those of a number hold for each of several."""
    wrong = None
    if value is None:
        return
    several = isinstance(value, (list, tuple))
    if "choices" in rules and value not in rules["choices"]:
        wrong = "one of " + ", ".join(str(item) for item in rules["choices"])
    elif "length" in rules and len(value) != rules["length"]:
        wrong = f"{rules['length']} values"
    else:
        wrong = next((found for number in (value if several else [value]) if (found := bound(number, rules))), None)
        wrong = f"{wrong} in every value" if wrong and several else wrong
    if wrong:
        raise ConfigError(f"{where}: {path} is {quoted(value)} but must be {wrong}")


def bound(value: typing.Any, rules: Mapping[str, typing.Any]) -> str | None:
    """The bound that a number is beyond, or None."""
    if rules.get("positive") and not value > 0:
        return "greater than 0"
    if rules.get("fraction") and not 0 <= value < 1:
        return "in [0, 1)"
    if "minimum" in rules and value < rules["minimum"]:
        return f"at least {rules['minimum']}"
    if "maximum" in rules and value > rules["maximum"]:
        return f"at most {rules['maximum']}"
    return None
