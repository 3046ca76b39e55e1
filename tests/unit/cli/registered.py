"""Which commands there are, as typer has them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import typer

from ucloud_ray.cli import main

SHARED = frozenset({"--json", "--host", "--token", "--project", "--data", "--config", "--help", "-h"})
"""Told once, for all commands."""


@cache
def registered() -> tuple[tuple[str, ...], ...]:
    return tuple(words for words, _ in _commands(typer.main.get_command(main.app), ()))


def own_options(command: tuple[str, ...]) -> list[str]:
    """The long names of what only some commands have."""
    found = dict(_commands(typer.main.get_command(main.app), ()))[command]
    names = [name for parameter in found.params for name in parameter.opts if name.startswith("--")]
    return [name for name in names if name not in SHARED]


def _commands(group: Any, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        words = (*above, name)
        if not hasattr(command, "commands"):
            yield words, command
            continue
        if command.invoke_without_command:
            yield words, command
        yield from _commands(command, words)
