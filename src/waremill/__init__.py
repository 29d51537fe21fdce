"""Waremill mass-produces product content for e-commerce catalogues.

Names are imported when they are first used, so that `import waremill` and `waremill --help` cost
next to nothing. What is listed in `__all__` is public and grows by addition; everything else may
change with any version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from waremill.app import Estimate, Imported, RunStatus, TrialResult, Workspace
    from waremill.app import open_workspace as open
    from waremill.app.options import TaskOptions
    from waremill.domain import (
        Answer,
        CallMessage,
        Chat,
        Finding,
        Image,
        Item,
        Message,
        Model,
        Price,
        Product,
        Provider,
        Response,
        ResultMessage,
        Target,
        ToolCall,
        ToolSpec,
        Usage,
    )
    from waremill.errors import (
        AccessDenied,
        ConfigError,
        Conflict,
        DatabaseGone,
        Forbidden,
        LimitReached,
        NotFound,
        OutputInvalid,
        ProviderError,
        RateLimited,
        Refused,
        Rejected,
        SourceError,
        TemplateError,
        Transient,
        Unavailable,
        UserError,
        WaremillError,
        Where,
    )
    from waremill.tools.adapters.langchain import to_langchain
    from waremill.tools.tool import tool

__version__ = "0.1.0"
__all__ = [
    "AccessDenied",
    "Answer",
    "CallMessage",
    "Chat",
    "ConfigError",
    "Conflict",
    "DatabaseGone",
    "Estimate",
    "Finding",
    "Forbidden",
    "Image",
    "Imported",
    "Item",
    "LimitReached",
    "Message",
    "Model",
    "NotFound",
    "OutputInvalid",
    "Price",
    "Product",
    "Provider",
    "ProviderError",
    "RateLimited",
    "Refused",
    "Rejected",
    "Response",
    "ResultMessage",
    "RunStatus",
    "SourceError",
    "Target",
    "TaskOptions",
    "TemplateError",
    "ToolCall",
    "ToolSpec",
    "Transient",
    "TrialResult",
    "Unavailable",
    "Usage",
    "UserError",
    "WaremillError",
    "Where",
    "Workspace",
    "open",
    "to_langchain",
    "tool",
]

_PLACES = {
    "open": ("waremill.app", "open_workspace"),
    "TaskOptions": ("waremill.app.options", "TaskOptions"),
    "to_langchain": ("waremill.tools.adapters.langchain", "to_langchain"),
    "tool": ("waremill.tools.tool", "tool"),
    **{
        name: ("waremill.app", name)
        for name in ("Estimate", "Imported", "RunStatus", "TrialResult", "Workspace")
    },
    **{
        name: ("waremill.domain", name)
        for name in (
            "Answer", "Chat", "Finding", "Image", "Item", "Message", "Model", "Price", "Product",
            "Provider", "Response", "Target", "Usage", "CallMessage", "ResultMessage", "ToolCall",
            "ToolSpec",
        )
    },
}  # fmt: skip
"""Where a public name lives; what is not listed here is an error class."""

if not TYPE_CHECKING:  # a type checker that saw this would accept any name

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first used."""
        if name not in __all__:
            raise AttributeError(f"module “waremill” has no attribute “{name}”")
        from importlib import import_module

        module, original = _PLACES.get(name, ("waremill.errors", name))
        value = globals()[name] = getattr(import_module(module), original)
        return value


def __dir__() -> list[str]:
    """List the public names."""
    return [*__all__, "__version__"]
