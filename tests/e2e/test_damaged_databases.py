"""A database that is damaged, or of a newer version: one clear line, and the file stays as it was, byte for byte."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import leftovers
from tests.support.stack import NATIVE, Stack, new_stack

PAGE = 4096
HEADERS = 112
"""Of the file and of its first page."""
VERSION_TABLES = {"jobs.db": "store_schema_version", "orchestrator.db": "orchestrator_schema_version"}


def replaced(file: Path) -> None:
    file.write_bytes(b"This was a database once.\n" * 500)


def overwritten(file: Path) -> None:
    """Zeros over the entries of the schema's first page, as after a disk fault. Up to its end: they fill it from there,
    and what lies in between may be free."""
    content = bytearray(file.read_bytes())
    content[HEADERS:PAGE] = bytes(PAGE - HEADERS)
    file.write_bytes(content)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: PAGE * 2 + 100])


def newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(f"UPDATE {VERSION_TABLES[file.name]} SET version_num = '9999'")


DAMAGES: dict[Callable[[Path], None], str] = {
    replaced: "is not a database",
    overwritten: "damaged",
    cut: "damaged",
    newer: "newer version of ucloud-ray",
}
"""How a file is spoiled, and what must be said of it."""


@pytest.fixture
def installation(stack: Stack) -> Iterator[Stack]:
    """Both databases of a real installation in a folder of its own; nothing runs."""
    stack.run(NATIVE)
    copy = new_stack()
    copy.data.mkdir()
    for name in VERSION_TABLES:
        with (
            closing(sqlite3.connect(stack.data / name)) as source,
            closing(sqlite3.connect(copy.data / name)) as target,
        ):
            source.backup(target)
    (copy.data / "config.yaml").write_text(
        f"dataDir: {copy.data}\ncore: {{url: 'http://127.0.0.1:29876'}}\nprovider: {{listen: '127.0.0.1:29877'}}\n"
    )
    yield copy
    leftovers.require_none(copy.data, copy.docker_url)
    leftovers.remove(copy.data, copy.docker_url)


def files(data: Path, name: str) -> dict[str, bytes]:
    """The database and what belongs to it, except the lock."""
    return {path.name: path.read_bytes() for path in data.glob(f"{name}*") if path.suffix != ".lock"}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize(
    ("name", "command"), [("orchestrator.db", ("orchestrator", "serve")), ("jobs.db", ("db", "upgrade"))]
)
def test_a_part_refuses_a_database_that_it_cannot_use(
    installation: Stack, damage: Callable[[Path], None], name: str, command: tuple[str, ...]
) -> None:
    damage(installation.data / name)
    before = files(installation.data, name)
    done = installation.cli(*command, "--config", str(installation.data / "config.yaml"), timeout=30)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert DAMAGES[damage] in last
    assert "Traceback" not in done.stderr
    assert files(installation.data, name) == before


@pytest.mark.parametrize(
    ("name", "part", "damage"), [("jobs.db", "provider", replaced), ("orchestrator.db", "orchestrator", newer)]
)
def test_up_refuses_it_in_one_line_and_leaves_nothing_running(
    installation: Stack, name: str, part: str, damage: Callable[[Path], None]
) -> None:
    damage(installation.data / name)
    before = files(installation.data, name)
    done = installation.cli("up", "--detach", "--port", "0", "--provider-port", "0")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"ucloud-ray: {part} cannot start: ")
    assert str(installation.data / name) in line
    assert DAMAGES[damage] in line
    assert files(installation.data, name) == before
    assert leftovers.processes(installation.data) == []
