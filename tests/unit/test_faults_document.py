"""docs/faults.md has a row for every fault test, none without a test, and no empty cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.report import DOCUMENT, HEAD, Report, Row, declared, name_of, rows_of


def test_every_fault_test_has_its_rows_and_every_row_its_test() -> None:
    rows = {(row.test, row.fault): row.promised for row in rows_of(DOCUMENT)}
    assert rows == declared(DOCUMENT.parents[1] / "tests/faults")


def test_no_cell_is_empty() -> None:
    rows = list(rows_of(DOCUMENT))
    assert rows
    assert [row for row in rows if not all((row.fault, row.promised, row.seen, row.test))] == []


def test_a_row_is_read_as_it_was_written(tmp_path: Path) -> None:
    row = Row("Ray is killed", "no job notices (D1)", "20 jobs", "test_one.py::test_it")
    document = tmp_path / "faults.md"
    document.write_text(HEAD + row.line())
    assert list(rows_of(document)) == [row]


def test_rows_are_found_in_the_tests(tmp_path: Path) -> None:
    folder = DOCUMENT.parents[1] / "tests/faults"
    found = declared(folder)
    assert all(test.startswith(("test_", "cluster/test_")) and "::test_" in test for test, _ in found)
    assert name_of(folder / "cluster/test_a.py", "test_b[native]") == "cluster/test_a.py::test_b"


def test_a_session_with_a_failure_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UCLOUD_RAY_WRITE_FAULTS", "1")
    before = DOCUMENT.read_text()
    report = Report()
    report.rows.append(Row("a", "b", "c", "test_d.py::test_e"))
    report.failed = True
    report.write()
    assert DOCUMENT.read_text() == before
