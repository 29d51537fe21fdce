"""The use case *may this go in batches*: said before anything starts, in one sentence."""

from __future__ import annotations

from collections.abc import Iterable

from waremill.errors import ConfigError
from waremill.providers.batches import terms_of
from waremill.settings import Settings

HAVE = "openai, dashscope and anthropic"


def batched(settings: Settings, names: Iterable[str]) -> tuple[str, ...]:
    """Give those of the models whose calls can go into batches."""
    return tuple(name for name in names if terms_of(settings.model(name)) is not None)


def require_batches(settings: Settings, names: Iterable[str]) -> None:
    """Raise ConfigError where a run cannot go through batches as the settings say.

    A fallback needs none: it is called live.
    """
    wanted = tuple(names)
    have = batched(settings, wanted)
    lack = [name for name in wanted if name not in have]
    if not lack:
        return
    shown = ", ".join(f"“{name}” ({settings.model(name).use})" for name in lack)
    if not have:
        raise ConfigError(
            f"--mode batch needs a model with batches, and {shown} has none; models of {HAVE} do"
        )
    if settings.batch.others == "refuse":
        raise ConfigError(
            f"--mode batch: {shown} has no batches; choose another model, or write "
            '[batch] others = "live" in waremill.toml to have it called live'
        )
