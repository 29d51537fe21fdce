"""The use case *models*: what is configured, what it costs, whether it answers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from importlib import import_module
from math import inf
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection

from waremill import providers
from waremill.app import auditing
from waremill.app.assembly import price_of
from waremill.app.owning import seen_settings
from waremill.app.status import NANO
from waremill.domain import Model
from waremill.providers import probe
from waremill.providers.drawing import picture_of
from waremill.settings import Settings
from waremill.store import versions as store
from waremill.store.database import Database

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

CHECK_EVERY = 60.0
"""A server calls a model to check it at most once in so many seconds, whoever asks."""


def describe_models(settings: Settings) -> list[dict[str, Any]]:
    """Describe each configured model; prices are in the workspace's currency a million
    tokens, `call` what each call costs on top, such as a picture.
    """
    rows = []
    for alias, model in settings.models.items():
        price = price_of(settings, model)
        missing = settings.missing_keys(alias)
        factor = settings.per_usd / NANO
        rows.append(
            {
                "model": alias, "use": model.use,
                "input": "unknown" if price is None else f"{price.input * factor:.4g}",
                "output": "unknown" if price is None else f"{price.output * factor:.4g}",
                "per": f"{settings.currency} / million tokens",
                "call": f"{price.per_call * factor:.4g}" if price and price.per_call else None,
                "price_source": price.source if price else None,
                "key": f"missing: {', '.join(missing)}" if missing else "fine",
                "fallback": list(model.fallback),
            }
        )  # fmt: skip
    return rows


def makes_pictures(model: Model) -> bool:
    """Say whether a model makes pictures: its provider takes requests for one (`picture_of`)."""
    module = providers.vendors().get(model.vendor)
    if module is None:
        return False
    return hasattr(import_module(f"{providers.__name__}.{module}"), picture_of.__name__)


async def probe_models(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """Try every configured model with two small calls; give what was found by alias."""
    return {
        alias: _without_key(settings, alias) or await _probed(model)
        for alias, model in settings.models.items()
    }


async def check_models(workspace: Workspace) -> dict[str, list[dict[str, Any]]]:
    """Try the configured models the actor may use, as `probe_models` does; for admins of a team.

    The calls are paid and count towards no budget: so a model is called once a minute and process
    at most, and what was found then is given again. The audit log says which were called.
    """
    actor, database = workspace.actor, workspace.database
    actor.need_somewhere("admin", "calling the models")
    settings = await seen_settings(workspace)
    owned = await database.read(store.owned_by)
    checked = _CHECKED.setdefault(database, _Checked())
    found = {}
    for alias, model in settings.models.items():
        team = owned.get(("model", alias))
        if team is not None and not actor.may("operator", team):
            continue
        if lines := _without_key(settings, alias):
            found[alias] = lines
            continue
        async with checked.lock:
            at, lines = checked.models.get(alias, (-inf, []))
            if time.monotonic() - at >= CHECK_EVERY:
                # Noted before the call: one that is broken off was made nevertheless.
                checked.models[alias] = (time.monotonic(), _BROKEN_OFF)
                pays = team if team is not None else actor.first_team("admin")

                def note(conn: Connection, alias: str = alias, team: int | None = pays) -> None:
                    auditing.record(conn, actor, "model.check", f"model {alias}", team)

                await database.write(note)
                lines = await _probed(model)
                checked.models[alias] = (time.monotonic(), lines)
            found[alias] = lines
    return found


_BROKEN_OFF = [{"works": False, "message": "the last try was broken off; try again in a minute"}]


@dataclass(slots=True)
class _Checked:
    """When each model was tried last in this process, by the monotonic clock, and what it said."""

    models: dict[str, tuple[float, list[dict[str, Any]]]] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


_CHECKED: WeakKeyDictionary[Database, _Checked] = WeakKeyDictionary()


def _without_key(settings: Settings, alias: str) -> list[dict[str, Any]]:
    missing = settings.missing_keys(alias)
    return [{"works": False, "message": f"no key: set {' or '.join(missing)}"}] if missing else []


async def _probed(model: Model) -> list[dict[str, Any]]:
    result = await probe(model)
    return [
        {"works": check.ok is not False, "message": f"{check.name}: {check.detail or 'fine'}"}
        for check in result.checks
    ]
