"""What is named to be added to a knowledge base, and what of it could go wrong without a word."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.embedding_server import EmbeddingServer, embedding_server
from tests.workspaces import make_workspace

from waremill.app import Workspace, knowing, open_workspace
from waremill.app.knowing import AddOptions
from waremill.domain import Search
from waremill.errors import ConfigError, SourceError

__all__ = ["embedding_server"]

MODEL = """price = {{input = 1.0, output = 1.0}}
[models.texts]
use = "openai:text-embedding-3-small"
base_url = "{url}"
price = {{input = 0.02, output = 0.0}}
[knowledge]
embedder = "texts"
"""


@pytest_asyncio.fixture
async def workspace(tmp_path: Path, embedding_server: EmbeddingServer) -> AsyncIterator[Workspace]:
    model = MODEL.format(url=embedding_server.url)
    root = make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1", model=model)
    async with open_workspace(root) as found:
        yield found


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


async def test_a_file_of_another_folder_does_not_take_the_place_of_one_of_its_name(
    workspace: Workspace, tmp_path: Path
) -> None:
    german = write(tmp_path / "de" / "returns.md", "Rückgabe innerhalb von 30 Tagen.")
    french = write(tmp_path / "fr" / "returns.md", "Retour sous quatorze jours.")
    await knowing.add_documents(workspace, "help", [str(german.parent)])
    for source in (french.parent, french):
        done = await knowing.add_documents(workspace, "help", [str(source)])
        assert (done.new, done.changed, done.problem_count) == (0, 0, 1)
        assert done.problems[0][0] == "returns.md"
        assert f"was added from {german.resolve()}" in done.problems[0][1]
    assert "30 Tagen" in (await knowing.show_document(workspace, "help", "returns.md")).text
    write(german, "Rückgabe innerhalb von 60 Tagen.")  # by itself, and by its folder
    assert (await knowing.add_documents(workspace, "help", [str(german)])).changed == 1
    german.unlink()  # it is there no more: the other is what it is now
    assert (await knowing.add_documents(workspace, "help", [str(french)])).changed == 1


async def test_documents_of_a_folder_that_moved_are_pruned_by_its_new_place(
    workspace: Workspace, tmp_path: Path
) -> None:
    write(tmp_path / "old" / "a.md", "About bottles.")
    write(tmp_path / "old" / "b.md", "About parcels.")
    await knowing.add_documents(workspace, "help", [str(tmp_path / "old")])
    (tmp_path / "old").rename(tmp_path / "new")
    moved = await knowing.add_documents(workspace, "help", [str(tmp_path / "new")])
    assert (moved.new, moved.unchanged) == (0, 2)
    (tmp_path / "new" / "b.md").unlink()
    options = AddOptions(prune=True)
    pruned = await knowing.add_documents(workspace, "help", [str(tmp_path / "new")], options)
    assert (pruned.unchanged, pruned.removed) == (1, 1)


async def test_an_empty_path_is_not_the_current_folder(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match="a path to add is empty"):
        await knowing.add_documents(workspace, "help", [""])


async def test_a_folders_files_of_other_kinds_are_left_out_with_a_note(
    workspace: Workspace, tmp_path: Path
) -> None:
    for name in ("a.md", "b.doc", "c.DOC", "d.jpg", "Makefile", ".hidden", "~$b.docx"):
        write(tmp_path / "mixed" / name, "Something is said here.")
    done = await knowing.add_documents(workspace, "help", [str(tmp_path / "mixed")])
    assert done.new == 1
    assert len(done.notes) == 1
    assert done.notes[0].endswith("were left out (.doc 2, without ending 1, .jpg 1)")


@pytest.mark.parametrize("day", ["yesterday", "2026-13-01", "01.02.2026", "2026-1-5", "20260105"])
async def test_days_that_are_none_are_refused(
    workspace: Workspace, tmp_path: Path, day: str
) -> None:
    plain = write(tmp_path / "one" / "a.md", "Something is said here.")
    with pytest.raises(SourceError, match=f"valid_from is “{day}”: write a date as YYYY-MM-DD"):
        await knowing.add_documents(
            workspace, "help", [str(plain)], AddOptions({"valid_from": day})
        )
    told = write(tmp_path / "two" / "b.md", f"---\nvalid_to: '{day}'\n---\n\nSomething else.")
    done = await knowing.add_documents(workspace, "help", [str(plain), str(told)])
    assert (done.new, [name for name, _ in done.problems]) == (1, ["b.md"])
    assert "valid_to is" in done.problems[0][1]


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are always UTF-8")
async def test_a_name_in_gbk_as_old_archives_have_them_is_read(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = tmp_path / "unpacked"
    write(folder / os.fsdecode("退货政策说明.txt".encode("gbk")), "退货期为三十天。")
    done = await knowing.add_documents(workspace, "help", [str(folder)])
    assert (done.new, done.problems) == (1, [])
    found = await workspace.search(Search("help", "退货期", 1))
    assert found[0].document == "退货政策说明.txt"


async def test_a_query_that_is_no_text_is_searched_all_the_same(
    workspace: Workspace, tmp_path: Path
) -> None:
    plain = write(tmp_path / "a.md", "About bottles.")
    await knowing.add_documents(workspace, "help", [str(plain)])
    found = await workspace.search(Search("help", "bottles \udcff\udcfe", 1))
    assert found[0].document == "a.md"


async def test_a_copied_workspace_goes_on_with_its_own_documents(
    workspace: Workspace, tmp_path: Path
) -> None:
    root = workspace.settings.root
    guide = write(root / "knowledge" / "help" / "returns.md", "Return it within 30 days.")
    write(guide.parent / "care.md", "Keep it dry.")
    assert (await knowing.add_documents(workspace, "help")).new == 2
    copied = Path(shutil.copytree(root, tmp_path / "copied"))
    write(copied / "knowledge" / "help" / "returns.md", "Return it within 60 days.")
    async with open_workspace(copied) as other:
        done = await knowing.add_documents(other, "help")
        assert (done.changed, done.unchanged, done.problems) == (1, 1, [])
        (copied / "knowledge" / "help" / "care.md").unlink()
        pruned = await knowing.add_documents(other, "help", options=AddOptions(prune=True))
        assert pruned.removed == 1
