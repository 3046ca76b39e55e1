"""Labels and backends of jobs, to filter by."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("orchestrator_jobs", sa.Column("backend", sa.Text))
    op.create_table(
        "orchestrator_job_labels",
        sa.Column("job_id", sa.BigInteger, sa.ForeignKey("orchestrator_jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_index("orchestrator_job_labels_by_name", "orchestrator_job_labels", ["name", "value", "job_id"])
