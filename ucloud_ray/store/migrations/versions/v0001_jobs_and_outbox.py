"""Jobs, the outbox and secrets."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _jobs()
    _outbox()
    op.create_table(
        "secrets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("number", SERIAL, primary_key=True),
        sa.Column("uid", sa.Text, nullable=False, unique=True),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("current", sa.Boolean, nullable=False),
        sa.Column("final", sa.Boolean, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("document", sa.Text),
        sa.Column("accepted_at", sa.BigInteger),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    active = sa.text("NOT final")
    op.create_index("jobs_active", "jobs", ["number"], sqlite_where=active, postgresql_where=active)
    op.create_index("jobs_by_id", "jobs", ["job_id", "created_at"])


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("seq", SERIAL, primary_key=True),
        sa.Column("uid", sa.Text),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("status_only", sa.Boolean, nullable=False),
        sa.Column("update", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("outbox_by_uid", "outbox", ["uid", "seq"])
    op.create_index("outbox_by_job_id", "outbox", ["job_id"])
