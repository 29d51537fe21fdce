"""A LlamaIndex retriever, or an index, as a knowledge base: with the real package."""

from __future__ import annotations

import pytest

pytest.importorskip("llama_index.core", reason="LlamaIndex is installed with the dev group")

from llama_index.core import SimpleKeywordTableIndex
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.llms.mock import MockLLM
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from waremill.domain import Search
from waremill.errors import ConfigError
from waremill.tools.adapters.opening import open_retriever

NODES = [
    TextNode(text="Wash cold and dry flat.", metadata={"file_name": "care.pdf", "page_label": "4"}),
    TextNode(text="Bottles hold 50 ml.", metadata={"file_name": "sizes.md", "market": "DE"}),
]


class Shelf(BaseRetriever):
    """Gives all nodes, the last first."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=one, score=0.5 + at) for at, one in enumerate(NODES)][::-1]


shelf = Shelf()
index = SimpleKeywordTableIndex(NODES, llm=MockLLM())


async def test_a_retriever_is_a_knowledge_base() -> None:
    found = await open_retriever(f"{__name__}:shelf")(Search("care", "anything", 5))
    assert [(one.document, one.page, one.score) for one in found] == [
        ("sizes.md", None, 1.5), ("care.pdf", 4, 0.5)
    ]  # fmt: skip
    only = await open_retriever(f"{__name__}:shelf")(Search("care", "x", 5, {"market": "FR"}))
    assert [one.document for one in only] == ["care.pdf"]


async def test_an_index_is_one_by_its_retriever() -> None:
    retriever = open_retriever(f"{__name__}:index")
    assert callable(retriever)


def test_anything_else_of_it_is_refused() -> None:
    with pytest.raises(ConfigError, match="no retriever"):
        open_retriever(f"{__name__}:NODES")
