"""docs/faults.md, written by the fault suite: one row for each fault, what was promised and what was seen.

A fault test bears its rows as decorators and fills their last cell by the fixture `seen`:

    @fault("the front end is killed ten times", "no job notices (D1, REC-2)")
    def test_...(seen: Seen) -> None:
        ...
        seen("the front end is killed ten times", "20 jobs, ...")

The hooks are in `conftest.py`. Rows are written at the end of a session with UCLOUD_RAY_WRITE_FAULTS=1 in which every
test that ran passed; rows of tests that did not run stay as they are, rows of tests that are gone are taken out.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/faults.md"
WRITE = "UCLOUD_RAY_WRITE_FAULTS"

HEAD = """# What was broken, and what was seen

Written by `tests/faults` itself, when all of its tests passed: `UCLOUD_RAY_WRITE_FAULTS=1 scripts/test tests/faults`.
A test makes sure that every fault test has its rows here. Kills are by SIGKILL, at random moments.

Unless a row says otherwise, about twenty jobs of all kinds run meanwhile, as processes and in containers: jobs that
end at once, after seconds or when they are told to, by an exit code or by a signal; with several ranks; with
thousands of lines of output; that are cancelled at once, while they run, or while they wait for room; that expire;
that are started again. Each program counts its own starts and numbers its lines. Afterwards one check goes over
everything: each job has one final state and the right reason, each program ran once per rank and life, the log is
whole in the file and through the API, updates came once and in order, and nothing is left on the machine or on its
way.

| Fault | Promised | Seen | Test |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Row:
    fault: str
    promised: str
    seen: str
    test: str
    """`file::function` below `tests/faults`."""

    def line(self) -> str:
        cells = (self.fault, self.promised, self.seen, f"`{self.test}`")
        return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |\n"


def fault(name: str, promised: str) -> pytest.MarkDecorator:
    """`promised` with the numbers of the requirements. Both must be literals: the check of the document reads them."""
    return pytest.mark.fault(name, promised)


class Report:
    """Of one session."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], str] = {}
        """By test and fault."""
        self.rows: list[Row] = []
        self.failed = False

    def done(self, item: pytest.Item, passed: bool) -> None:
        """A fault test is over, its fixtures torn down or not."""
        if not passed:
            self.failed = True
            return
        test = name_of(item.path, item.name)
        for mark in item.iter_markers("fault"):
            if seen := self.seen.get((test, mark.args[0])):
                self.rows.append(Row(mark.args[0], mark.args[1], seen, test))

    def write(self) -> None:
        if self.failed or not self.rows or os.environ.get(WRITE) != "1":
            return
        newest = {(row.test, row.fault): row for row in (*rows_of(DOCUMENT), *self.rows)}
        exist = declared(ROOT / "tests/faults")
        DOCUMENT.write_text(HEAD + "".join(newest[key].line() for key in exist if key in newest))


def name_of(file: Path, test: str) -> str:
    return f"{file.relative_to(ROOT / 'tests/faults')}::{test.partition('[')[0]}"


def rows_of(document: Path) -> Iterator[Row]:
    if not document.exists():
        return
    for line in document.read_text().splitlines():
        if line.startswith("| ") and not line.startswith("| Fault "):
            fault_name, promised, seen, test = (cell.strip() for cell in line.strip("|").split("|"))
            yield Row(fault_name, promised, seen, test.strip("`"))


def declared(folder: Path) -> dict[tuple[str, str], str]:
    """Test and fault of every row that ought to be there, in order of the files, to what is promised."""
    found = {}
    for file in sorted(folder.rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for name, promised in _faults(node):
                    found[name_of(file, node.name), name] = promised
    return found


def _faults(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, str]]:
    for mark in function.decorator_list:
        if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == "fault":
            name, promised = (ast.literal_eval(argument) for argument in mark.args)
            yield name, promised
