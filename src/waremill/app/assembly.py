"""The wiring: from settings and files to steps, and from models to endpoints."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any

from waremill import steps
from waremill.app import keeping
from waremill.app.equipping import declared, limits_of, runnable_of
from waremill.calls import Endpoint
from waremill.calls.limiter import Limiter
from waremill.calls.rate import Rate
from waremill.checks import Rules
from waremill.domain import Model, Price, Provider
from waremill.errors import ConfigError, TemplateError, Where
from waremill.pipeline import BoundStep, Pipeline, load_pipeline
from waremill.providers import open_provider, reasoning_allowance
from waremill.rules import load_channels, load_forbidden, load_glossary, load_schemas
from waremill.settings import Settings
from waremill.store.database import Database
from waremill.store.limits import Quota, draw_shared_rate
from waremill.store.tables_people import FIRST_TEAM
from waremill.templates import load_template
from waremill.templates.expressions import compile_condition
from waremill.templates.filters import ExpressionError

BURST = 1.0
"""Seconds of unused rate an account may save up."""


class UsedFiles(Mapping[str, str]):
    """A workspace's files that remembers which of them were read."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files
        self.used: dict[str, str] = {}

    def __getitem__(self, path: str) -> str:
        text = self._files[path]
        self.used[path] = text
        return text

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, path: object) -> bool:
        return path in self._files


@dataclass(frozen=True, slots=True)
class Assembly:
    """A pipeline built and ready: its steps, the files it was built from, the models it calls."""

    pipeline: Pipeline
    steps: tuple[BoundStep, ...]
    files: Mapping[str, str]
    templates: Mapping[str, str]
    rules: Rules
    model: str
    learns: tuple[str, ...] = ()
    """The templates whose examples are results that were accepted."""

    @property
    def models(self) -> tuple[str, ...]:
        """The models the steps call, by alias or literal name."""
        return tuple(dict.fromkeys(step.model for step in self.steps if step.preview is not None))

    @property
    def fields(self) -> tuple[str, ...]:
        """The output fields in the order they are made."""
        return tuple(dict.fromkeys(name for step in self.steps for name in step.fields))


def assemble(
    settings: Settings, name: str, model: str | None = None, files: Mapping[str, str] | None = None
) -> Assembly:
    """Build a pipeline from the workspace's files, or from the ones a run was frozen with.

    `model` stands in for the default model. Raises UserError with file and line.
    """
    used = UsedFiles(settings.files() if files is None else files)
    pipeline = load_pipeline(used, name, steps.kinds())
    rules = Rules(
        channels=load_channels(used),
        glossary=load_glossary(used),
        forbidden=load_forbidden(used),
        languages=settings.languages,
        schemas=(schemas := load_schemas(used)),
    )
    kit = steps.Kit(
        used, rules, schemas, model or "default", settings.limits.asks_again + 1,
        keeping.weights_of(settings), 1, (settings.root / "fonts",), partial(declared, settings),
        limits_of(settings), partial(runnable_of, settings),
    )  # fmt: skip
    built = []
    for step in pipeline.steps:
        bound = steps.make(step, kit)
        if step.when is not None:
            try:
                bound = replace(bound, when=compile_condition(step.when).holds)
            except ExpressionError as error:
                raise TemplateError(
                    f"the step's when cannot be read: {error}", Where(step.file, line=step.line)
                ) from None
        built.append(bound)
    loaded = {
        step.settings["template"]: load_template(used, step.settings["template"])
        for step in pipeline.steps
        if "template" in step.settings
    }
    templates = {name: template.version for name, template in loaded.items()}
    learns = tuple(name for name, template in loaded.items() if template.from_reviews)
    return Assembly(pipeline, tuple(built), dict(used.used), templates, rules, kit.model, learns)


def all_models(settings: Settings, names: Iterable[str]) -> dict[str, Model]:
    """Resolve models and all their fallbacks."""
    found: dict[str, Model] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = settings.model(name)
            waiting += found[name].fallback
    return found


def price_of(settings: Settings, model: Model) -> Price | None:
    """Give a model's price today: the workspace's own, else the tables'; None when unknown."""
    from waremill.providers.prices import price_for

    return price_for(
        model, date.today(), per_usd=settings.per_usd if settings.currency == "CNY" else None
    )


def require_keys(settings: Settings, names: Collection[str]) -> None:
    """Raise ConfigError when a model that will be called has no key."""
    for name in names:
        missing = settings.missing_keys(name)
        if missing:
            raise ConfigError(
                f"the model “{name}” needs a key: set {' or '.join(missing)} in the environment "
                "or in the workspace's .env file"
            )


def require_prices(settings: Settings, names: Iterable[str], budget: str) -> None:
    """Raise ConfigError when a model, or a fallback of one, has no price a budget could count."""
    for name, model in all_models(settings, names).items():
        if price_of(settings, model) is None:
            raise ConfigError(
                f"the price of “{name}” ({model.use}) is unknown, so {budget} cannot be kept; "
                f"give it in waremill.toml: [models.{name}] price = {{input = …, output = …}}"
            )


def idle_provider(model: Model) -> Provider:
    """Open a model that will not be called, to ask it what it is; it needs no key for that.

    Raises ConfigError for everything else its settings lack.
    """
    try:
        return open_provider(model)
    except ConfigError:
        if model.keys:
            raise
    return open_provider(replace(model, keys=("not-set",)))


def concurrency_of(settings: Settings, model: Model, provider: Provider) -> int:
    """Say how many calls of a model may be in flight: its own limit, else the embedded model's
    slots, else the workspace's limit.
    """
    slots: int | None = getattr(provider, "slots", None)
    return model.concurrency or slots or settings.limits.concurrency


class Endpoints:
    """The models somebody calls, opened; an async context manager that closes them.

    With a team's quota, its part of every rate is all that is drawn. `priority` is a run's; None is
    for single calls, for which a part of every rate is reserved.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        names: Iterable[str],
        quota: Quota | None = None,
        priority: str | None = None,
    ) -> None:
        self._settings = settings
        self._priority = priority
        self._database = database
        self._quota = quota or Quota(FIRST_TEAM, None, 1.0)
        self._models = all_models(settings, names)
        self.by_name: dict[str, Endpoint] = {}

    async def __aenter__(self) -> Mapping[str, Endpoint]:
        require_keys(self._settings, self._models)
        for name, model in self._models.items():
            self.by_name[name] = self._open(model)
        return self.by_name

    def _open(self, model: Model) -> Endpoint:
        provider = open_provider(model)
        most = concurrency_of(self._settings, model, provider)
        identity = provider.identity

        async def draw(requests: float, tokens: float) -> float:
            return await self._database.repeat(
                draw_shared_rate, identity, self._quota, (requests, tokens), BURST, self._priority
            )

        return Endpoint(
            model, provider, price_of(self._settings, model), Limiter(most, time.monotonic),
            Rate(model.rpm, model.tpm, draw), reasoning_allowance(model),
        )  # fmt: skip

    async def __aexit__(self, *_error: Any) -> None:
        await asyncio.gather(*(endpoint.provider.aclose() for endpoint in self.by_name.values()))


def identities(settings: Settings, names: Iterable[str]) -> dict[str, Any]:
    """Give what identifies each model in a fingerprint: its identity and its options."""
    found = {}
    for name, model in all_models(settings, names).items():
        found[name] = [idle_provider(model).identity, dict(model.options)]
    return found
