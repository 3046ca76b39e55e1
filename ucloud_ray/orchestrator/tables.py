"""Tables of the orchestrator. The migrations beside it make them; a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

from ucloud_ray.db.columns import SERIAL

metadata = MetaData()

jobs = Table(
    "orchestrator_jobs",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("project", Text),
    Column("accepted", Boolean, nullable=False),
    Column("provider", Text, nullable=False),
    Column("product_id", Text, nullable=False),
    Column("product_category", Text, nullable=False),
    Column("application_name", Text, nullable=False),
    Column("application_version", Text, nullable=False),
    Column("title", Text),
    Column("backend", Text),  # null: of a version that had no machines
    Column("specification", LargeBinary, nullable=False),
    Column("provider_generated_id", Text),
    Column("state", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("update_count", Integer, nullable=False),
    Column("started_at", BigInteger),
    Column("time_allocation", BigInteger),
    Column("output_folder", Text),
    Column("allow_restart", Boolean, nullable=False),
    Column("resources", LargeBinary),
    Column("restart_on_exit", Boolean, nullable=False),
    Column("restart_at", BigInteger),  # while the job waits for its next start
    Column("restart_ordered", Boolean, nullable=False),
    Column("soon_ends", Integer, nullable=False),
    Index("orchestrator_jobs_of_user", "created_by", "id"),
    Index("orchestrator_jobs_of_project", "project", "id"),
    Index("orchestrator_jobs_of_provider", "provider", "state", "id"),
    Index("orchestrator_jobs_at_provider", "provider", "provider_generated_id"),
    Index(
        "orchestrator_jobs_to_restart",
        "restart_at",
        sqlite_where=text("restart_at IS NOT NULL"),
        postgresql_where=text("restart_at IS NOT NULL"),
    ),
    # Ids are never given twice, not even those of refused jobs: the provider may have heard of them (O3).
    sqlite_autoincrement=True,
)

updates = Table(
    "orchestrator_job_updates",
    metadata,
    Column("job_id", BigInteger, ForeignKey("orchestrator_jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("document", LargeBinary, nullable=False),
)

grants = Table(
    "orchestrator_job_grants",
    metadata,
    Column("job_id", BigInteger, ForeignKey("orchestrator_jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("username", Text, primary_key=True),
    Column("permissions", Text, nullable=False),  # words with blanks between them
    Index("orchestrator_job_grants_of_user", "username", "job_id"),
)

users = Table(
    "orchestrator_users",
    metadata,
    Column("username", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("password_hash", Text),  # null: cannot log in with one
    Column("created_at", BigInteger, nullable=False),
    Column("removed_at", BigInteger),
)

logins = Table(
    "orchestrator_logins",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Index("orchestrator_logins_of_user", "username"),
)

projects = Table(
    "orchestrator_projects",
    metadata,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("modified_at", BigInteger, nullable=False),
    Column("archived", Boolean, nullable=False),
)

members = Table(
    "orchestrator_members",
    metadata,
    Column("project", Text, primary_key=True),
    Column("username", Text, primary_key=True),
    Column("role", Text),  # null: invited
)

groups = Table(
    "orchestrator_groups",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

group_members = Table(
    "orchestrator_group_members",
    metadata,
    Column("group_id", Text, primary_key=True),
    Column("username", Text, primary_key=True),
)

job_settings = Table(
    "orchestrator_job_settings",
    metadata,
    Column("username", Text, primary_key=True),
    Column("toggled", Boolean, nullable=False),
    Column("sample_rate", Text),
)

labels = Table(
    "orchestrator_job_labels",
    metadata,
    # To filter by; they are shown from the job's specification.
    Column("job_id", BigInteger, ForeignKey("orchestrator_jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Index("orchestrator_job_labels_by_name", "name", "value", "job_id"),
)

charges = Table(
    "orchestrator_charges",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("charge_id", Text, primary_key=True),
    Column("job_id", BigInteger, nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("periods", BigInteger, nullable=False),
    Column("performed_by", Text),
    Column("description", Text),
    Column("charged_at", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),  # what was taken
    Column("short", Boolean, nullable=False),  # it was less than the charge
    Index("orchestrator_charges_of_job", "job_id"),
)

wallets = Table(
    "orchestrator_wallets",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("owner_type", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("locked", Boolean, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("orchestrator_wallets_of_owner", "owner_type", "owner", "provider", "category", unique=True),
    Index("orchestrator_wallets_of_provider", "provider", "updated_at"),
)

allocations = Table(
    "orchestrator_allocations",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("wallet_id", BigInteger, ForeignKey("orchestrator_wallets.id"), nullable=False),
    Column("initial_balance", BigInteger, nullable=False),
    Column("balance", BigInteger, nullable=False),
    Column("start_date", BigInteger, nullable=False),
    Column("end_date", BigInteger),
    Column("granted_by", Text),  # an administrator; null: the initial grant
    Index("orchestrator_allocations_of_wallet", "wallet_id"),
)

wallet_entries = Table(
    "orchestrator_wallet_entries",
    metadata,
    Column("allocation_id", BigInteger, ForeignKey("orchestrator_allocations.id"), primary_key=True),
    Column("kind", Text, primary_key=True),  # `charge` or `usage`
    Column("reference", Text, primary_key=True),  # id of the charge, scope of the usage
    Column("amount", BigInteger, nullable=False),
)

usages = Table(
    "orchestrator_usages",
    metadata,
    Column("wallet_id", BigInteger, ForeignKey("orchestrator_wallets.id"), primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("usage", BigInteger, nullable=False),
    Column("reported_at", BigInteger, nullable=False),
)

drives = Table(
    "orchestrator_drives",
    metadata,
    Column("id", Text, primary_key=True),  # the operator's
    Column("created_at", BigInteger, nullable=False),
)

drive_grants = Table(
    "orchestrator_drive_grants",
    metadata,
    # Not bound to `drives`: one that leaves the configuration and comes back is shared as before.
    Column("drive_id", Text, primary_key=True),
    Column("username", Text, primary_key=True),
    Column("permissions", Text, nullable=False),  # words with blanks between them
)

tools = Table(
    "orchestrator_tools",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("document", LargeBinary, nullable=False),
)

applications = Table(
    "orchestrator_applications",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("tool_name", Text, nullable=False),
    Column("tool_version", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
)
