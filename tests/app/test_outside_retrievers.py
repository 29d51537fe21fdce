"""A retriever the settings name is searched like a knowledge base of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from tests.workspaces import make_workspace

from waremill.app import open_workspace
from waremill.app.acting import Actor
from waremill.app.knowing.searching import knowledge_version
from waremill.app.retrieving import retriever_of
from waremill.domain import Search
from waremill.errors import ConfigError, Forbidden, NotFound, SourceError


class Shelf(BaseRetriever):
    """Gives one page; breaks when it is asked for trouble."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        if query == "trouble":
            raise RuntimeError("the index is gone")
        return [Document("Wash cold.", metadata={"source": "care.pdf", "page": 2})]


shelf = Shelf()


def workspace(folder: Path, path: str = f"{__name__}:shelf") -> Any:
    root = make_workspace(folder / "shop", "http://127.0.0.1:9/v1")
    settings = root / "waremill.toml"
    more = f'[knowledge]\nretrievers = {{manuals = "{path}"}}\n'
    settings.write_text(settings.read_text() + more)
    return open_workspace(root)


async def test_it_is_searched_under_its_name(tmp_path: Path) -> None:
    async with workspace(tmp_path) as opened:
        (found,) = await opened.search(Search("manuals", "how to wash"))
        assert (found.document, found.page, found.text) == ("care.pdf", 2, "Wash cold.")
        assert await knowledge_version(opened, "manuals") == f"retriever {__name__}:shelf"
        (tool,) = await opened.tools("knowledge")
        given = await tool.use('{"base": "manuals", "query": "how to wash"}')
        assert "Wash cold." in given and "care.pdf › p. 2" in given


async def test_its_failure_is_one_sentence(tmp_path: Path) -> None:
    async with workspace(tmp_path) as opened:
        with pytest.raises(SourceError, match="“manuals” failed: RuntimeError: the index is gone"):
            await opened.search(Search("manuals", "trouble"))


async def test_no_search_names_one_and_nobody_without_a_team_asks_it(tmp_path: Path) -> None:
    async with workspace(tmp_path) as opened:
        with pytest.raises(NotFound):
            await opened.search(Search(f"{__name__}:shelf", "x"))
        with pytest.raises(Forbidden):
            await opened.acting(Actor("nobody")).search(Search("manuals", "x"))
        assert retriever_of(opened, "other") is None


async def test_what_is_no_retriever_is_said_when_it_is_first_searched(tmp_path: Path) -> None:
    async with workspace(tmp_path, "math:pi") as opened:
        with pytest.raises(ConfigError, match="no retriever of LangChain or LlamaIndex"):
            await opened.search(Search("manuals", "x"))


async def test_names_are_plain(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"package\.module:name"):
        workspace(tmp_path, "os.system('x')")
