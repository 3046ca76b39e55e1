"""Prints for people or for programs: tables and colours on a terminal, plain columns in a pipe, JSON when asked.

Results go to standard output; what is said about the work goes to standard error, so that a pipe gets the data only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import typer

STATE_COLOURS = {
    "IN_QUEUE": typer.colors.YELLOW,
    "RUNNING": typer.colors.BLUE,
    "SUCCESS": typer.colors.GREEN,
    "FAILURE": typer.colors.RED,
    "EXPIRED": typer.colors.RED,
    "CANCELING": typer.colors.MAGENTA,
    "SUSPENDED": typer.colors.MAGENTA,
}


def show_json(data: Any) -> None:
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """Aligned columns without a frame, so that they can be cut and searched. `empty` is said when there is no row."""
    if not rows:
        say(empty)
        return
    cells = [[str(cell) if cell is not None else "-" for cell in row] for row in [columns, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(columns))]
    for number, row in enumerate(cells):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        typer.echo(typer.style(line, bold=True) if number == 0 else _coloured(line, row))


def _coloured(line: str, row: Sequence[str]) -> str:
    for cell in row:
        if cell in STATE_COLOURS:
            return line.replace(cell, state_text(cell), 1)
    return line


def show_pairs(pairs: Sequence[tuple[str, object]]) -> None:
    """One `name: value` a line; what is None is left out."""
    given = [(name, value) for name, value in pairs if value is not None]
    width = max((len(name) for name, _ in given), default=0)
    for name, value in given:
        typer.echo(f"{typer.style((name + ':').ljust(width + 1), bold=True)} {value}")


def state_text(state: str) -> str:
    return typer.style(state, fg=STATE_COLOURS.get(state))


def say(text: str) -> None:
    """About the work, for people."""
    typer.echo(text, err=True)
