"""How long streamed replies took to begin: sums beside the ledger's others."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns; of calls made before nothing is known."""
    op.add_column(
        "outcomes", sa.Column("streamed", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column(
        "outcomes", sa.Column("first_seconds", sa.Float(), nullable=False, server_default="0")
    )
