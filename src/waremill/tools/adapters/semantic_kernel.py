"""Semantic Kernel's functions as our tools.

Semantic Kernel is no dependency of ours; this file is imported where a function of its is at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from waremill.errors import ConfigError
from waremill.tools.tool import Tool


def tool_from(found: Any) -> Tool:
    """Make a tool of a function of Semantic Kernel's, called through a kernel of its own.

    One of a plugin is called `plugin-function`. Raises ConfigError for one without a description.
    """
    from semantic_kernel import Kernel
    from semantic_kernel.functions import KernelArguments, KernelFunction

    if not isinstance(found, KernelFunction):
        raise ConfigError(f"a {type(found).__name__} of Semantic Kernel is no function")
    name = f"{found.plugin_name}-{found.name}" if found.plugin_name else found.name
    if not found.description:
        raise ConfigError(f"the tool {name} has no description that says what it does")
    properties: dict[str, Any] = {}
    required: list[str] = []
    for one in found.parameters:
        if not one.include_in_function_choices:
            continue
        properties[one.name] = one.schema_data or {"type": "string"}
        if one.is_required:
            required.append(one.name)
    parameters: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        parameters["required"] = required
    parameters["additionalProperties"] = False
    kernel = Kernel()

    async def call(arguments: Mapping[str, Any]) -> Any:
        result = await found.invoke(kernel, KernelArguments(**arguments))
        return None if result is None else result.value

    return Tool(name, found.description, parameters, call)
