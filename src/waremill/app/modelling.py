"""The use case *models*: what is configured, what it costs, whether it answers."""

from __future__ import annotations

from typing import Any

from waremill.app.assembly import price_of
from waremill.app.status import NANO
from waremill.providers import probe
from waremill.settings import Settings


def describe_models(settings: Settings) -> list[dict[str, Any]]:
    """Describe each configured model; prices are in the workspace's currency a million tokens."""
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
                "price_source": price.source if price else None,
                "key": f"missing: {', '.join(missing)}" if missing else "fine",
                "fallback": list(model.fallback),
            }
        )  # fmt: skip
    return rows


async def probe_models(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """Try every configured model with two small calls; give what was found by alias."""
    found = {}
    for alias, model in settings.models.items():
        missing = settings.missing_keys(alias)
        if missing:
            lines = [{"works": False, "message": f"no key: set {' or '.join(missing)}"}]
        else:
            result = await probe(model)
            lines = [
                {
                    "works": check.ok is not False,
                    "message": f"{check.name}: {check.detail or 'fine'}",
                }
                for check in result.checks
            ]
        found[alias] = lines
    return found
