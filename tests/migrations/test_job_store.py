"""However a schema came about, it is the same one; what cannot be opened is refused and left as it is."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, create_engine, inspect, text

from tests.contract.store.jobs import a_job
from tests.support.postgres import Server
from ucloud_ray.control.ports import Change
from ucloud_ray.db.engines import writer_engine
from ucloud_ray.db.migrate import Schema
from ucloud_ray.db.urls import parse_url
from ucloud_ray.store import open_store
from ucloud_ray.store.errors import StoreDamaged, StoreMisconfigured, StoreTooNew
from ucloud_ray.store.open import MIGRATIONS
from ucloud_ray.store.tables import metadata

SCHEMA = Schema(MIGRATIONS)
VERSION_TABLE = "store_schema_version"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'migrated.db'}"
    server: Server = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.mark.parametrize("first", SCHEMA.revisions)
def test_a_schema_migrated_from_any_revision_equals_a_fresh_one(empty_url: str, first: str) -> None:
    engine = writer_engine(parse_url(empty_url))
    for revision in (first, "head"):
        with engine.begin() as connection:
            SCHEMA.upgrade(connection, revision)
    with engine.begin() as connection:
        assert compare_metadata(_context(connection), metadata) == []
        migrated = _description(connection)
        metadata.drop_all(connection)
        metadata.create_all(connection)
        assert migrated == _description(connection)
    engine.dispose()


def test_the_newest_revision_is_the_only_head() -> None:
    assert SCHEMA.revisions == sorted(SCHEMA.revisions)


async def test_opening_twice_changes_no_schema(empty_url: str) -> None:
    job = a_job()
    for _ in range(2):
        store = await open_store(empty_url)
        await store.commit([Change(job)])
        await store.close()
    engine = create_engine(parse_url(empty_url))
    with engine.begin() as connection:
        assert SCHEMA.found(connection) == SCHEMA.revisions[-1]
        assert connection.execute(text("SELECT count(*) FROM jobs")).scalar() == 1
    engine.dispose()


async def test_a_newer_schema_is_refused_with_what_to_do(empty_url: str) -> None:
    await (await open_store(empty_url)).close()
    engine = create_engine(parse_url(empty_url))
    _set_revision(engine, "9999")
    with pytest.raises(StoreTooNew, match=r"9999.*Upgrade ucloud-ray"):
        await open_store(empty_url)
    with engine.begin() as connection:
        assert SCHEMA.found(connection) == "9999"
    engine.dispose()


async def test_a_newer_file_is_left_byte_for_byte(tmp_path: Path) -> None:
    path = await _store_with_a_job(tmp_path)
    _set_revision(create_engine(f"sqlite:///{path}"), "9999")
    before = _bytes_of(tmp_path)
    with pytest.raises(StoreTooNew):
        await open_store(f"sqlite:///{path}")
    assert _bytes_of(tmp_path) == before


async def test_a_newer_file_whose_writer_crashed_is_left_byte_for_byte(tmp_path: Path) -> None:
    """What a crashed writer left in the -wal file is read too, and not folded into the file."""
    path = await _store_with_a_job(tmp_path)
    crashed = sqlite3.connect(path)
    crashed.execute("PRAGMA journal_mode = WAL")
    crashed.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    crashed.commit()
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("jobs.db", "jobs.db-wal"):
        (copy / name).write_bytes((tmp_path / name).read_bytes())
    crashed.close()
    before = _bytes_of(copy)
    with pytest.raises(StoreTooNew):
        await open_store(f"sqlite:///{copy / 'jobs.db'}")
    assert _bytes_of(copy) == before


@pytest.mark.parametrize("offset", [0, 100, 4096 * 3])
async def test_a_damaged_file_is_refused_and_left_byte_for_byte(tmp_path: Path, offset: int) -> None:
    """Damage in the header, in the schema page and in a page of data."""
    path = await _store_with_a_job(tmp_path)
    content = bytearray(path.read_bytes())
    content[offset : offset + 64] = b"\xa5" * 64
    path.write_bytes(content)
    before = _bytes_of(tmp_path)
    with pytest.raises(StoreDamaged, match="backup"):
        await open_store(f"sqlite:///{path}")
    assert _bytes_of(tmp_path) == before


@pytest.mark.parametrize("content", [b"this is a text, not a database\n" * 300, b"\0" * 8192, b"x"])
async def test_what_is_no_database_is_refused_and_left_byte_for_byte(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "jobs.db"
    path.write_bytes(content)
    with pytest.raises(StoreDamaged):
        await open_store(f"sqlite:///{path}")
    assert path.read_bytes() == content


async def test_half_a_file_is_refused_and_left_byte_for_byte(tmp_path: Path) -> None:
    path = await _store_with_a_job(tmp_path)
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(half)
    with pytest.raises(StoreDamaged):
        await open_store(f"sqlite:///{path}")
    assert path.read_bytes() == half


async def test_a_database_of_another_program_is_refused_and_left_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE cookies (name TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreMisconfigured, match="another program"):
        await open_store(f"sqlite:///{path}")
    assert path.read_bytes() == before


async def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    path.touch()
    store = await open_store(f"sqlite:///{path}")
    assert await store.active_jobs() == []
    await store.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://u:hidden@h/d", "not a url", ""])
async def test_a_url_that_cannot_hold_jobs_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(StoreMisconfigured, match="sqlite:///") as refusal:
        await open_store(url)
    assert "hidden" not in str(refusal.value)


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreMisconfigured, match="cannot be made"):
        await open_store(f"sqlite:///{tmp_path / 'file' / 'folder' / 'jobs.db'}")


async def _store_with_a_job(folder: Path) -> Path:
    path = folder / "jobs.db"
    store = await open_store(f"sqlite:///{path}")
    await store.commit([Change(a_job())])
    await store.close()
    return path


def _set_revision(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = :revision"), {"revision": revision})
    engine.dispose()


def _bytes_of(folder: Path) -> dict[str, str]:
    """Digest of every file except the lock and SQLite's shared memory, which hold no data."""
    files = (path for path in folder.iterdir() if path.is_file() and path.suffix not in (".lock", ".db-shm"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _context(connection: Connection) -> MigrationContext:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})


def _description(connection: Connection) -> dict[str, object]:
    """Tables, columns, keys and indexes as the database itself tells them."""
    seen = inspect(connection)
    return {
        table: [
            [{**column, "type": str(column["type"])} for column in seen.get_columns(table)],
            seen.get_pk_constraint(table)["constrained_columns"],
            sorted(unique["column_names"] for unique in seen.get_unique_constraints(table)),
            sorted(
                (str(index["name"]), index["column_names"], index["unique"], _as_text(index.get("dialect_options", {})))
                for index in seen.get_indexes(table)
            ),
        ]
        for table in metadata.tables
    }


def _as_text(options: Mapping[str, object]) -> str:
    return str({name: str(value) for name, value in options.items()})
