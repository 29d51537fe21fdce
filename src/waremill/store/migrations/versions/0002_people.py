"""People and their work: teams, users, reviews in turn, lots, marks, drafts, spend, webhooks."""

import time

import sqlalchemy as sa
from alembic import op

from waremill.store.tables import Id

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add tables and columns, and fill what is derived from what is there."""
    _add_people()
    _add_work()
    _add_columns()
    _keep_audit()
    _fill()


def _add_people() -> None:
    op.create_table(
        "teams",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("monthly_budget", sa.BigInteger(), nullable=True),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("approve_above", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_teams")),
        sa.UniqueConstraint("name", name=op.f("uq_teams_name")),
    )
    op.create_table(
        "users",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("admin", sa.Boolean(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
    )
    op.create_table(
        "members",
        sa.Column("user_id", Id, autoincrement=False, nullable=False),
        sa.Column("team_id", Id, autoincrement=False, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_members_team_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_members_user_id")),
        sa.PrimaryKeyConstraint("user_id", "team_id", name=op.f("pk_members")),
    )
    op.create_table(
        "tokens",
        sa.Column("id", Id, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("team_id", Id, nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=True),
        sa.Column("used_at", sa.Float(), nullable=True),
        sa.Column("revoked_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_tokens_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("hash", name=op.f("uq_tokens_hash")),
    )
    op.create_table(
        "sessions",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("csrf", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id")),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_sessions")),
    )
    op.create_table(
        "audit",
        sa.Column("id", Id, nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("team_id", Id, nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_team_id_id", "audit", ["team_id", "id"], unique=False)
    op.create_index("ix_audit_action_id", "audit", ["action", "id"], unique=False)
    op.create_index("ix_audit_by_id", "audit", ["by", "id"], unique=False)
    op.create_table(
        "owners",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("team_id", Id, nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_owners_team_id")),
        sa.PrimaryKeyConstraint("kind", "name", name=op.f("pk_owners")),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", Id, nullable=False),
        sa.Column("team_id", Id, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", Id, nullable=False),
        sa.Column("webhook_id", Id, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Float(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_deliveries_webhook_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
    )
    op.create_index("ix_deliveries_state_next_at", "deliveries", ["state", "next_at"], unique=False)
    op.create_table(
        "requests",
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("media_type", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("by", "key", name=op.f("pk_requests")),
    )
    op.create_index("ix_requests_created_at", "requests", ["created_at"], unique=False)


def _add_work() -> None:
    op.create_table(
        "findings",
        sa.Column("run_id", Id, autoincrement=False, nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("item_id", Id, autoincrement=False, nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "rule", "item_id", "field", name=op.f("pk_findings")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "leases",
        sa.Column("item_id", Id, autoincrement=False, nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_leases")),
    )
    op.create_table(
        "lot_items",
        sa.Column("lot_id", Id, autoincrement=False, nullable=False),
        sa.Column("item_id", Id, autoincrement=False, nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("lot_id", "item_id", name=op.f("pk_lot_items")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_lot_items_drawn",
        "lot_items",
        ["lot_id", "verdict", "item_id"],
        unique=False,
        sqlite_where=sa.text("verdict IS NOT NULL"),
        postgresql_where=sa.text("verdict IS NOT NULL"),
    )
    op.create_table(
        "lots",
        sa.Column("id", Id, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("condition", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sample", sa.Integer(), nullable=False),
        sa.Column("allowed", sa.Integer(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("most_bad", sa.Float(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lots")),
    )
    op.create_index("ix_lots_run_id", "lots", ["run_id"], unique=False)
    op.create_table(
        "marks",
        sa.Column("item_id", Id, autoincrement=False, nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("product_id", Id, nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("item_id", "field", name=op.f("pk_marks")),
    )
    op.create_index(
        "ix_marks_product_id_target_field", "marks", ["product_id", "target", "field"], unique=False
    )
    op.create_table(
        "selections",
        sa.Column("id", Id, nullable=False),
        sa.Column("catalog_id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("where", sa.Text(), nullable=False),
        sa.Column("order_by", sa.Text(), nullable=True),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selections")),
        sa.UniqueConstraint("catalog_id", "name", name=op.f("uq_selections_catalog_id_name")),
    )
    op.create_table(
        "spend",
        sa.Column("run_id", Id, autoincrement=False, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("unpriced", sa.Integer(), nullable=False),
        sa.Column("input", sa.BigInteger(), nullable=False),
        sa.Column("cached", sa.BigInteger(), nullable=False),
        sa.Column("output", sa.BigInteger(), nullable=False),
        sa.Column("reasoning", sa.BigInteger(), nullable=False),
        sa.Column("paid", sa.BigInteger(), nullable=False),
        sa.Column("list_cost", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "model", "target", "day", name=op.f("pk_spend")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_spend_day", "spend", ["day"], unique=False)
    op.create_table(
        "versions",
        sa.Column("id", Id, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_versions")),
    )
    op.create_index("ix_versions_path_id", "versions", ["path", "id"], unique=False)


def _add_columns() -> None:
    op.add_column("catalogs", sa.Column("team_id", Id, server_default="1", nullable=False))
    op.create_index("ix_items_run_id_state_id", "items", ["run_id", "state", "id"], unique=False)
    op.create_index("ix_items_product_id_run_id", "items", ["product_id", "run_id"], unique=False)
    op.create_index(
        "ix_products_in_order", "products", ["catalog_id", "is_group", "id"], unique=False
    )
    op.create_index(
        "ix_results_product_id_target_id", "results", ["product_id", "target", "id"], unique=False
    )
    op.add_column("reviews", sa.Column("before", sa.Text(), nullable=True))
    with op.batch_alter_table("runs") as batch:
        batch.alter_column("catalog_id", existing_type=Id, nullable=True)
    op.add_column("runs", sa.Column("team_id", Id, server_default="1", nullable=False))
    op.add_column("runs", sa.Column("created_by", sa.Text(), nullable=True))
    op.add_column("runs", sa.Column("approved_by", sa.Text(), nullable=True))
    op.add_column("runs", sa.Column("budget_by", sa.Text(), nullable=True))


_FROZEN = """\
CREATE FUNCTION keep_audit() RETURNS trigger AS $$
BEGIN RAISE EXCEPTION 'the audit log only grows'; END $$ LANGUAGE plpgsql;
CREATE TRIGGER keep_audit BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION keep_audit();
"""


def _keep_audit() -> None:
    """Let the database refuse changes of the audit log."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_FROZEN)
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER keep_audit_{change.lower()} BEFORE {change} ON audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END"
        )


