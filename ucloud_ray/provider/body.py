"""From the bytes of a request to a validated model.

The body is JSON whatever `Content-Type` says: K sends one, G none, and the documentation's commands a damaged one
(provider-api 1.2). Every refusal says where in the body the mistake is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from ucloud_ray.http_body import read_limited
from ucloud_ray.provider.errors import BodyTooLarge, InvalidBody

T = TypeVar("T")

MAX_DEPTH = 64
"""Objects and lists inside each other. Real jobs have about twelve."""

_INEXACT = 2.0**63
"""orjson makes doubles of whole numbers beyond 64 bits; the slower reader keeps their digits."""

_LONGEST_PATH = 200

_MESSAGES = {
    "missing": "is missing",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "union_tag_not_found": "must have a 'type'",
    "too_long": "has too many elements",
}


# ---------------------------------------------------------------------------------------------------- reading


async def read(request: Request, max_bytes: int, took: Callable[[int], None] = lambda _: None) -> bytes:
    """The whole body. Raises `BodyTooLarge`, and what `took` raises when it hears of bytes that are to be held."""
    body = await read_limited(request, max_bytes, took)
    if body is None:
        raise BodyTooLarge(
            f"The request is larger than the {max_bytes} bytes that this provider reads; send less at once"
        )
    return body


# ---------------------------------------------------------------------------------------------------- parsing


def parse(raw: bytes) -> Any:
    """The JSON value; an empty body counts as `{}`. Raises `InvalidBody`."""
    if not raw or raw.isspace():
        return {}
    value = _decode(orjson.loads, raw)  # refuses lone surrogates (INV-7)
    if _needs_a_closer_look(value):
        value = _decode(_exact, raw)
        _check(value)
    return value


def _decode(loads: Callable[[bytes], Any], raw: bytes) -> Any:
    try:
        return loads(raw)
    # Both readers' own errors are json's; the others are numbers and nestings beyond what they can do.
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError) else "a number or its nesting is too much"
        raise InvalidBody(f"The request is not valid JSON: {reason}") from error


def _needs_a_closer_look(value: Any) -> bool:
    """One quick pass over what nearly every request has nothing of: NUL, great depth, numbers beyond 64 bits."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for outer in level:
            kind = type(outer)
            if kind is dict:
                inner.extend(outer)
                inner.extend(outer.values())
            elif kind is list:
                inner.extend(outer)
            elif (kind is str and "\0" in outer) or (kind is float and abs(outer) >= _INEXACT):
                return True
        if not inner:
            return False
        level = inner
    return True


def _exact(raw: bytes) -> Any:
    return json.loads(raw.decode(), parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise json.JSONDecodeError(f"{name} is not a JSON value", name, 0)


def _check(value: Any) -> None:
    """Refuse what JSON can say but no process, file name or database can hold (INV-7), and bottomless nesting."""
    level: list[tuple[str, Any]] = [("", value)]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for path, outer in level for inner in _inside(path, outer)]
        if not level:
            return
    raise InvalidBody(f"The request is nested deeper than {MAX_DEPTH} levels")


def _inside(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, str):
        _check_text(path, value)
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check_text(path, name)
            yield f"{path}.{name}", inner
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield f"{path}[{index}]", inner


def _check_text(path: str, text: str) -> None:
    if "\0" in text:
        where = path[:_LONGEST_PATH].lstrip(".").replace("\0", "?") or "The request"
        raise InvalidBody(f"{where} contains a NUL, which no program can be given; remove it")


# ------------------------------------------------------------------------------------------------- validating


def validate(adapter: TypeAdapter[T], value: Any) -> T:
    """The model. Raises `InvalidBody` that names the first fields that are wrong."""
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise InvalidBody(_describe(error, value)) from error


def _describe(error: ValidationError, value: Any) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [f"{_path(entry['loc'], value)} {_MESSAGES.get(entry['type'], _sentence(entry['msg']))}" for entry in found]
    more = f" (and {len(lines) - 3} more mistakes)" if len(lines) > 3 else ""
    return "; ".join(lines[:3]) + more


def _sentence(message: str) -> str:
    return message.replace("Input should be", "must be").replace("Value error, ", "")


def _path(location: tuple[int | str, ...], value: Any) -> str:
    """`items[0].specification.replicas`. Pydantic's location also names the variant of a union, which is no field."""
    path = ""
    for index, part in enumerate(location):
        if isinstance(value, list) and isinstance(part, int) and part < len(value):
            path, value = f"{path}[{part}]", value[part]
        elif isinstance(value, dict) and (part in value or index == len(location) - 1):
            path, value = f"{path}.{part}", value.get(part)
    return path.lstrip(".")[:_LONGEST_PATH] or "The request"
