"""A tree of values to settings dataclasses, and back. Called by `config` only.

Keys are the camelCase of the field names. What the tree does not mention keeps the value of the base that is given.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ucloud_ray.config_tree import ConfigError, Value, plain_name

T = TypeVar("T")


def build_over(base: T, value: Value, name: str = "the configuration") -> T:
    """`base` with everything that `value` says. Raises `ConfigError`."""
    given = _fields(type(base), value, name, base)
    return typing.cast("T", dataclasses.replace(typing.cast("Any", base), **given))


def _fields(kind: type, value: Value, name: str, base: object | None) -> dict[str, Any]:
    if value.content is None:
        return {}
    if not isinstance(value.content, dict):
        raise ConfigError(f"{value.where}: {name} must be a mapping of keys to values")
    hints = typing.get_type_hints(kind)
    keys = {camel(field.name): field.name for field in dataclasses.fields(typing.cast("Any", kind))}
    given: dict[str, Any] = {}
    for key, child in value.content.items():
        field = keys.get(_known(key, keys, child.where, name))
        assert field is not None
        given[field] = _convert(hints[field], child, f"'{key}'", getattr(base, field, None))
    return given


def _known(key: str, keys: Mapping[str, str], where: str, name: str) -> str:
    if key in keys:
        return key
    if where.startswith("$"):
        same = [known for known in keys if plain_name(known) == plain_name(key)]
        if same:
            return same[0]
    near = difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(keys)}"
    raise ConfigError(f"{where}: unknown key '{key}' in {name}; {hint}")


def _convert(wanted: Any, value: Value, name: str, base: object | None) -> Any:
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        return _optional(arguments, value, name, base)
    if origin is tuple:
        return tuple(_convert(arguments[0], child, name, None) for child in _list(value, name))
    if origin is not None and issubclass_safe(origin, Mapping):
        return {key: _convert(arguments[1], child, name, None) for key, child in _dict(value, name).items()}
    if origin is typing.Literal:
        return _choice(arguments, value, name)
    if dataclasses.is_dataclass(wanted):
        return _dataclass(typing.cast("type", wanted), value, name, base)
    return _scalar(wanted, value, name)


def _optional(arguments: tuple[Any, ...], value: Value, name: str, base: object | None) -> Any:
    if value.content is None:
        return None
    return _convert(next(kind for kind in arguments if kind is not type(None)), value, name, base)


def _dataclass(kind: type, value: Value, name: str, base: object | None) -> Any:
    if base is not None:
        return build_over(base, value, name)
    given = _fields(kind, value, name, None)
    for field in dataclasses.fields(typing.cast("Any", kind)):
        mandatory = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if mandatory and field.name not in given:
            raise ConfigError(f"{value.where}: an entry of {name} needs '{camel(field.name)}'; add it")
    return kind(**given)


def _list(value: Value, name: str) -> list[Value]:
    if not isinstance(value.content, list):
        raise ConfigError(f"{value.where}: {name} must be a list; start each entry with '- '")
    return value.content


def _dict(value: Value, name: str) -> dict[str, Value]:
    if not isinstance(value.content, dict):
        raise ConfigError(f"{value.where}: {name} must be a mapping of names to values")
    return value.content


def _choice(arguments: tuple[Any, ...], value: Value, name: str) -> str:
    if value.raw not in arguments:
        raise ConfigError(f"{value.where}: {name} must be one of {', '.join(arguments)}, not '{value.raw}'")
    return value.raw


def _scalar(wanted: Any, value: Value, name: str) -> Any:
    content = value.content
    if wanted is bool and isinstance(content, bool):
        return content
    if wanted is int and isinstance(content, int) and not isinstance(content, bool):
        return content
    if wanted is float and isinstance(content, int | float) and not isinstance(content, bool):
        return float(content)
    if wanted is str and not isinstance(content, dict | list) and content is not None:
        return value.raw
    if wanted is Path and value.raw:
        return value.folder / Path(value.raw).expanduser()
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}
    raise ConfigError(f"{value.where}: {name} must be {words[wanted]}")


def issubclass_safe(kind: object, parent: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, parent)


# -------------------------------------------------------------------------------------------------------- back


def to_plain(value: Any) -> Any:
    """Settings as what YAML can write: camelCase keys, paths as text, what is None left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {camel(name): to_plain(item) for name, item in pairs.items() if item is not None}
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
