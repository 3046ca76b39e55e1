"""Shared by all tests; as little as possible. Helpers live in `tests/support` and are imported."""

from __future__ import annotations

import pytest

from tests.support import mission_table


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The examples of the mission document, if any was followed in this run."""
    rows = mission_table.rows(terminalreporter.getreports("passed"))
    if rows:
        terminalreporter.section("the mission document's examples")
        for line in mission_table.lines(rows):
            terminalreporter.write_line(line)
