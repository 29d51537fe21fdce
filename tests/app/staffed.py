"""A workspace with people: who they are, and the accounts as one of them sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.workspaces import make_workspace

from waremill.app import Workspace, open_workspace
from waremill.app.accounts import Accounts

PASSWORD = "correct horse battery"


@pytest_asyncio.fixture
async def workspace(tmp_path: Path, database_url: str) -> AsyncIterator[Workspace]:
    """An open workspace without accounts, on either database."""
    root = make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1", database=database_url)
    async with open_workspace(root) as opened:
        yield opened


@pytest.fixture
def accounts(workspace: Workspace) -> Accounts:
    return Accounts(workspace)


async def as_user(workspace: Workspace, name: str) -> Accounts:
    """The accounts as somebody who signed in sees them."""
    secret, _ = await Accounts(workspace).sign_in(name, PASSWORD)
    found = await Accounts(workspace).actor_of_session(secret)
    assert found is not None
    return Accounts(workspace.acting(found[0]))


async def staff(accounts: Accounts) -> None:
    """A manager, an admin and a viewer of main, and a team `sale` with an admin of its own."""
    await accounts.add_user("manager", PASSWORD)
    await accounts.add_team("sale")
    for name, team, role in (
        ("ada", "main", "admin"), ("vera", "main", "viewer"), ("sam", "sale", "admin"),
    ):  # fmt: skip
        await accounts.add_user(name, PASSWORD)
        await accounts.set_role(name, team, role)
