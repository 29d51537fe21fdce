"""Removed schedules are kept with their history; batches that are not settled are found at once."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Let a removed schedule's name be used again, and add the indexes."""
    with op.batch_alter_table("schedules") as batch:
        batch.add_column(sa.Column("removed_at", sa.Float(), nullable=True))
        batch.drop_constraint(op.f("uq_schedules_name"), type_="unique")
    op.create_index(
        "ix_schedules_name", "schedules", ["name"], unique=True,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )  # fmt: skip
    op.create_index(
        "ix_batches_opened", "batches", ["run_id"],
        sqlite_where=sa.text("state != 'settled'"), postgresql_where=sa.text("state != 'settled'"),
    )  # fmt: skip
