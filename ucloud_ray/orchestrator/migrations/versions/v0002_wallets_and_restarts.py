"""Wallets with their allocations, entries and usage; what a charge took; jobs that are started again."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
FINAL = ("SUCCESS", "FAILURE", "EXPIRED")


def upgrade() -> None:
    _wallets()
    _entries()
    # What was charged before there were wallets was taken from none.
    op.add_column("orchestrator_charges", sa.Column("amount", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("orchestrator_charges", sa.Column("short", sa.Boolean, nullable=False, server_default=sa.false()))
    _restarts()


def _wallets() -> None:
    op.create_table(
        "orchestrator_wallets",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("owner_type", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("locked", sa.Boolean, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    key = ["owner_type", "owner", "provider", "category"]
    op.create_index("orchestrator_wallets_of_owner", "orchestrator_wallets", key, unique=True)
    op.create_index("orchestrator_wallets_of_provider", "orchestrator_wallets", ["provider", "updated_at"])
    op.create_table(
        "orchestrator_allocations",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("wallet_id", sa.BigInteger, sa.ForeignKey("orchestrator_wallets.id"), nullable=False),
        sa.Column("initial_balance", sa.BigInteger, nullable=False),
        sa.Column("balance", sa.BigInteger, nullable=False),
        sa.Column("start_date", sa.BigInteger, nullable=False),
        sa.Column("end_date", sa.BigInteger),
        sa.Column("granted_by", sa.Text),
    )
    op.create_index("orchestrator_allocations_of_wallet", "orchestrator_allocations", ["wallet_id"])


def _entries() -> None:
    op.create_table(
        "orchestrator_wallet_entries",
        sa.Column("allocation_id", sa.BigInteger, sa.ForeignKey("orchestrator_allocations.id"), primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("reference", sa.Text, primary_key=True),
        sa.Column("amount", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "orchestrator_usages",
        sa.Column("wallet_id", sa.BigInteger, sa.ForeignKey("orchestrator_wallets.id"), primary_key=True),
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("usage", sa.BigInteger, nullable=False),
        sa.Column("reported_at", sa.BigInteger, nullable=False),
    )


def _restarts() -> None:
    for flag in ("restart_on_exit", "restart_ordered"):
        op.add_column("orchestrator_jobs", sa.Column(flag, sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("orchestrator_jobs", sa.Column("restart_at", sa.BigInteger))
    op.add_column("orchestrator_jobs", sa.Column("soon_ends", sa.Integer, nullable=False, server_default="0"))
    waiting = sa.text("restart_at IS NOT NULL")
    op.create_index(
        "orchestrator_jobs_to_restart",
        "orchestrator_jobs",
        ["restart_at"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    _remember_wishes()


def _remember_wishes() -> None:
    """Jobs that live now are started again, too, if they were created with that wish."""
    jobs = sa.table(
        "orchestrator_jobs",
        sa.column("id", sa.BigInteger),
        sa.column("state", sa.Text),
        sa.column("specification", sa.LargeBinary),
        sa.column("restart_on_exit", sa.Boolean),
    )
    live = sa.select(jobs.c.id, jobs.c.specification).where(jobs.c.state.not_in(FINAL))
    for row in op.get_bind().execute(live).all():
        if json.loads(row.specification).get("restartOnExit"):
            op.execute(sa.update(jobs).where(jobs.c.id == row.id).values(restart_on_exit=True))