def _fill() -> None:
    """Make the first team, and the sums and findings of what older versions made."""
    lite = op.get_bind().dialect.name == "sqlite"
    op.get_bind().execute(
        sa.text("INSERT INTO teams (id, name, share, created_at) VALUES (1, 'main', 1.0, :now)"),
        {"now": time.time()},
    )
    if not lite:
        op.execute("SELECT setval('teams_id_seq', 1)")
    day = "date(c.started_at, 'unixepoch')"
    each = "json_each(r.findings) AS f"
    rule, about = "json_extract(f.value, '$.rule')", "json_extract(f.value, '$.field')"
    if not lite:
        day = "to_char(to_timestamp(c.started_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
        each = "jsonb_array_elements(r.findings::jsonb) AS f(value)"
        rule, about = "f.value ->> 'rule'", "f.value ->> 'field'"
    op.execute(
        "INSERT INTO spend SELECT c.run_id, c.model, coalesce(i.target, ''), "
        f"{day}, count(*), "
        "sum(CASE WHEN c.outcome IN ('complete', 'truncated', 'refused') THEN 0 ELSE 1 END), "
        "sum(CASE WHEN c.paid IS NULL AND c.outcome IN ('complete', 'truncated', 'refused') "
        "THEN 1 ELSE 0 END), sum(c.input), sum(c.cached), "
        "sum(c.output), sum(c.reasoning), coalesce(sum(c.paid), 0), coalesce(sum(c.list_cost), 0) "
        f"FROM calls c LEFT JOIN items i ON i.id = c.item_id GROUP BY 1, 2, 3, 4"
    )
    op.execute(
        f"INSERT INTO findings SELECT DISTINCT i.run_id, {rule}, i.id, coalesce({about}, '') "
        f"FROM items i JOIN results r ON r.item_id = i.id, {each} "
        "WHERE r.findings IS NOT NULL"
    )
