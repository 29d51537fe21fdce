"""Built-in steps: one file each, found by its name.

A step's file has `make(step, kit) -> BoundStep`. Steps know templates and checks; they must not
know runs, the database or a provider: the context brings those.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass

from waremill.checks import Rules
from waremill.errors import ConfigError, Where
from waremill.pipeline import BoundStep, StepSettings
from waremill.rules import Schema


@dataclass(frozen=True, slots=True)
class Kit:
    """What steps are built from: the workspace's files, its rules, the model to use by default.

    `asks` is how often one product is asked at most, the first time included.
    """

    files: Mapping[str, str]
    rules: Rules
    schemas: Mapping[str, Schema]
    model: str = "default"
    asks: int = 3


def kinds() -> tuple[str, ...]:
    """List the steps a pipeline may name."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def make(step: StepSettings, kit: Kit) -> BoundStep:
    """Build a step; raise a UserError with file and line when it cannot work."""
    if step.kind not in kinds():
        raise ConfigError(f"there is no step “{step.kind}”", Where(step.file, line=step.line))
    module = importlib.import_module(f"{__name__}.{step.kind}")
    built: BoundStep = module.make(step, kit)
    return built
