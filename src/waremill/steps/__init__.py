"""Built-in steps: one file each, found by its name; and every operation on pictures.

A step's file has `make(step, kit) -> BoundStep`. An operation of `images/` is a step without a file
of its own, made by `steps/pictures`. Steps know templates, checks and images; they must not know
runs, the database or a provider: the context brings those.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from waremill.checks import Rules
from waremill.errors import ConfigError, Where
from waremill.images import operations
from waremill.pipeline import BoundStep, StepSettings
from waremill.rules import Schema
from waremill.tools.loop import USUAL, LoopLimits
from waremill.tools.tool import Tool

NO_IMAGES = "the step “{kind}” needs the extra “images”: pip install 'waremill[images]'"


def no_weights(name: str) -> Path:
    """Raise ConfigError: nobody said where models' files are."""
    raise ConfigError(f"there is nowhere to find the weights “{name}”")


def no_tools(names: Sequence[str]) -> tuple[Tool, ...]:
    """Raise ConfigError: nobody said which tools there are."""
    raise ConfigError(f"there are no tools here, and so no “{names[0]}”")


def no_runnable(name: str) -> Any:
    """Raise ConfigError: nobody said which Runnables there are."""
    raise ConfigError(f"there is no Runnable “{name}” here")


@dataclass(frozen=True, slots=True)
class Kit:
    """What steps are built from: the workspace's files, its rules, the model to use by default.

    `asks` is how often one product is asked at most, the first time included. For pictures:
    `weights` gives a model's file, `threads` is how many one operation may use, `fonts` are folders
    with fonts. `tools` gives the tools of some names as a model is told of them; they are called
    through the context. `runnable` gives one of LangChain's by the name the settings have for it.
    """

    files: Mapping[str, str]
    rules: Rules
    schemas: Mapping[str, Schema]
    model: str = "default"
    asks: int = 3
    weights: Callable[[str], Path] = no_weights
    threads: int = 1
    fonts: tuple[Path, ...] = ()
    tools: Callable[[Sequence[str]], tuple[Tool, ...]] = no_tools
    tool_limits: LoopLimits = USUAL
    runnable: Callable[[str], Any] = no_runnable


def kinds() -> tuple[str, ...]:
    """List the steps a pipeline may name."""
    own = (module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg)
    return tuple(sorted({*own, *operation_names()}))


def operation_names() -> tuple[str, ...]:
    """List the operations on pictures by their files' names, without loading any."""
    return tuple(module.name for module in pkgutil.iter_modules(operations.__path__))


def make(step: StepSettings, kit: Kit) -> BoundStep:
    """Build a step; raise a UserError with file and line when it cannot work."""
    if step.kind not in kinds():
        raise ConfigError(f"there is no step “{step.kind}”", Where(step.file, line=step.line))
    own = step.kind not in operation_names()
    try:
        module = importlib.import_module(f"{__name__}.{step.kind if own else 'pictures.operating'}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("waremill"):
            raise
        where = Where(step.file, line=step.line)
        raise ConfigError(NO_IMAGES.format(kind=step.kind), where) from error
    built: BoundStep = module.make(step, kit)
    return built
