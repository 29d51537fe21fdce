"""A workspace that is served, and everybody there is.

A test that takes `people` finds the accounts of everybody in its `workspace`; one that does not
finds it without accounts. They are made once a session, and the database is copied for each test.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.databases import migrated_sqlite
from tests.web.matrix import People, invite
from tests.workspaces import make_workspace

from waremill.app import Workspace, open_workspace


def _served(folder: Path, database: Path) -> Path:
    """Make a workspace with a copy of a database."""
    root = make_workspace(folder, "http://127.0.0.1:9/v1")
    (root / ".waremill").mkdir()
    shutil.copy(database, root / ".waremill" / "waremill.db")
    return root


@pytest.fixture(scope="session")
def invited(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, People]:
    """A database with everybody's accounts, sessions and tokens, which nobody writes to."""
    root = _served(tmp_path_factory.mktemp("invited") / "shop", migrated_sqlite)

    async def make() -> People:
        async with open_workspace(root) as opened:
            return await invite(opened)

    return root / ".waremill" / "waremill.db", asyncio.run(make())


@pytest_asyncio.fixture
async def workspace(
    request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path
) -> AsyncIterator[Workspace]:
    """An open workspace, as a server has it."""
    database = migrated_sqlite
    if "people" in request.fixturenames:
        database = request.getfixturevalue("invited")[0]
    async with open_workspace(_served(tmp_path / "shop", database), readers=2) as opened:
        yield opened


@pytest.fixture
def people(invited: tuple[Path, People]) -> People:
    """Everybody's sessions and tokens."""
    return invited[1]


__all__ = ["invited", "migrated_sqlite", "people", "workspace"]
