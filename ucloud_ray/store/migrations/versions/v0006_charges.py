"""What is to be paid for and was not told to the Core yet."""

import sqlalchemy as sa
from alembic import op

from ucloud_ray.db.columns import SERIAL

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "charges",
        sa.Column("seq", SERIAL, primary_key=True),
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("project", sa.Text),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("style", sa.Text, nullable=False),
        sa.Column("charge_id", sa.Text, nullable=False),
        sa.Column("units", sa.BigInteger, nullable=False),
        sa.Column("periods", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("charges_by_id", "charges", ["charge_id"])
