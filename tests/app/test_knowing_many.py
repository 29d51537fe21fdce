"""Knowledge bases of many passages, where the index looks for vectors in parts."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.app.test_knowing import MODEL, write
from tests.embedding_server import EmbeddingServer, embedding_server
from tests.workspaces import make_workspace

from waremill.app import Workspace, knowing, open_workspace
from waremill.domain import Search
from waremill.knowledge.index import APPROXIMATE_FROM

__all__ = ["embedding_server"]

PASSAGES, A_DOCUMENT = 11_000, 500
WORDS = [first + last for first in "bdfgklmnprst" for last in ("abo", "enu", "ilo", "ora", "uta")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Documents of sections that share words and are each their own."""
    chance = random.Random(11)
    return write(
        tmp_path / "documents",
        {
            f"{start:05}.md": "\n\n".join(
                f"## Part {n}\n\n{' '.join(chance.choices(WORDS, k=12))} {n}."
                for n in range(start, start + A_DOCUMENT)
            )
            for start in range(0, PASSAGES, A_DOCUMENT)
        },
    )


async def test_a_rebuild_of_many_passages_answers_as_before(
    tmp_path: Path, folder: Path, embedding_server: EmbeddingServer
) -> None:
    """From 10,000 passages on vectors lie in parts that are found by chance; no answer shows it."""
    model = "price = {input = 1.0, output = 1.0}" + MODEL.format(url=embedding_server.url, more="")
    async with open_workspace(
        make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1", model=model)
    ) as workspace:
        done = await knowing.add_documents(workspace, "help", [str(folder)])
        assert done.passages == PASSAGES > APPROXIMATE_FROM
        asked = embedding_server.passages
        before = await _answers(workspace)
        assert all(len(found) == 10 for found in before)
        rebuilt = await knowing.rebuild(workspace, "help")
        assert (rebuilt.passages, rebuilt.version) == (PASSAGES, done.version)
        assert await _answers(workspace) == before
        assert embedding_server.passages == asked


async def _answers(workspace: Workspace) -> list[list[str]]:
    """Ask twenty things; give the ids of the first ten of each."""
    chance = random.Random(12)
    queries = [" ".join(chance.choices(WORDS, k=count)) for count in (2, 3, 4, 6, 8) * 4]
    return [
        [one.id for one in await workspace.search(Search("help", query, 10))] for query in queries
    ]
