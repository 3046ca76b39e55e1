"""Machines that take no new replicas."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "drains",
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("message", sa.Text, nullable=False),
    )
