"""The table of the mission document's examples that ends a run of the tests: each command, and how its answer compares
with the document's. Rows travel in the tests' reports, so they arrive from whatever process ran the test.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.e2e import mission

PROPERTY = "mission"
AS_WRITTEN, NOT_RUN = "as written", "NOT COMPARED in this run"


@dataclass(frozen=True)
class Row:
    example: str
    number: int
    """Of the command in its example, from 0."""
    call: str
    but: tuple[tuple[str, str], ...]
    """Fields in which the answer cannot be the document's, and why."""

    def packed(self) -> list[Any]:
        """As a report carries it between processes."""
        return [self.example, self.number, self.call, [list(pair) for pair in self.but]]

    @staticmethod
    def unpacked(packed: list[Any]) -> Row:
        example, number, call, but = packed
        return Row(example, number, call, tuple((field, why) for field, why in but))


def row(example: str, number: int, but: Mapping[str, str]) -> Row:
    step = mission.steps(example)[number]
    return Row(example, number, mission.call(step.command), tuple(sorted(but.items())))


def rows(reports: Iterable[Any]) -> list[Row]:
    """Of everything that passed."""
    carried = (report.user_properties for report in reports if report.when == "call")
    return [Row.unpacked(value) for properties in carried for name, value in properties if name == PROPERTY]


def lines(found: Iterable[Row]) -> Iterator[str]:
    """One per command of the document, also of those that no test ran; below it, what differs and why."""
    known = {(each.example, each.number): each for each in found}
    for example in mission.titles():
        yield example
        commands = mission.commands(example)
        if not commands:
            yield "    the document shows no command"
        for number, command in enumerate(commands):
            yield from _lines(command, known.get((example, number)))


def _lines(command: str, found: Row | None) -> Iterator[str]:
    but = found.but if found else ()
    verdict = NOT_RUN if found is None else f"{AS_WRITTEN}, but for" if but else AS_WRITTEN
    yield f"    {mission.call(command):<58} {verdict}"
    for field, why in but:
        yield f"        {field}: {why}"
