"""Drives, and whom their owners share them with."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "orchestrator_drives",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "orchestrator_drive_grants",
        sa.Column("drive_id", sa.Text, primary_key=True),
        sa.Column("username", sa.Text, primary_key=True),
        sa.Column("permissions", sa.Text, nullable=False),
    )
