"""What `doctor` says of the database's server, the clock, open files and the storage."""

from __future__ import annotations

from pathlib import Path

from tests.workspaces import make_workspace

from waremill.app import open_workspace
from waremill.app.setup import examine


async def test_a_server_that_may_lose_data_is_told(tmp_path: Path, postgres_url: str) -> None:
    folder = make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1", database=postgres_url)
    async with open_workspace(folder) as workspace:
        found = {one.what: one for one in await examine(workspace)}
    assert found["postgresql"].fine and found["postgresql"].detail.startswith("version ")
    durability = found["postgresql durability"]
    assert not durability.fine and "fsync" in durability.detail
    assert found["clock"].fine and found["storage"].fine


async def test_a_storage_that_takes_nothing_is_told(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1")
    (folder / ".waremill").mkdir()
    (folder / ".waremill" / "files").write_text("in the way")
    async with open_workspace(folder) as workspace:
        found = {one.what: one for one in await examine(workspace)}
    assert not found["storage"].fine and found["storage"].detail
    assert "postgresql" not in found and found["clock"].fine
