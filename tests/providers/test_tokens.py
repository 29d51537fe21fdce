"""Token counts: exact where a tokenizer works offline, near elsewhere."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from waremill.domain import Chat, Message, Model
from waremill.providers import approximate, token_counter
from waremill.providers.tokens import estimated_usage


def counter(use: str, *urls: str) -> object:
    return token_counter(Model("m", use, tuple(urls)))


def test_gpt_families_are_counted_by_their_own_encoding() -> None:
    new, old = (
        token_counter(Model("m", "openai:gpt-4.1-mini")),
        token_counter(Model("m", "openai:gpt-4-turbo")),
    )
    assert new is not None and old is not None
    assert new("hello world") == old("hello world") == 2
    # 香水 is one token more in the older vocabulary.
    assert new("这款香水清新持久") < old("这款香水清新持久")
    assert new("") == 0 and new("<|endoftext|>") > 1


def test_unknown_openai_names_get_the_newest_encoding() -> None:
    assert counter("openai:gpt-9-ultra") is counter("openai:gpt-4o") is counter("azure:our-copy")


@pytest.mark.parametrize(
    ("use", "urls"),
    [
        ("dashscope:qwen-plus", ()),
        ("anthropic:claude-sonnet-4-5", ()),
        ("openai:qwen2.5-7b", ("http://127.0.0.1:1/v1",)),
    ],
)
def test_models_without_an_offline_tokenizer_have_no_counter(
    use: str, urls: tuple[str, ...]
) -> None:
    assert counter(use, *urls) is None


def test_the_approximation_knows_scripts() -> None:
    assert approximate("") == 0 and approximate("   \n") == 0
    assert approximate("a") == 1
    english, chinese = approximate("abcdefgh " * 100), approximate("香" * 800)
    assert english < chinese / 2
    # The path for plain ASCII and the general one agree.
    text = "Eau de Toilette, 50 ml (1.7 fl oz)"
    assert abs(approximate(text + "é") - approximate(text)) <= 1


@pytest.mark.parametrize(
    ("file", "bound"),
    [
        ("catalogues-beauty/perfume_descriptions_open.csv", 0.10),
        ("catalogues-beauty/taobao_cosmetics_zh_open.csv", 0.12),
        ("catalogues-general/spree_products.csv", 0.10),
        ("catalogues-general/openfoodfacts_open.csv", 0.10),
        ("catalogues-beauty/sephora_cosmetics_open.csv", 0.25),
    ],
)
def test_the_approximation_is_near_on_real_catalogues(
    shared_data: Path, file: str, bound: float
) -> None:
    count = token_counter(Model("m", "openai:gpt-4o"))
    assert count is not None
    exact = near = 0
    with (shared_data / file).open(encoding="utf-8", newline="") as source:
        for number, row in enumerate(csv.DictReader(source)):
            text = "\n".join(f"{name}: {value}" for name, value in row.items() if value)
            exact += count(text)
            near += approximate(text)
            if number == 150:
                break
    assert abs(near / exact - 1) <= bound


def test_a_missing_usage_is_estimated_from_the_texts() -> None:
    request = Chat((Message("user", ("hello world", "and more")),), 10)
    usage = estimated_usage(request, "some reply text")
    assert 3 <= usage.input <= 6 and 2 <= usage.output <= 5
