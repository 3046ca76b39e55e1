"""The table that ends a run of the tests says nothing of the mission document that was not seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.e2e import mission
from tests.support import mission_table

COMMANDS = 25


@dataclass
class Report:
    when: str = "call"
    user_properties: list[tuple[str, Any]] = field(default_factory=list)


def table(*rows: mission_table.Row) -> list[str]:
    reports = [Report(user_properties=[(mission_table.PROPERTY, row.packed())]) for row in rows]
    return list(mission_table.lines(mission_table.rows([Report(), Report("setup"), *reports])))


def test_it_has_all_eleven_examples_and_every_command_of_them() -> None:
    lines = table()
    assert len([line for line in lines if not line.startswith(" ")]) == len(mission.titles()) == 11
    assert len([line for line in lines if line.endswith(mission_table.NOT_RUN)]) == COMMANDS


def test_what_was_compared_is_said_with_what_differs_and_why() -> None:
    lines = table(
        mission_table.row(mission.EXTEND, 2, {}), mission_table.row(mission.EXTEND, 0, {"responses[0].id": "because"})
    )
    at = lines.index(mission.EXTEND)
    assert lines[at + 1].split("/api/jobs ")[1].strip() == "as written, but for"
    assert lines[at + 2].strip() == "responses[0].id: because"
    assert [line.split()[2:] for line in lines[at + 4 : at + 5]] == [["as", "written"]]
    assert len([line for line in lines if line.endswith(mission_table.NOT_RUN)]) == COMMANDS - 2


def test_an_example_without_a_command_says_so() -> None:
    lines = table()
    for title in (mission.FOLLOW, mission.LINK):
        assert lines[lines.index(title) + 1].strip() == "the document shows no command"
