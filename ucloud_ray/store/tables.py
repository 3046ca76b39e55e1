"""The tables as the newest migration leaves them; a test compares the two.

The statements that use them are SQLAlchemy expressions beside the code that needs them rather than `.sql` files: there
are a dozen, both databases take all of them, and a renamed column is then a type error instead of a surprise.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, MetaData, Table, Text, text

from ucloud_ray.db.columns import SERIAL

metadata = MetaData()

jobs = Table(
    "jobs",
    metadata,
    Column("number", SERIAL, primary_key=True),  # order of acceptance
    Column("uid", Text, nullable=False, unique=True),
    Column("job_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("current", Boolean, nullable=False),  # the one that the Core means by job_id (O3)
    Column("final", Boolean, nullable=False),
    Column("phase", Text, nullable=False),  # this, state and owner: for people who look with SQL
    Column("state", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("record", Text, nullable=False),  # rows.py
    Column("document", Text),
    Column("accepted_at", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    Index("jobs_by_id", "job_id", "created_at"),
    # Numbers must never be used twice, also after the newest row is gone.
    sqlite_autoincrement=True,
)

# Partial: 100,000 ended jobs are not in it.
Index("jobs_active", jobs.c.number, sqlite_where=text("NOT final"), postgresql_where=text("NOT final"))

outbox = Table(
    "outbox",
    metadata,
    Column("seq", SERIAL, primary_key=True),
    Column("uid", Text),
    Column("job_id", Text, nullable=False),
    Column("status_only", Boolean, nullable=False),
    Column("update", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("outbox_by_uid", "uid", "seq"),
    Index("outbox_by_job_id", "job_id"),
    sqlite_autoincrement=True,
)

charges = Table(
    "charges",
    metadata,
    Column("seq", SERIAL, primary_key=True),
    Column("uid", Text, nullable=False),
    Column("job_id", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("project", Text),
    Column("category", Text, nullable=False),
    Column("style", Text, nullable=False),
    Column("charge_id", Text, nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("periods", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("charges_by_id", "charge_id"),
    sqlite_autoincrement=True,
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

machines = Table(
    "machines",
    metadata,
    Column("host", Text, primary_key=True),  # our name of it (D7)
    Column("number", BigInteger, nullable=False, unique=True),  # of its subnet (D14); never given twice
)

drains = Table(
    "drains",
    metadata,
    Column("host", Text, primary_key=True),
    Column("message", Text, nullable=False),  # the operator's, for users (SCH-15)
)

clock = Table(
    "clock",
    metadata,
    Column("boot", Text, primary_key=True),  # one row, of the newest start of the machine (TIME-13)
    Column("steady", BigInteger, nullable=False),
    Column("wall", BigInteger, nullable=False),
)
