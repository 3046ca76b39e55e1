"""Compares two JSON values field by field and names the fields that differ. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

MISSING = "(missing)"


def differences(sample: Any, real: Any, path: str = "") -> Iterator[str]:
    """Paths such as `items[0].name`: what differs, what only one of them has."""
    if isinstance(sample, dict) and isinstance(real, dict):
        for name in sample.keys() | real.keys():
            inner = f"{path}.{name}".lstrip(".")
            yield from differences(sample.get(name, MISSING), real.get(name, MISSING), inner)
    elif isinstance(sample, list) and isinstance(real, list):
        for index in range(max(len(sample), len(real))):
            yield from differences(_at(sample, index), _at(real, index), f"{path}[{index}]")
    elif sample != real or type(sample) is not type(real):
        yield path


def _at(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else MISSING
