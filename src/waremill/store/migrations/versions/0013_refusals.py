"""Publishing: every refusal, which product has an identity, and a channel's publications."""

import sqlalchemy as sa
from alembic import op

from waremill.store.tables import Id

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the tables and the index."""
    op.create_table(
        "refusals",
        sa.Column("publication_id", Id, autoincrement=False, nullable=False),
        sa.Column("number", Id, autoincrement=False, nullable=False),
        sa.Column("product_id", Id, nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("publication_id", "number", name=op.f("pk_refusals")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_refusals_product_id", "refusals", ["product_id"])
    op.create_table(
        "identities",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("product_id", Id, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint(
            "channel", "target", "hash", "product_id", name=op.f("pk_identities")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_publications_channel_id", "publications", ["channel", "id"])
