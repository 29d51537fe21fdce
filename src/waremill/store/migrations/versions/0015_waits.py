"""How long calls waited for a rate limit, as sums by run and model."""

import sqlalchemy as sa
from alembic import op

from waremill.store.tables import Id

revision = "0015"
down_revision = "0013"


def upgrade() -> None:
    """Add the table; of earlier calls it was not measured."""
    op.create_table(
        "waits",
        sa.Column("run_id", Id, autoincrement=False, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "model", "bucket", name=op.f("pk_waits")),
        sqlite_with_rowid=False,
    )
