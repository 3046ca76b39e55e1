"""What users chose for all of their jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0022"


def upgrade() -> None:
    op.create_table(
        "orchestrator_job_settings",
        sa.Column("username", sa.Text, primary_key=True),
        sa.Column("toggled", sa.Boolean, nullable=False),
        sa.Column("sample_rate", sa.Text),
    )
