"""Model endpoints: one file per wire protocol or local model, and what is known about models.

A file of this folder with a module-level `VENDORS` and `open_provider(model)` serves the vendors it
names; nothing else has to be edited for a new one. Providers send one request once: they must not
retry, cache, count money, or read the environment.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from functools import cache
from importlib.abc import InspectLoader
from importlib.util import find_spec
from typing import TYPE_CHECKING

from waremill.errors import ConfigError
from waremill.providers.effort import reasoning_allowance
from waremill.providers.prices import price_for
from waremill.providers.probe import Check, ProbeResult, probe
from waremill.providers.tokens import approximate, token_counter

if TYPE_CHECKING:
    from waremill.domain import Model, Provider

__all__ = [
    "Check",
    "ProbeResult",
    "approximate",
    "open_provider",
    "price_for",
    "probe",
    "reasoning_allowance",
    "token_counter",
    "vendors",
]

# A statement ends before the next line that starts at the margin with anything but a bracket.
_STATEMENT = re.compile(r"^VENDORS\b.*?(?=^[^\s)\]}]|\Z)", re.MULTILINE | re.DOTALL)


def open_provider(model: Model) -> Provider:
    """Open the provider of a model's vendor; nothing is sent yet.

    Raises ConfigError where there is no such vendor, or the model's settings lack something.
    """
    module = vendors().get(model.vendor)
    if module is None:
        known = ", ".join(sorted(vendors()))
        raise ConfigError(
            f"model “{model.alias}”: there is no vendor “{model.vendor}”; known are {known}"
        )
    provider: Provider = importlib.import_module(f"{__name__}.{module}").open_provider(model)
    return provider


@cache
def vendors() -> dict[str, str]:
    """Give the module of each vendor, read from the files' `VENDORS` without importing them."""
    found: dict[str, str] = {}
    for entry in pkgutil.iter_modules(__path__):
        for vendor in _vendors_of(entry.name):
            found[vendor] = entry.name
    return found


def _vendors_of(module: str) -> list[str]:
    name = f"{__name__}.{module}"
    spec = find_spec(name)
    loader = spec.loader if spec else None
    source = loader.get_source(name) if isinstance(loader, InspectLoader) else None
    if source is None:  # installed without sources
        return sorted(getattr(importlib.import_module(name), "VENDORS", ()))
    match = _STATEMENT.search(source)
    if match is None:
        return []
    (statement,) = ast.parse(match.group()).body
    value = getattr(statement, "value", None)
    nodes = value.keys if isinstance(value, ast.Dict) else ast.walk(statement)
    constants = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return [one for one in constants if isinstance(one, str)]
