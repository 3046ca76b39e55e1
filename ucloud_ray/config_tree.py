"""YAML text and environment variables as one tree of values that know where they were written.

Called by `config` only. Knows nothing of our keys; `config_build` turns a tree into settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

Scalar = str | int | float | bool | None


class ConfigError(Exception):
    """The configuration cannot be used. One line that says where, what, and what to do; no secrets."""


@dataclass(frozen=True, slots=True)
class Value:
    content: Scalar | dict[str, Value] | list[Value]
    where: str
    """`ucloud-ray.yaml, line 7` or `$UCLOUD_RAY__CORE__URL`."""
    folder: Path
    """Relative paths are relative to this: the folder of the file, or the working directory."""
    raw: str = ""
    """A scalar as it was written, so that an id such as 007 keeps its zeros."""


def read_yaml(text: str, name: str, folder: Path) -> Value:
    """Parse one document. Raises `ConfigError` with the line for bad syntax, double keys and foreign tags."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        return _from_node(node, name, folder) if node is not None else Value({}, name, folder)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{name}{line}: not valid YAML ({error.problem or error.context})") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{name}: not valid YAML ({str(error).splitlines()[0]})") from error


PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null"))


def _from_node(node: yaml.Node, name: str, folder: Path) -> Value:
    where = f"{name}, line {node.start_mark.line + 1}"
    if node.tag not in PLAIN_TAGS:
        kind = node.tag.rpartition(":")[2]
        raise ConfigError(f"{where}: only plain values can stand here, not '{kind}'; put text into quotes")
    if isinstance(node, yaml.MappingNode):
        return Value(_pairs(node, name, folder), where, folder)
    if isinstance(node, yaml.SequenceNode):
        return Value([_from_node(child, name, folder) for child in node.value], where, folder)
    loader = yaml.SafeLoader("")
    return Value(loader.construct_object(node), where, folder, raw=str(node.value))


def _pairs(node: yaml.MappingNode, name: str, folder: Path) -> dict[str, Value]:
    pairs: dict[str, Value] = {}
    for key, child in node.value:
        text = str(key.value)
        if text in pairs:
            raise ConfigError(f"{name}, line {key.start_mark.line + 1}: '{text}' stands here twice; remove one")
        pairs[text] = _from_node(child, name, folder)
    return pairs


# ------------------------------------------------------------------------------------------------- environment


PREFIX = "UCLOUD_RAY__"


def overlay_environment(tree: Value, environ: Mapping[str, str], folder: Path) -> Value:
    """Put every `UCLOUD_RAY__A__B` over `a.b` of the tree. A number names an element of a list."""
    for variable in sorted(environ):
        if variable.startswith(PREFIX):
            value = read_yaml(environ[variable], f"${variable}", folder)
            if isinstance(value.content, str | int | float | bool | None):
                value = Value(value.content, f"${variable}", folder, value.raw)
            tree = _put(tree, variable.removeprefix(PREFIX).split("__"), value)
    return tree


def _put(tree: Value, path: list[str], value: Value) -> Value:
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(tree.content, list):
        return _put_element(tree, tree.content, head, rest, value)
    pairs = dict(tree.content) if isinstance(tree.content, dict) else {}
    key = _same_name(head, pairs) or head.lower()
    pairs[key] = _put(pairs.get(key, Value({}, value.where, value.folder)), rest, value)
    return Value(pairs, tree.where, tree.folder)


def _put_element(tree: Value, items: list[Value], head: str, rest: list[str], value: Value) -> Value:
    if not head.isdigit() or int(head) > len(items):
        raise ConfigError(f"{value.where}: '{head}' is no element of a list of {len(items)}; count from 0")
    index = int(head)
    grown = [*items, Value({}, value.where, value.folder)] if index == len(items) else list(items)
    grown[index] = _put(grown[index], rest, value)
    return Value(grown, tree.where, tree.folder)


def _same_name(name: str, known: Iterable[str]) -> str | None:
    """Environment variables carry no case: `PUBLIC_KEY_FILE` and `PUBLICKEYFILE` both mean `publicKeyFile`."""
    return next((key for key in known if plain_name(key) == plain_name(name)), None)


def plain_name(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
