"""List prices: where they come from, and that an unknown one is never zero."""

from __future__ import annotations

import csv
from datetime import date
from importlib.resources import files

import pytest

from waremill.domain import Model, Price, Usage
from waremill.providers import price_for

DAY = date(2026, 11, 22)


def price(use: str, *urls: str, on: date = DAY, **more: float) -> Price | None:
    return price_for(Model("m", use, tuple(urls)), on, **more)


def test_a_hosted_models_list_price_is_found_with_its_source() -> None:
    found = price("openai:gpt-4.1-mini")
    assert found is not None
    assert (found.input, found.cached, found.output) == (400_000_000, 100_000_000, 1_600_000_000)
    assert "genai-prices" in found.source and "2026-11-22" in found.source
    assert found.cost(Usage(1_000_000, 0)) == 400_000_000


@pytest.mark.parametrize(
    "use",
    [
        "anthropic:claude-sonnet-4-5",
        "google:gemini-2.5-flash",
        "vertex:google/gemini-2.5-flash",
        "azure:gpt-4o",
        "deepseek:deepseek-flash",
        "langchain:anthropic:claude-sonnet-4-5",
        "dashscope:qwen-plus",
        "dashscope:qwen-plus-2025-07-28",
        "dashscope:qwen3-max",
    ],
)
def test_common_models_of_every_vendor_have_a_price(use: str) -> None:
    found = price(use)
    assert found is not None and 0 < found.input < found.output and found.source


def test_where_the_hour_decides_the_highest_price_is_taken() -> None:
    found = price("deepseek:deepseek-flash")
    assert found is not None and (found.input, found.output) == (300_000_000, 1_200_000_000)


def test_prices_are_those_of_the_day() -> None:
    before = price("openai:o3", on=date(2025, 6, 9))
    after = price("openai:o3", on=date(2025, 6, 10))
    assert before is not None and after is not None and before.input == 5 * after.input


def test_the_workspaces_own_price_goes_first() -> None:
    own = Price(1, 2, source="workspace")
    assert price_for(Model("m", "openai:gpt-4.1-mini", price=own), DAY) is own


@pytest.mark.parametrize(
    ("use", "urls"),
    [
        ("openai:no-such-model-xyz", ()),
        ("dashscope:no-such-model", ()),
        ("vllm:llama", ("http://10.0.0.7:8000/v1",)),
        ("custom:x", ("https://api.example.com/v1",)),
        ("openai:llama-99", ("https://api.example.com/v1",)),
        ("azure:our-deployment", ("https://x.openai.azure.com",)),
        ("langchain:our.module:Model", ()),
    ],
)
def test_an_unknown_price_is_none(use: str, urls: tuple[str, ...]) -> None:
    assert price(use, *urls) is None


@pytest.mark.parametrize(
    ("use", "urls"),
    [
        ("local", ()),
        ("local:1.5b", ()),
        ("ollama:llama3", ()),
        ("vllm:llama", ("http://localhost:8000/v1",)),
        ("custom:x", ("http://127.0.0.1:9/v1",)),
        ("openai:my-own-finetune", ("http://127.0.0.1:9/v1",)),
    ],
)
def test_models_on_this_machine_cost_nothing_and_say_so(use: str, urls: tuple[str, ...]) -> None:
    found = price(use, *urls)
    assert found == Price(0, 0, 0, source="local")


def test_a_hosted_model_through_a_gateway_on_this_machine_keeps_its_list_price() -> None:
    found = price("openai:gpt-4.1-mini", "http://127.0.0.1:4000/v1")
    assert found is not None and found.input == 400_000_000


def test_openais_protocol_at_another_vendors_address_has_that_vendors_price() -> None:
    found = price("openai:deepseek-flash", "https://api.deepseek.com/v1")
    assert found is not None and found.output == 1_200_000_000


def test_prices_in_yuan_are_converted_by_the_workspaces_rate() -> None:
    at_seven, at_eight = (price("dashscope:qwen-plus", per_usd=rate) for rate in (7.0, 8.0))
    assert at_seven is not None and at_eight is not None
    assert at_seven.output == round(2 / 7 * 1e9) and at_eight.output == 250_000_000
    assert "CNY at 8 per USD" in at_eight.source and "2026" in at_eight.source


def test_the_international_address_has_prices_in_dollars() -> None:
    found = price("dashscope:qwen-plus", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1")
    assert found is not None and found.input == 400_000_000 and "CNY" not in found.source


def test_every_line_of_our_table_has_a_date_a_source_and_sane_numbers() -> None:
    text = files("waremill.providers").joinpath("prices.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) > 10
    for row in rows:
        assert date(2024, 1, 1) < date.fromisoformat(row["date"]) <= DAY
        assert row["source"] and row["currency"] in ("CNY", "USD") and None not in row
        assert 0 < float(row["input"]) <= float(row["output"])
        assert not row["cached"] or float(row["cached"]) < float(row["input"])
