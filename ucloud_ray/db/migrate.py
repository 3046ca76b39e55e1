"""Schema versions with Alembic, driven by code: no ini file, nothing to run by hand.

A schema is a package with a folder `versions`. Its version table is named after the package's parent, so two schemas
can live in one PostgreSQL database.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select

from ucloud_ray.db.errors import StoreMisconfigured, StoreTooNew


class Schema:
    """The migrations of one package, for example `ucloud_ray.store.migrations`."""

    def __init__(self, package: str) -> None:
        folder = Path(str(import_module(package).__file__)).parent
        self.version_table = package.split(".")[-2] + "_schema_version"
        self._config = Config()
        self._config.set_main_option("path_separator", "newline")
        self._config.set_main_option("script_location", str(Path(__file__).parent / "alembic_env"))
        self._config.set_main_option("version_locations", str(folder / "versions").replace("%", "%%"))
        self._scripts = ScriptDirectory.from_config(self._config)

    @property
    def revisions(self) -> list[str]:
        """Oldest first."""
        return [script.revision for script in self._scripts.walk_revisions()][::-1]

    def found(self, connection: Connection) -> str | None:
        """The revision that is there; None for an empty database."""
        if not inspect(connection).has_table(self.version_table):
            return None
        table = Table(self.version_table, MetaData(), Column("version_num", String))
        revision: str | None = connection.execute(select(table.c.version_num)).scalar()
        return revision

    def check(self, connection: Connection, where: str) -> None:
        """Raise `StoreTooNew`, or `StoreMisconfigured` for a SQLite file of another program. Changes nothing."""
        revision = self.found(connection)
        if revision is None:
            self._check_empty(connection, where)
        elif revision not in self.revisions:
            raise StoreTooNew(
                f"{where} was written by a newer version of ucloud-ray (schema {revision}; "
                f"this one knows up to {self.revisions[-1]}). Upgrade ucloud-ray, or restore a backup of before."
            )

    def upgrade(self, connection: Connection, revision: str = "head") -> None:
        """Bring the schema to `revision` inside the transaction of the caller."""
        self._config.attributes.update(connection=connection, version_table=self.version_table)
        command.upgrade(self._config, revision)

    def _check_empty(self, connection: Connection, where: str) -> None:
        # A PostgreSQL database may be shared with others; a file is one program's own.
        tables = inspect(connection).get_table_names()
        if tables and connection.dialect.name == "sqlite":
            raise StoreMisconfigured(
                f"{where} belongs to another program (it has the table {tables[0]!r}). Name another file."
            )
