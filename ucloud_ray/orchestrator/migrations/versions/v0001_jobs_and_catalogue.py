"""Jobs with their updates, grants and charges; tools and applications."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _jobs()
    _updates()
    _grants()
    _charges()
    _catalogue()


def _jobs() -> None:
    op.create_table(
        "orchestrator_jobs",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("project", sa.Text),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("product_id", sa.Text, nullable=False),
        sa.Column("product_category", sa.Text, nullable=False),
        sa.Column("application_name", sa.Text, nullable=False),
        sa.Column("application_version", sa.Text, nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("specification", sa.LargeBinary, nullable=False),
        sa.Column("provider_generated_id", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("update_count", sa.Integer, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("time_allocation", sa.BigInteger),
        sa.Column("output_folder", sa.Text),
        sa.Column("allow_restart", sa.Boolean, nullable=False),
        sa.Column("resources", sa.LargeBinary),
        sqlite_autoincrement=True,
    )
    op.create_index("orchestrator_jobs_of_user", "orchestrator_jobs", ["created_by", "id"])
    op.create_index("orchestrator_jobs_of_provider", "orchestrator_jobs", ["provider", "state", "id"])
    op.create_index("orchestrator_jobs_at_provider", "orchestrator_jobs", ["provider", "provider_generated_id"])


def _updates() -> None:
    op.create_table(
        "orchestrator_job_updates",
        _job_id(primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )


def _grants() -> None:
    op.create_table(
        "orchestrator_job_grants",
        _job_id(primary_key=True),
        sa.Column("username", sa.Text, primary_key=True),
        sa.Column("permissions", sa.Text, nullable=False),
    )
    op.create_index("orchestrator_job_grants_of_user", "orchestrator_job_grants", ["username", "job_id"])


def _charges() -> None:
    op.create_table(
        "orchestrator_charges",
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("charge_id", sa.Text, primary_key=True),
        sa.Column("job_id", sa.BigInteger, nullable=False),
        sa.Column("units", sa.BigInteger, nullable=False),
        sa.Column("periods", sa.BigInteger, nullable=False),
        sa.Column("performed_by", sa.Text),
        sa.Column("description", sa.Text),
        sa.Column("charged_at", sa.BigInteger, nullable=False),
    )
    op.create_index("orchestrator_charges_of_job", "orchestrator_charges", ["job_id"])


def _catalogue() -> None:
    op.create_table(
        "orchestrator_tools",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "orchestrator_applications",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("tool_name", sa.Text, nullable=False),
        sa.Column("tool_version", sa.Text, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )


def _job_id(primary_key: bool) -> sa.Column[int]:
    return sa.Column(
        "job_id", sa.BigInteger, sa.ForeignKey("orchestrator_jobs.id", ondelete="CASCADE"), primary_key=primary_key
    )
