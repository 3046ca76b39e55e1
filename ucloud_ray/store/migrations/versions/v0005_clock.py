"""What jobs' times are counted from."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "clock",
        sa.Column("boot", sa.Text, primary_key=True),
        sa.Column("steady", sa.BigInteger, nullable=False),
        sa.Column("wall", sa.BigInteger, nullable=False),
    )
