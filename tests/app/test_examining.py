"""What `doctor` says: a line for each thing, its level, and what to do."""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, text, update
from tests.app.desks import desk_workspace, finished_run
from tests.workspaces import (
    ROOT,
    make_workspace,
    vendor_process,
    waremill_here,
)

from waremill.app import open_workspace
from waremill.app.operations import surroundings
from waremill.app.operations.examining import Examined, examine, examine_closed
from waremill.store.database import SCHEMA_VERSION
from waremill.store.tables import runs
from waremill.store.tables_schedules import leads, schedules

NOBODY = "http://127.0.0.1:9/v1"


async def looked(folder: Path, **how: bool) -> dict[str, Examined]:
    return {one.what: one for one in await examine_closed(open_workspace(folder), **how)}


def shop_with(folder: Path, more: str) -> Path:
    made = make_workspace(folder / "shop", NOBODY)
    with (made / "waremill.toml").open("a", encoding="utf-8") as file:
        file.write(more)
    return made


async def test_a_server_that_may_lose_data_is_told(tmp_path: Path, postgres_url: str) -> None:
    folder = make_workspace(tmp_path / "shop", NOBODY, database=postgres_url)
    async with open_workspace(folder) as workspace:
        found = {one.what: one for one in await examine(workspace)}
    assert found["postgresql"].detail.startswith("version ")
    durability = found["postgresql durability"]
    assert durability.level == "error" and "fsync" in durability.detail
    assert found["clock"].level == found["storage"].level == "ok"
    assert SCHEMA_VERSION in found["schema"].detail


async def test_a_storage_that_takes_nothing_is_told(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "shop", NOBODY)
    (folder / ".waremill").mkdir()
    (folder / ".waremill" / "files").write_text("in the way")
    found = await looked(folder)
    assert found["storage"].level == "error" and "pictures.storage" in found["storage"].detail
    assert "postgresql" not in found and found["clock"].level == "ok"


async def test_looking_leaves_nothing_in_the_storage(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "shop", NOBODY)
    assert (await looked(folder))["storage"].level == "ok"
    kept = (folder / ".waremill" / "files").rglob("*")
    assert not [path for path in kept if path.is_file()]


async def test_a_database_that_does_not_open_is_one_error_among_the_other_lines(
    tmp_path: Path,
) -> None:
    url = "postgresql://shop:very-secret@127.0.0.1:1/shop"
    folder = make_workspace(tmp_path / "shop", NOBODY, database=url)
    found = await looked(folder)
    assert found["database"].level == "error" and "does not answer" in found["database"].detail
    assert "very-secret" not in found["database"].detail
    assert {"pipeline copy", "model default", "disk", "extras", "storage"} <= found.keys()


def test_an_error_is_exit_1_and_a_warning_exit_0(tmp_path: Path) -> None:
    url = "postgresql://shop:very-secret@127.0.0.1:1/shop"
    said = waremill_here(make_workspace(tmp_path / "shop", NOBODY, database=url), "doctor")
    assert said.code == 1 and "error    database: " in said.out
    other = tmp_path / "other"
    other.mkdir()
    warned = waremill_here(shop_with(other, '[models.d]\nuse = "openai:gpt-4.1"\n'), "doctor")
    assert warned.code == 0 and "warning  model d: set OPENAI_API_KEY" in warned.out


async def test_a_database_of_a_newer_program_is_told(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "shop", NOBODY)
    async with open_workspace(folder) as workspace:
        await workspace.database.write(
            lambda conn: conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        )
    found = (await looked(folder))["database"]
    assert found.level == "error" and "9999" in found.detail and "update" in found.detail


@pytest.mark.parametrize(
    ("more", "what", "level", "said"),
    [
        ('[ray]\naddress = "127.0.0.1:9"\n', "cluster", "error", "need PostgreSQL"),
        ('[models.dear]\nuse = "openai:gpt-4.1"\n', "model dear", "warning", "OPENAI_API_KEY"),
        ('[models.l]\nuse = "local"\n', "model l", "ok", "has what it needs"),
    ],
)  # fmt: skip
async def test_settings_that_cannot_work_are_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, what: str, level: str, said: str
) -> None:
    """A key that no pipeline needs is a warning: it is asked for by `--model` alone."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    found = (await looked(shop_with(tmp_path, more)))[what]
    assert found.level == level and said in found.detail


async def test_a_cluster_nobody_listens_at_is_an_error_and_one_that_listens_is_not(
    tmp_path: Path, postgres_url: str
) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for address, level in ((f"127.0.0.1:{port}", "ok"), ("ray://127.0.0.1:9", "error")):
        folder = make_workspace(tmp_path / level, NOBODY, database=postgres_url)
        with (folder / "waremill.toml").open("a") as file:
            file.write(f'[ray]\naddress = "{address}"\n')
        found = (await looked(folder))["cluster"]
        assert found.level == level and address in found.detail
    server.close()
    await server.wait_closed()


async def test_a_run_nobody_works_and_a_schedule_nobody_fires_are_warnings(tmp_path: Path) -> None:
    async with desk_workspace(tmp_path, f"sqlite:///{tmp_path / 'shop.db'}") as workspace:
        run = await finished_run(workspace)

        def strand(conn: Connection) -> None:
            conn.execute(update(runs).values(state="running", owner="elsewhere:1:1", heartbeat=0))
            conn.execute(insert(schedules).values(
                name="nightly", pipeline="copy", cron="0 3 * * *", timezone="UTC", options="{}",
                only="[]", budget=1, overlap="skip", catch_up="last", active=True, by="ann",
                created_at=0,
            ))  # fmt: skip

        await workspace.database.write(strand)
        found = {one.what: one for one in await examine(workspace)}
        assert found["runs"].level == found["schedules"].level == "warning"
        assert run.name in found["runs"].detail and "resume" in found["runs"].detail
        assert all(one.fine for one in found.values()), "a warning is no error"
        await workspace.database.write(
            lambda conn: conn.execute(
                insert(leads).values(name="scheduler", owner="x", epoch=1, until=9e9)
            )
        )
        found = {one.what: one for one in await examine(workspace)}
        assert found["schedules"].level == "ok"


async def test_models_are_called_only_when_asked(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "shop", NOBODY)
    assert "model default answers" not in await looked(folder)
    called = (await looked(folder, call_models=True))["model default answers"]
    assert called.level == "error" and called.detail
    with vendor_process() as url:
        other = make_workspace(tmp_path / "other", url)
        found = await looked(other, call_models=True)
        assert found["model default answers"].level == "ok"


def test_without_a_workspace_nothing_is_looked_at(tmp_path: Path) -> None:
    assert waremill_here(tmp_path, "doctor").code == 2


def test_each_extra_has_a_module_by_which_it_is_known() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert surroundings.EXTRAS.keys() == project["project"]["optional-dependencies"].keys()
    assert surroundings.is_installed("web"), "the tests have it"
