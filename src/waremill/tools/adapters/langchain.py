"""LangChain's tools and Runnables as our tools, its retrievers as knowledge bases, ours as its.

LangChain is an extra; this file is imported where something of LangChain's is at hand.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from waremill.domain import Passage, Search
from waremill.errors import ConfigError
from waremill.tools.adapters.passages import fits, passage_of
from waremill.tools.tool import Tool, ToolFailed, tool_of

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable
    from langchain_core.tools import BaseTool, StructuredTool


def tool_from(found: BaseTool | Runnable[Any, Any]) -> Tool:
    """Make a tool of one of LangChain's, or of a Runnable that takes an object.

    A tool whose metadata say `{"changes": True}` needs permission. Raises ConfigError for a
    Runnable without a name, a description or the schema of an object.
    """
    from langchain_core.tools import BaseTool

    if not isinstance(found, BaseTool):
        return _of_runnable(found)
    schema: Any = found.tool_call_schema
    parameters = dict(schema) if isinstance(schema, dict) else schema.model_json_schema()

    async def call(arguments: Mapping[str, Any]) -> Any:
        from langchain_core.tools import ToolException

        try:
            return await found.ainvoke(dict(arguments))
        except ToolException as error:
            raise ToolFailed(str(error)) from error

    changes = bool((found.metadata or {}).get("changes"))
    return Tool(found.name, found.description, _plain(parameters), call, changes)


def _of_runnable(found: Runnable[Any, Any]) -> Tool:
    from langchain_core.runnables import Runnable

    if not isinstance(found, Runnable):
        raise ConfigError(f"a {type(found).__name__} of LangChain is neither a tool nor a Runnable")
    parameters = _resolved(found.get_input_jsonschema())
    name = found.get_name()
    if parameters.get("type") != "object":
        raise ConfigError(
            f"the Runnable {name} takes no object with named fields; give it an input type by "
            "with_types(input_type=…)"
        )
    described = str(parameters.get("description") or "")
    if not described:
        raise ConfigError(
            f"the Runnable {name} does not say what it does; make it a tool by as_tool(name=…, "
            "description=…)"
        )

    async def call(arguments: Mapping[str, Any]) -> Any:
        return await found.ainvoke(dict(arguments))

    return Tool(name, described, _plain(parameters), call)


def _resolved(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Give a schema that only points to one of its definitions as that definition."""
    place = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    known = schema.get("$defs", {})
    return {**known[place], "$defs": known} if place in known else dict(schema)


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Give a schema without what only titles it."""
    return {name: value for name, value in parameters.items() if name not in ("title",)}


def to_langchain(ours: Tool | Callable[..., Any]) -> StructuredTool:
    """Give one of our tools, or a typed function, as LangChain's.

    What it cannot do is told to the model. Raises ConfigError for a function that is no tool.
    """
    import orjson
    from langchain_core.tools import StructuredTool, ToolException

    found = ours if isinstance(ours, Tool) else tool_of(ours)

    async def call(**arguments: Any) -> str:
        try:
            return await found.use(orjson.dumps(arguments).decode())
        except ToolFailed as error:
            raise ToolException(str(error)) from error

    return StructuredTool.from_function(
        coroutine=call, name=found.name, description=found.description,
        args_schema=dict(found.parameters), handle_tool_error=True,
        metadata={"changes": found.changes},
    )  # fmt: skip


def retriever_from(found: Any) -> Callable[[Search], Awaitable[Sequence[Passage]]]:
    """Make a knowledge base of a retriever: best first, at most `top` passages.

    What the search's `where` bounds is compared with the documents' metadata afterwards.
    """
    from langchain_core.retrievers import BaseRetriever

    if not isinstance(found, BaseRetriever):
        raise ConfigError(f"a {type(found).__name__} of LangChain is no retriever")

    async def search(wanted: Search) -> Sequence[Passage]:
        documents = await found.ainvoke(wanted.query)
        passages = [
            passage_of(one.page_content, one.metadata, place) for place, one in enumerate(documents)
        ]
        return [one for one in passages if fits(one, wanted.where)][: wanted.top]

    return search
