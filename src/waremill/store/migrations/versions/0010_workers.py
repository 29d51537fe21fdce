"""Workers of a run on a cluster; the token of the last group commit, of theirs and of a run's."""

import sqlalchemy as sa
from alembic import op

from waremill.store.tables import Id

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the table, and the run's column."""
    op.create_table(
        "workers",
        sa.Column("id", Id, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("lost", sa.Boolean(), nullable=False),
        sa.Column("heartbeat", sa.Float(), nullable=False),
        sa.Column("progress", sa.Text()),
        sa.Column("committed", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_index("ix_workers_run_id", "workers", ["run_id"])
    op.add_column("runs", sa.Column("committed", sa.BigInteger()))
