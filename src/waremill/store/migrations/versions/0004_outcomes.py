"""The ledger's sums by how calls ended."""

import sqlalchemy as sa
from alembic import op

from waremill.store.tables import Id

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the table, and fill it from the calls that are there."""
    op.create_table(
        "outcomes",
        sa.Column("run_id", Id, autoincrement=False, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("priced", sa.Integer(), nullable=False),
        sa.Column("charged", sa.Integer(), nullable=False),
        sa.Column("input", sa.BigInteger(), nullable=False),
        sa.Column("cached", sa.BigInteger(), nullable=False),
        sa.Column("output", sa.BigInteger(), nullable=False),
        sa.Column("reasoning", sa.BigInteger(), nullable=False),
        sa.Column("paid", sa.BigInteger(), nullable=False),
        sa.Column("list_cost", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "model", "outcome", name=op.f("pk_outcomes")),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO outcomes (run_id, model, outcome, calls, priced, charged, input, cached, "
        "output, reasoning, paid, list_cost, seconds) "
        "SELECT run_id, model, outcome, count(*), count(list_cost), count(paid), sum(input), "
        "sum(cached), sum(output), sum(reasoning), coalesce(sum(paid), 0), "
        "coalesce(sum(list_cost), 0), sum(latency) FROM calls GROUP BY 1, 2, 3"
    )
