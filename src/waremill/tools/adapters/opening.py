"""Open what the settings name: a typed function, a tool of ours, or another library's.

The settings decide, nobody else: importing a module runs its code. Which library an object is of is
told by its class, so that none is imported for it.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from waremill.domain import Passage, Search
from waremill.errors import ConfigError
from waremill.tools.tool import Tool, tool_of

Retriever = Callable[[Search], Awaitable[Sequence[Passage]]]


def open_tool(path: str) -> Tool:
    """Open `package.module:name` as a tool; raises ConfigError where that cannot be."""
    found = _object(path)
    if isinstance(found, Tool):
        return found
    for library, module in _TOOLS.items():
        if _is_of(found, library):
            made: Tool = importlib.import_module(module, __package__).tool_from(found)
            return made
    if not callable(found):
        raise ConfigError(f"{path} is a {type(found).__name__}, and no function or tool")
    return tool_of(found)


def open_retriever(path: str) -> Retriever:
    """Open `package.module:name` as a knowledge base; raises ConfigError where that cannot be."""
    found = _object(path)
    for library, module in _RETRIEVERS.items():
        if _is_of(found, library):
            made: Retriever = importlib.import_module(module, __package__).retriever_from(found)
            return made
    raise ConfigError(
        f"{path} is a {type(found).__name__}, and no retriever of LangChain or LlamaIndex"
    )


def open_runnable(path: str) -> Any:
    """Open `package.module:name` as LangChain's Runnable; raises ConfigError where it is none."""
    found = _object(path)
    if not _is_of(found, "langchain_core") or not callable(getattr(found, "ainvoke", None)):
        raise ConfigError(f"{path} is a {type(found).__name__}, and no Runnable of LangChain")
    return found


_TOOLS = {"langchain_core": ".langchain", "semantic_kernel": ".semantic_kernel"}
_RETRIEVERS = {"langchain_core": ".langchain", "llama_index": ".llamaindex"}


def _is_of(found: Any, library: str) -> bool:
    classes = type(found).__mro__
    return any(one.__module__.partition(".")[0] == library for one in classes)


def _object(path: str) -> Any:
    module_name, _, attribute = path.partition(":")
    try:
        target: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(f"the module {module_name} cannot be imported ({error})") from None
    except Exception as error:
        raise ConfigError(
            f"the module {module_name} fails when it is imported: {type(error).__name__}: {error}"
        ) from error
    for part in attribute.split("."):
        if not hasattr(target, part):
            raise ConfigError(f"the module {module_name} has no {attribute}")
        target = getattr(target, part)
    return target
