"""List prices: the workspace's own, else `genai-prices`, else our dated table.

Gives nano-USD per million tokens with the source and its date. A price nobody knows is None, never
zero. Must not fetch anything: all data is bundled.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from waremill.domain import Model, Price
from waremill.providers.http import is_loopback

NANO = 1_000_000_000
CNY_PER_USD = 7.1
"""Used for prices in CNY where the workspace sets no `per_usd`; rounded from the rates of 2026."""

_PROVIDERS: Mapping[str, str] = {
    "openai": "openai", "azure": "azure", "anthropic": "anthropic", "google": "google",
    "vertex": "google", "deepseek": "deepseek", "openai-images": "openai",
}  # fmt: skip
_OWN_SERVERS = frozenset(
    {"ollama", "vllm", "llamacpp", "custom", "automatic1111", "forge", "comfyui"}
)
_EMBEDDED = frozenset({"local", "diffusers"})
_LANGCHAIN: Mapping[str, str] = {
    "openai": "openai", "azure_openai": "azure", "anthropic": "anthropic", "deepseek": "deepseek",
    "google_genai": "google", "google_vertexai": "google", "mistralai": "mistral", "groq": "groq",
    "xai": "x-ai", "cohere": "cohere",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One line of `prices.csv`: units of `currency` per million tokens, true on `date`."""

    vendor: str
    region: str
    model: str
    input: Decimal
    cached: Decimal | None
    output: Decimal
    currency: str
    date: date
    source: str


def price_for(model: Model, on: date, *, per_usd: float | None = None) -> Price | None:
    """Give a model's list price on a day, or None where it is not known.

    `per_usd` converts prices the vendor lists in CNY. Where a price depends on the hour the highest
    is taken, where it depends on the length the first tier, where pictures are dearer than text the
    pictures'. Embedded models and servers of one's own on this machine cost nothing (source
    `local`).
    """
    if model.price is not None:
        return model.price
    if model.vendor in _EMBEDDED:
        return Price(0, 0, 0, source="local")
    near = bool(model.base_urls) and all(map(is_loopback, model.base_urls))
    if model.vendor in _OWN_SERVERS and (
        near or (not model.base_urls and model.vendor != "custom")
    ):
        return Price(0, 0, 0, source="local")
    known = _published(model, on) or _own(model, per_usd or CNY_PER_USD)
    if known is None and near:
        return Price(0, 0, 0, source="local")
    return known


def _published(model: Model, on: date) -> Price | None:
    vendor, name = model.vendor, model.name
    if vendor == "langchain":
        vendor, _, name = name.partition(":")
        provider = _LANGCHAIN.get(vendor)
    elif vendor in ("openai", "openai-images") and model.base_urls:
        return _by_address(model, on)
    else:
        provider = _PROVIDERS.get(vendor)
    return _lookup(model, name, (provider, None), on) if provider else None


def _by_address(model: Model, on: date) -> Price | None:
    """OpenAI's protocol at another address: the address says whose prices hold."""
    url = model.base_urls[0]
    host = urlsplit(url).hostname or ""
    if is_loopback(url) or host == "api.openai.com":
        return _lookup(model, model.name, ("openai", None), on)
    return _lookup(model, model.name, (None, url), on)


def _lookup(
    model: Model, name: str, where: tuple[str | None, str | None], on: date
) -> Price | None:
    """Look a model's name up at a provider, or at whoever has an address."""
    from importlib.metadata import version

    from genai_prices.data_snapshot import get_snapshot

    # Vertex names its models `google/gemini-…`.
    name = name.rpartition("/")[2] if where[0] == "google" else name
    pictures = model.vendor == "openai-images"
    try:
        _, found = get_snapshot().find_provider_model(name, None, *where)
    except LookupError:
        return None
    midnight = datetime.combine(on, time(), tzinfo=UTC)
    best: Price | None = None
    source = f"genai-prices {version('genai-prices')} ({found.id}, {on})"
    for hour in range(24):
        listed = found.get_prices(midnight + timedelta(hours=hour))
        price = _price(_of_pictures(vars(listed)) if pictures else vars(listed), source)
        if price is not None and (best is None or price.output > best.output):
            best = price
    return best


def _of_pictures(listed: Mapping[str, Any]) -> dict[str, Any]:
    """Give the prices of a model that makes pictures, where what it reads or makes is one."""
    dearer = {}
    for name in ("input", "output"):
        prices = [_base(listed.get(f"{part}_mtok")) for part in (name, f"{name}_image")]
        dearer[f"{name}_mtok"] = max((one for one in prices if one is not None), default=None)
    return {**listed, **dearer, "cache_read_mtok": None}


def _price(listed: Mapping[str, Any], source: str) -> Price | None:
    given, made = _base(listed.get("input_mtok")), _base(listed.get("output_mtok"))
    if given is None or made is None:
        return None
    cached = _base(listed.get("cache_read_mtok"))
    return Price(
        _nano(given),
        _nano(made),
        None if cached is None else _nano(cached),
        per_call=_nano((_base(listed.get("requests_kcount")) or Decimal(0)) / 1000),
        source=source,
    )


def _base(value: Any) -> Decimal | None:
    """A price, or the first tier of one that depends on the prompt's length."""
    value = getattr(value, "base", value)
    return None if value is None else Decimal(value)


def _nano(units: Decimal) -> int:
    return int((units * NANO).to_integral_value())


def _own(model: Model, per_usd: float) -> Price | None:
    region = "cn"
    for url in model.base_urls:
        if "-intl" in url or "-us." in url:
            region = "intl"
    for row in _table():
        if (
            row.vendor == model.vendor
            and row.region in ("", region)
            and fnmatchcase(model.name, row.model)
        ):
            rate = Decimal(1) if row.currency == "USD" else 1 / Decimal(str(per_usd))
            note = "" if row.currency == "USD" else f", {row.currency} at {per_usd:g} per USD"
            cached = None if row.cached is None else _nano(row.cached * rate)
            source = f"{row.source}, {row.date}{note}"
            return Price(_nano(row.input * rate), _nano(row.output * rate), cached, source=source)
    return None


@lru_cache(maxsize=1)
def _table() -> tuple[Row, ...]:
    text = files("waremill.providers").joinpath("prices.csv").read_text(encoding="utf-8")
    return tuple(
        Row(
            one["vendor"],
            one["region"],
            one["model"],
            Decimal(one["input"]),
            Decimal(one["cached"]) if one["cached"] else None,
            Decimal(one["output"]),
            one["currency"],
            date.fromisoformat(one["date"]),
            one["source"],
        )
        for one in csv.DictReader(text.splitlines())
    )
