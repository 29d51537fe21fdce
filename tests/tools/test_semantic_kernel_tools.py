"""A function of Semantic Kernel's as a tool: with the real package, in an environment of its own.

Semantic Kernel wants other versions of what the project pins: `make test-semantic-kernel`.
"""

from __future__ import annotations

from typing import Annotated

import pytest
from tests.tools.loops import Model, chat

from waremill.domain import ResultMessage
from waremill.errors import ConfigError
from waremill.tools.adapters.opening import open_tool
from waremill.tools.adapters.semantic_kernel import tool_from
from waremill.tools.loop import Handed, converse
from waremill.tools.tool import ToolFailed

kernel_functions = pytest.importorskip(
    "semantic_kernel.functions", reason="Semantic Kernel is tested by make test-semantic-kernel"
)


class Warehouse:
    """A plugin."""

    @kernel_functions.kernel_function(description="Say how many pieces are left.")
    def stock(self, sku: Annotated[str, "the product's key"], market: str = "DE") -> str:
        return f"{len(sku)} in {market}"

    @kernel_functions.kernel_function
    async def silent(self, sku: str) -> str:
        return sku


def function(name: str) -> object:
    plugin = kernel_functions.KernelPlugin.from_object("warehouse", Warehouse())
    return plugin.functions[name]


stock = function("stock")


async def test_a_function_is_a_tool() -> None:
    made = open_tool(f"{__name__}:stock")
    assert (made.name, made.description) == ("warehouse-stock", "Say how many pieces are left.")
    assert made.parameters["required"] == ["sku"]
    assert made.parameters["properties"]["sku"]["description"] == "the product's key"
    assert await made.use('{"sku": "ABC"}') == "3 in DE"
    assert await made.use('{"sku": "ABC", "market": "FR"}') == "3 in FR"
    with pytest.raises(ToolFailed, match="do not fit"):
        await made.use('{"sku": 3}')


async def test_a_model_calls_it_in_the_loop() -> None:
    model = Model([("warehouse-stock", {"sku": "AB"})], "Two.")
    done = await converse(chat(), (tool_from(stock),), Handed(model))
    assert done.text == "Two."
    assert done.messages[1] == ResultMessage("call_1_0", "warehouse-stock", "2 in DE")


def test_one_without_a_description_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no description"):
        tool_from(function("silent"))
