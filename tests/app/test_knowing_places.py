"""How a base is, where a passage stands, and what its documents state."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.app.test_knowing import (
    SAM,
    Open,
    embedding_server,
    folder,
    look,
    opened,
    workspace,
    write,
)

from waremill.app import Workspace, knowing, open_workspace
from waremill.app.knowing import AddOptions
from waremill.errors import NotFound
from waremill.store import knowledge as store

__all__ = ["embedding_server", "folder", "opened", "workspace"]


async def test_a_base_says_what_is_to_be_done(opened: Open, folder: Path) -> None:
    """Ready, being changed with how far it is, cut short, and indexed by another embedder."""
    seen: list[tuple[str, str]] = []
    async with opened("") as workspace:

        async def look_meanwhile() -> None:
            while True:
                for one in await knowing.list_bases(workspace):
                    stage = one.progress.stage if one.progress else ""
                    seen.append((one.state, stage))
                await asyncio.sleep(0)

        looking = asyncio.create_task(look_meanwhile())
        await knowing.add_documents(workspace, "help", [str(folder)])
        looking.cancel()
        assert {("changing", "loading"), ("changing", "embedding")} & set(seen)
        assert (await knowing.show_base(workspace, "help")).state == "ready"
        base = await workspace.database.read(store.find_base, "help")
        assert base is not None
        loaded = store.Loaded("new.md", b"x", "upload", "", "text/markdown", 1, {}, (), "[]")
        own = await workspace.database.write(
            store.claim, base, "gone:1:1", lambda _: True, lambda _: False
        )
        await workspace.database.write(store.put_loaded, own, [loaded])
        await workspace.database.write(store.release, own)
        assert (await knowing.show_base(workspace, "help")).state == "interrupted"
        await knowing.remove_documents(workspace, "help", ["new.md"])
    settings = workspace.settings.root / "waremill.toml"
    chosen = settings.read_text().replace('embedder = "texts"', 'embedder = "universal"')
    settings.write_text(chosen)
    async with open_workspace(settings.parent) as workspace:
        shown = await knowing.show_base(workspace, "help")
        assert (shown.state, shown.progress) == ("outdated", None)


async def test_a_passage_stands_between_its_neighbours(workspace: Workspace, folder: Path) -> None:
    text = "# One\n\nFirst it begins.\n\n# Two\n\nThen it goes on.\n\n# Three\n\nAt last it ends."
    write(folder, {"story.md": text})
    await knowing.add_documents(workspace, "help", [str(folder)])
    (found, *_) = await look(workspace, "then it goes on")
    shown = await knowing.show_passage(workspace, "help", found.id)
    assert (shown.before, shown.passage.text, shown.after) == (
        "First it begins.", "Then it goes on.", "At last it ends.",
    )  # fmt: skip
    (last, *_) = await look(workspace, "at last it ends")
    assert (await knowing.show_passage(workspace, "help", last.id)).after == ""
    await knowing.remove_documents(workspace, "help", ["story.md"])
    with pytest.raises(NotFound, match="changed or was removed"):
        await knowing.show_passage(workspace, "help", found.id)
    with pytest.raises(NotFound, match="no knowledge base"):
        await knowing.show_passage(workspace.acting(SAM), "help", found.id)


async def test_what_documents_state_is_counted_by_value(
    workspace: Workspace, folder: Path, tmp_path: Path
) -> None:
    await knowing.add_documents(
        workspace,
        "help",
        [str(folder)],
        AddOptions({"market": ["DE", "AT"], "year": 2026, "language": "en"}),
    )
    other = write(tmp_path / "other", {"faq.md": "Parcels take three days."})
    await knowing.add_documents(workspace, "help", [str(other)], AddOptions({"market": "DE"}))
    found = {one.name: dict(one.values) for one in await knowing.stated(workspace, "help")}
    assert found == {"language": {"en": 3}, "market": {"DE": 4, "AT": 3}, "year": {2026: 3}}
    with pytest.raises(NotFound):
        await knowing.stated(workspace.acting(SAM), "help")
