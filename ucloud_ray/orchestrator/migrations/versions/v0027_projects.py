"""Projects, who is in them, and their groups."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    op.create_table(
        "orchestrator_projects",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("modified_at", sa.BigInteger, nullable=False),
        sa.Column("archived", sa.Boolean, nullable=False),
    )
    op.create_table(
        "orchestrator_members",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("username", sa.Text, primary_key=True),
        sa.Column("role", sa.Text),
    )
    op.create_table(
        "orchestrator_groups",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "orchestrator_group_members",
        sa.Column("group_id", sa.Text, primary_key=True),
        sa.Column("username", sa.Text, primary_key=True),
    )
    op.create_index("orchestrator_jobs_of_project", "orchestrator_jobs", ["project", "id"])
