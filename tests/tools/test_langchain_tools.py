"""LangChain's tools, Runnables and retrievers as ours, and ours as its: with the real package."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool, ToolException
from langchain_core.tools import tool as langchain_tool
from tests.tools.loops import Model, chat
from typing_extensions import TypedDict

from waremill.domain import Search
from waremill.errors import ConfigError
from waremill.tools.adapters.langchain import retriever_from, to_langchain, tool_from
from waremill.tools.adapters.opening import open_retriever, open_runnable, open_tool
from waremill.tools.builtin.calculator import calculator
from waremill.tools.loop import Handed, converse
from waremill.tools.tool import ToolFailed


@langchain_tool
def stock(sku: str, market: str = "DE") -> str:
    """Say how many pieces of a product are left."""
    if sku == "gone":
        raise ToolException("there is no such product")
    return f"{len(sku)} in {market}"


class Asked(TypedDict):
    """Writes a tagline for a product."""

    name: str


async def _tagline(asked: Asked) -> str:
    return f"{asked['name']}, simply."


tagline = RunnableLambda(_tagline, name="tagline").with_types(input_type=Asked)
undescribed = RunnableLambda(lambda text: text, name="echo")


class Shelf(BaseRetriever):
    """Finds what holds a word of the query."""

    documents: list[Document]

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        words = query.lower().split()
        return [d for d in self.documents if any(w in d.page_content.lower() for w in words)]


shelf = Shelf(
    documents=[
        Document("Wash cold.", metadata={"source": "care.pdf", "page": 2, "language": "en"}),
        Document("Kalt washen.", metadata={"source": "pflege.md", "language": "de"}),
        Document("Wash never.", metadata={"source": "silk.md", "title": "Silk"}),
    ]
)


async def test_their_tools_are_ours() -> None:
    made = open_tool(f"{__name__}:stock")
    assert (made.name, made.changes) == ("stock", False)
    assert made.description == "Say how many pieces of a product are left."
    assert made.parameters["required"] == ["sku"]
    assert await made.use('{"sku": "ABC"}') == "3 in DE"
    with pytest.raises(ToolFailed, match="no such product"):
        await made.use('{"sku": "gone"}')
    with pytest.raises(ToolFailed, match="do not fit"):
        await made.use('{"sku": 3}')


async def test_a_tool_of_theirs_that_changes_something_says_so_in_its_metadata() -> None:
    def delete(sku: str) -> str:
        """Delete a product."""
        return "deleted"

    theirs = StructuredTool.from_function(delete, metadata={"changes": True})
    model = Model([("delete", {"sku": "A"})], "No.")
    made = tool_from(theirs)
    done = await converse(chat(), (made,), Handed(model))
    assert made.changes and "did not permit" in done.messages[1].content  # type: ignore[operator]


async def test_a_runnable_with_an_object_for_its_input_is_a_tool() -> None:
    made = tool_from(tagline)
    assert (made.name, made.description) == ("tagline", "Writes a tagline for a product.")
    assert await made.use('{"name": "Eau"}') == "Eau, simply."
    with pytest.raises(ConfigError, match=r"takes no object with named fields|does not say"):
        tool_from(undescribed)
    named = undescribed.as_tool(name="echo", description="Echo.", arg_types={"text": str})
    assert await tool_from(named).use('{"text": "x"}') == '{"text":"x"}'


async def test_ours_are_theirs_and_errors_are_told() -> None:
    theirs = to_langchain(calculator())
    assert theirs.name == "calculator" and "expression" in theirs.args
    assert await theirs.ainvoke({"expression": "50 ml in fl oz"}) == "1.69070113509 fl oz"
    assert "cannot be worked out" in await theirs.ainvoke({"expression": "1 +"})
    call: Any = {
        "type": "tool_call",
        "id": "1",
        "name": "calculator",
        "args": {"expression": "2*3"},
    }
    message = await theirs.ainvoke(call)
    assert message.content == "6" and message.tool_call_id == "1"


async def test_a_typed_function_is_theirs_in_one_step() -> None:
    def left(sku: str) -> int:
        """Say how many are left."""
        return len(sku)

    assert await to_langchain(left).ainvoke({"sku": "ABC"}) == "3"
    with pytest.raises(ConfigError, match="no name for a tool"):
        to_langchain(lambda sku: sku)


async def test_a_retriever_is_a_knowledge_base() -> None:
    search = open_retriever(f"{__name__}:shelf")
    found = await search(Search("care", "how to wash", 2))
    assert [(one.document, one.page, one.text) for one in found] == [
        ("care.pdf", 2, "Wash cold."), ("pflege.md", None, "Kalt washen.")
    ]  # fmt: skip
    assert found[0].score > found[1].score and len({one.id for one in found}) == 2
    again = await search(Search("care", "wash", 9, {"language": "de"}))
    # What does not say its language serves everyone.
    assert [one.document for one in again] == ["pflege.md", "silk.md"]
    assert again[1].place == "Silk"


def test_what_is_no_retriever_or_runnable_is_refused() -> None:
    with pytest.raises(ConfigError, match="no retriever"):
        open_retriever(f"{__name__}:stock")
    with pytest.raises(ConfigError, match="no retriever"):
        open_retriever("math:pi")
    with pytest.raises(ConfigError, match="no Runnable"):
        open_runnable("math:sqrt")
    with pytest.raises(ConfigError, match="no retriever"):
        retriever_from(stock)
