"""`waremill user`: accounts, teams, roles and tokens from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result
from tests.databases import migrated_sqlite  # noqa: F401 - a fixture
from tests.workspaces import make_workspace

from waremill.cli import cli

PASSWORD = "correct horse battery"


class Shop:
    """A workspace and its command line."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, *words: str, typed: str = "") -> Result:
        """Run `waremill user …` with text on stdin."""
        return CliRunner().invoke(cli, ["user", *words, "-C", str(self.root)], input=typed)

    def json(self, *words: str, typed: str = "") -> Any:
        """Run a command that must succeed, and give what `--json` prints."""
        done = self(*words, "--json", typed=typed)
        assert done.exit_code == 0, done.output
        return orjson.loads(done.stdout)


@pytest.fixture
def shop(tmp_path: Path, migrated_sqlite: Path) -> Shop:  # noqa: F811
    root = make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1")
    (root / ".waremill").mkdir()
    (root / ".waremill" / "waremill.db").write_bytes(migrated_sqlite.read_bytes())
    return Shop(root)


def test_the_first_user_manages_the_rest(shop: Shop) -> None:
    first = shop.json("add", "Lin", "--password-stdin", typed=f"{PASSWORD}\n")
    assert first == {
        "name": "lin", "manages": True, "disabled": False, "has_password": True,
        "teams": {"main": "admin"},
    }  # fmt: skip
    shop.json("add", "bot", "--no-password", "--role", "operator")
    assert [user["teams"] for user in shop.json("list")] == [
        {"main": "operator"}, {"main": "admin"},
    ]  # fmt: skip
    shown = shop("list").stdout
    assert "main (operator)" in shown
    assert "manages users" in shown


def test_a_password_is_never_printed_and_needs_a_terminal_or_stdin(shop: Shop) -> None:
    done = shop("add", "lin", "--password-stdin", typed=f"{PASSWORD}\n")
    assert PASSWORD not in done.output
    short = shop("add", "kim", "--password-stdin", typed="tiny\n")
    assert short.exit_code == 2
    assert "at least 10" in short.stderr
    unasked = shop("add", "kim")
    assert unasked.exit_code == 2
    assert "--password-stdin" in unasked.stderr
    changed = shop("password", "lin", "--password-stdin", typed="another horse battery\n")
    assert changed.exit_code == 0
    assert shop("password", "nobody-here", "--password-stdin", typed="x").exit_code == 2


def test_roles_are_given_and_taken_by_team(shop: Shop) -> None:
    shop.json("add", "lin", "--password-stdin", typed=PASSWORD)
    shop.json("team", "sale", "--add", "--monthly-budget", "50", "--approve-above", "5")
    assert shop.json("role", "lin", "reviewer", "--team", "sale")["teams"] == {
        "main": "admin", "sale": "reviewer",
    }  # fmt: skip
    assert shop.json("role", "lin", "none")["teams"] == {"sale": "reviewer"}
    assert shop.json("team", "sale", "--monthly-budget", "none") == {
        "name": "sale", "monthly_budget": None, "share": 1.0, "approve_above": 5.0,
        "members": {"lin": "reviewer"},
    }  # fmt: skip
    assert [team["name"] for team in shop.json("team")] == ["main", "sale"]
    assert "lin (reviewer)" in shop("team").stdout
    for wrong in (
        ("team", "sale", "--share", "2"), ("team", "x"), ("team", "--add"),
        ("team", "sale", "--approve-above", "much"), ("role", "kim", "viewer"),
    ):  # fmt: skip
        assert shop(*wrong).exit_code == 2


def test_a_user_is_kept_out_and_let_in_again(shop: Shop) -> None:
    shop.json("add", "lin", "--password-stdin", typed=PASSWORD)
    shop.json("add", "kim", "--password-stdin", typed=PASSWORD)
    assert shop.json("disable", "kim")["disabled"]
    assert not shop.json("disable", "kim", "--enable")["disabled"]
    assert shop("disable", "lin").exit_code == 2


def test_a_tokens_text_is_printed_once_and_kept_nowhere(shop: Shop) -> None:
    shop.json("add", "lin", "--password-stdin", typed=PASSWORD)
    made = shop("token", "add", "ci", "--user", "lin", "--role", "operator", "--days", "7")
    text = made.stdout.strip()
    assert text.startswith("wm_")
    (token,) = shop.json("token", "list")
    assert (token["name"], token["user"], token["role"]) == ("ci", "lin", "operator")
    assert shop("token", "revoke", str(token["id"])).exit_code == 0
    assert shop.json("token", "list")[0]["revoked_at"] is not None
    forever = shop.json("token", "add", "old", "--user", "lin", "--forever")
    assert forever["expires_at"] is None
    assert "lin" in shop("token", "list").stdout
    stored = b"".join(path.read_bytes() for path in (shop.root / ".waremill").rglob("*.db*"))
    assert text.encode() not in stored
    assert PASSWORD.encode() not in stored
    assert shop("token", "revoke", "99").exit_code == 2
